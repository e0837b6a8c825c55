"""Least privilege: from the calls in the adapters' code to the roles in pipeline.yaml."""

import ast
import re
from collections import defaultdict
from functools import cache

import pytest
import yaml

from .conftest import INFRA, ROOT

ADAPTERS = {
    "ledger": ("firestore", "FirestoreLedger"),
    "bus": ("pubsub", "PubSubBus"),
    "earth_engine": ("earth_engine", "EarthEngineClient"),
}
TABLE = yaml.safe_load((INFRA / "permissions.yaml").read_text())
PIPELINE = yaml.safe_load((INFRA / "pipeline.yaml").read_text())["functions"]


@cache
def parsed(path):
    return ast.parse((ROOT / path).read_text())


def calls_in(node):
    return [ast.unparse(x.func) for x in ast.walk(node) if isinstance(x, ast.Call)]


def used_services(function):
    """Return (service, method) of each call that a function makes, itself or by shared modules."""
    files = [f"functions/{function}.py"]
    imports = ast.unparse(parsed(files[0]))
    files += [f"shared/{x}.py" for x in ("admission",) if f"from shared.{x} import" in imports]
    used = set()
    for file in files:
        for call in calls_in(parsed(file)):
            match = re.search(r"(?:^|\.)(ledger|bus|earth_engine)\.(\w+)$", call)
            if match:
                used.add((match[1], match[2]))
        fields = set(re.findall(r"services\.(\w+)", ast.unparse(parsed(file))))
        assert fields <= {*ADAPTERS, "now"}, f"{file}: argue what {fields} asks of whom"
    return used


def client_calls(service, method):
    """Return the calls of Google's client behind a method, those of its helpers included."""
    module, class_name = ADAPTERS[service]
    tree = parsed(f"shared/adapters/{module}.py")
    [adapter] = [x for x in tree.body if isinstance(x, ast.ClassDef) and x.name == class_name]
    bodies = defaultdict(list)  # a method and a function of the module may share a name
    for body in [*tree.body, *adapter.body]:
        if isinstance(body, ast.FunctionDef):
            bodies[body.name].append(body)
    assert method in bodies, f"{class_name} has no {method}"
    found, waiting, seen = set(), [method], set()
    while waiting:
        body = ast.Module(bodies[(name := waiting.pop())], [])
        seen.add(name)
        mentioned = {x.attr for x in ast.walk(body) if isinstance(x, ast.Attribute)}
        mentioned |= {x.id for x in ast.walk(body) if isinstance(x, ast.Name)}
        waiting += [x for x in bodies.keys() & mentioned if x.startswith("_") and x not in seen]
        found |= {x for call in calls_in(body) if (x := table_key(module, call))}
    return module, found


def table_key(module, call):
    """Return the name under which the table has a call; None for one that is none of a client's."""
    if module == "earth_engine":
        if call.endswith(".getInfo"):
            return "getInfo"
        return call if call.startswith("ee.") else None
    name = call.rsplit(".", 1)[-1]
    return name if name in TABLE["calls"][module] else None


def needed(function):
    permissions = {"pubsub.topics.publish"} if PIPELINE[function].get("publishes") else set()
    for service, method in used_services(function):
        module, calls = client_calls(service, method)
        known = TABLE["calls"][module]
        assert calls <= known.keys(), f"argue {calls - known.keys()} in infra/permissions.yaml"
        permissions |= {x for call in calls for x in known[call]}
    return permissions


@pytest.mark.parametrize("function", PIPELINE)
def test_a_functions_roles_permit_its_calls_and_each_is_needed(function):
    roles = [*PIPELINE[function]["roles"]]
    roles += ["roles/pubsub.publisher"] if PIPELINE[function].get("publishes") else []
    permitted = {role: set(TABLE["roles"][role]) for role in roles}
    wanted = needed(function)
    assert wanted <= set().union(*permitted.values()), "a call would be refused"
    for role in roles:
        others = set().union(*(x for other, x in permitted.items() if other != role))
        assert wanted - others, f"{function} works without {role}"


@pytest.mark.parametrize("function", PIPELINE)
def test_who_can_read_only_may_not_write(function):
    if "roles/earthengine.writer" in PIPELINE[function]["roles"]:
        reading = set(TABLE["roles"]["roles/earthengine.viewer"])
        wanted = {x for x in needed(function) if x.startswith("earthengine.")}
        assert wanted - reading, f"{function} needs no more than roles/earthengine.viewer"


@pytest.mark.parametrize("function", PIPELINE)
def test_only_who_publishes_may_publish(function):
    publishes = ("bus", "publish") in used_services(function)
    assert publishes == bool(PIPELINE[function].get("publishes"))


def test_topics_that_are_published_are_those_of_the_code():
    """The messages that a function makes are of the topics that its YAML names."""
    from shared.messages import TOPICS

    for name, function in PIPELINE.items():
        code = (ROOT / f"functions/{name}.py").read_text()
        if "from shared.admission" in code:
            code += (ROOT / "shared/admission.py").read_text()
        made = {topic for topic, kind in TOPICS.items() if f"{kind.__name__}(" in code}
        taken = {function["topic"]} if "topic" in function else set()
        assert made - taken == set(function.get("publishes", ())), name


def test_every_call_of_the_adapters_is_argued():
    """Also those that no function makes: only a person's command does."""
    for call in calls_in(parsed("shared/adapters/earth_engine.py")):
        key = table_key("earth_engine", call)
        assert key is None or key in TABLE["calls"]["earth_engine"], key


def test_the_table_in_the_documentation_is_this_one():
    text = (ROOT / "docs/operations.md").read_text()
    for name, function in PIPELINE.items():
        [row] = re.findall(rf"^\| `{name}` \|(.*)$", text, re.MULTILINE)
        roles = {x.removeprefix("roles/") for x in function["roles"]}
        assert roles == set(re.findall(r"`(\w+\.\w+)`", row.split("|")[0])), name
        for topic in function.get("publishes", ()):
            assert f"`{topic}`" in row, f"{name}: {topic}"
