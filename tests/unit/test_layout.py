"""The dependency rules of docs/architecture.md, held against the imports in the code."""

import ast
import dataclasses
from pathlib import Path

import pytest

import main
from cli.pipeline import read_pipeline
from shared.messages import TOPICS

ROOT = Path(__file__).parents[2]
PACKAGES = ("functions", "shared", "emulator", "cli")


def modules(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path):
    """Names of all modules a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def importers(module, paths):
    return {
        str(path.relative_to(ROOT))
        for path in paths
        for name in imports(path)
        if name == module or name.startswith(f"{module}.")
    }


DEPLOYED = [ROOT / "main.py", *modules("functions", "shared")]


def test_only_adapters_import_google():
    assert {Path(x).parent.as_posix() for x in importers("google", DEPLOYED)} == {"shared/adapters"}


def test_only_graphs_and_the_adapter_import_ee():
    allowed = {str(x.relative_to(ROOT)) for x in modules("shared/earth")}
    adapters = {f"shared/adapters/earth_engine{x}.py" for x in ("", "_assets")}
    assert importers("ee", DEPLOYED) <= allowed | adapters


def test_only_config_reads_the_environment():
    assert importers("os", DEPLOYED) == {"shared/config.py"}


def test_only_the_handler_imports_functions_framework():
    assert importers("functions_framework", DEPLOYED) == {"shared/handler.py"}


def test_the_domain_is_plain_python():
    outside = {
        name.split(".")[0]
        for path in modules("shared/domain")
        for name in imports(path)
        if not name.startswith("shared.domain")
    }
    assert outside <= {
        *("base64", "collections", "dataclasses", "datetime", "enum", "hashlib", "json", "re"),
        "typing",
    }


def test_functions_import_no_adapter():
    allowed = (
        *("admission", "archiving", "domain", "earth", "errors", "handler", "messages"),
        *("models", "reading", "recording", "restoring", "seasons", "services", "starting"),
    )
    for path in modules("functions"):
        for name in imports(path):
            if name.startswith("shared"):
                assert name.split(".")[1] in allowed, f"{path} imports {name}"


def test_what_is_deployed_imports_nothing_that_is_not():
    for package in ("cli", "emulator", "model", "tests"):
        assert not importers(package, DEPLOYED)


def test_the_emulator_knows_nothing_of_the_pipeline():
    for package in ("cli", "functions", "shared"):
        assert not importers(package, modules("emulator"))


def test_graphs_ask_nothing_and_start_nothing():
    for path in modules("shared/earth"):
        text = path.read_text()
        assert not any(call in text for call in (".getInfo(", ".start(", "now(", "Initialize("))


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=lambda x: str(x.relative_to(ROOT)))
def test_nothing_happens_at_import(path):
    """No file, clock, environment, client or session on module level."""
    suspicious = ("open", "now", "today", "environ", "getenv", "Client", "Initialize", "connect")
    tree = ast.parse(path.read_text())
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.If)):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert not any(word in called for word in suspicious), f"{path}: {called}"


def test_the_pipeline_file_main_and_the_topics_agree():
    pipeline = read_pipeline()
    assert set(pipeline) == set(main.__all__)
    assert {x.topic for x in pipeline.values() if x.topic} == set(TOPICS)
    assert all(5 <= x.attempts <= 100 for x in pipeline.values() if x.topic)


def test_messages_are_frozen():
    for message_type in TOPICS.values():
        assert dataclasses.is_dataclass(message_type)
        assert message_type.__dataclass_params__.frozen
