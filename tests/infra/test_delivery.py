"""Cloud Build, the GitHub workflow and the documentation call what there is."""

import re

import pytest
import typer.main
import yaml

from cli.main import app

from .conftest import ROOT

CLOUD_BUILD = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/check.yaml").read_text())
TEXTS = (
    *("cloudbuild.yaml", ".github/workflows/check.yaml", "README.md", "SECURITY.md"),
    "docs/operations.md",
)


@pytest.mark.parametrize("name", TEXTS)
def test_make_has_every_target_that_is_named(name):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`|&& |run: )make ([a-z]+)", (ROOT / name).read_text(), re.MULTILINE)
    assert set(named) <= targets, set(named) - targets


@pytest.mark.parametrize("name", TEXTS)
def test_verdure_has_every_command_that_is_named(name):
    commands = set(typer.main.get_command(app).commands)
    text = (ROOT / name).read_text()
    named = set(re.findall(r"(?:\.venv/bin/|`)verdure ([a-z][a-z-]+)", text))
    assert named <= commands, named - commands


def test_the_steps_of_the_build_come_in_an_order_in_which_nothing_unchecked_is_applied():
    steps = {step["id"]: step for step in CLOUD_BUILD["steps"]}
    order = list(steps)
    for step in steps.values():
        assert all(
            x == "-" or order.index(x) < order.index(step["id"]) for x in step.get("waitFor", ())
        )
    before = {name: steps[name].get("waitFor") for name in order}
    assert before["test"] == ["lint", "terraform"]
    assert before["archive"] == ["test"]
    assert before["init"] == ["archive"]
    assert order[-2:] == ["plan", "apply"]
    assert before["plan"] is before["apply"] is None, "without it, a step waits for all before"
    assert "CI=true" in CLOUD_BUILD["options"]["env"], "missing emulators fail, not skip"
    assert CLOUD_BUILD["substitutions"]["_APPLY"] == "no"
    assert (ROOT / "infra" / CLOUD_BUILD["substitutions"]["_VARIABLES"]).exists()


def test_both_services_run_what_ci_runs():
    wanted = set(re.findall(r"^make (\w+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE))
    steps = [" ".join([x.get("entrypoint", ""), *x["args"]]) for x in CLOUD_BUILD["steps"]]
    runs = [x.get("run", "") for x in WORKFLOW["jobs"]["check"]["steps"]]
    assert wanted == {"check", "test"}
    for commands in (steps, runs):
        assert wanted <= set(re.findall(r"\w+", " ".join(x for x in commands if "make" in x)))


def test_the_workflow_may_only_read():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    runs = [step["run"] for step in WORKFLOW["jobs"]["check"]["steps"] if "run" in step]
    assert "make check test" in runs
