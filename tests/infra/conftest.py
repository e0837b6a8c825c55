"""The plan that Terraform makes of infra/, as JSON, by the stand-in provider of tfcheck."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
TFCHECK = ROOT.parent / "shared" / "tools" / "tfcheck" / "tfcheck"
PROJECT, NAME = "my-project", "verdure"


def need(condition, reason):
    """Skip where a tool is absent; in CI, where it must not be, fail."""
    if not condition:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def planned(path, *options):
    """Return the resources that a plan would make: address to values."""
    need(shutil.which("terraform"), "terraform is not installed")
    if not TFCHECK.exists():
        pytest.skip(f"a plan without an account needs {TFCHECK}")
    done = subprocess.run(
        [
            TFCHECK,
            INFRA,
            "--no-fmt",
            "--var",
            f"project_id={PROJECT}",
            "--plan-json",
            path,
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    changes = json.loads(path.read_text())["resource_changes"]
    return {x["address"]: x["change"]["after"] for x in changes if x["mode"] == "managed"}


@pytest.fixture(scope="session")
def plan(tmp_path_factory):
    return planned(tmp_path_factory.mktemp("plan") / "plan.json")


@pytest.fixture(scope="session")
def pipeline():
    return yaml.safe_load((INFRA / "pipeline.yaml").read_text())["functions"]


@pytest.fixture
def of_kind(plan):
    """A function that gives the planned resources of one kind, by their key."""

    def select(kind):
        chosen = {
            address.partition('["')[2].removesuffix('"]') or address.split(".")[-1]: values
            for address, values in plan.items()
            if address.startswith((f"{kind}.", f"{kind}["))
        }
        assert chosen, f"the plan has no {kind}"
        return chosen

    return select
