"""Least privilege: from the calls in the adapters' code to the roles in pipeline.yaml."""

import ast
import re
from collections import defaultdict
from functools import cache

import pytest
import yaml

from .conftest import INFRA, ROOT

#: Service → section of the table, and the classes of shared/adapters that make its calls.
ADAPTERS = {
    "ledger": (
        "firestore",
        {"firestore": "FirestoreLedger", "firestore_records": "FirestoreRecords"},
    ),
    "assets": (
        "firestore",
        {"firestore_assets": "FirestoreAssets", "firestore_records": "FirestoreRecords"},
    ),
    "bus": ("pubsub", {"pubsub": "PubSubBus"}),
    "drive": ("drive", {"drive": "GoogleDrive"}),
    "objects": ("storage", {"storage": "CloudObjects"}),
    "earth_engine": ("earth_engine", {"earth_engine": "EarthEngineClient"}),
    "earth_assets": (
        "earth_engine_assets",
        {"earth_engine_assets": "EarthEngineAssets", "earth_engine": "EarthEngineClient"},
    ),
}
#: Modules of shared/ that are handed the services but act for no function.
FRAME = {"bootstrap", "handler", "messages", "services"}
TABLE = yaml.safe_load((INFRA / "permissions.yaml").read_text())
PIPELINE = yaml.safe_load((INFRA / "pipeline.yaml").read_text())["functions"]


@cache
def parsed(path):
    return ast.parse((ROOT / path).read_text())


def calls_in(node):
    return [ast.unparse(x.func) for x in ast.walk(node) if isinstance(x, ast.Call)]


def names_in(node):
    attributes = {x.attr for x in ast.walk(node) if isinstance(x, ast.Attribute)}
    return attributes | {x.id for x in ast.walk(node) if isinstance(x, ast.Name)}


@cache
def imported(tree):
    """Return name → module of shared/ that acts, for what a file imports of such modules."""
    found = {}
    for node in (x for x in tree.body if isinstance(x, ast.ImportFrom)):
        names = [x.name for x in node.names]
        if node.module == "shared":
            for module in filter(acts, names):
                used = re.findall(rf"\b{module}\.(\w+)", ast.unparse(tree))
                found |= dict.fromkeys(used, module)
        elif acts(module := (node.module or "").removeprefix("shared.")):
            found |= dict.fromkeys(names, module)
    return found


def acts(module):
    return (ROOT / f"shared/{module}.py").exists() and module not in FRAME


@cache
def code_of(function):
    """Return the code that a function may run: its file, and what it uses of shared modules."""
    whole = parsed(f"functions/{function}.py")
    code, waiting, seen = [*whole.body], [(whole, x) for x in imported(whole)], set()
    while waiting:
        tree, name = waiting.pop()
        elsewhere = imported(tree).get(name)
        tree = parsed(f"shared/{elsewhere}.py") if elsewhere else tree
        for node in tree.body:
            if getattr(node, "name", None) == name and node not in seen:
                seen.add(node)
                code.append(node)
                waiting += [(tree, x) for x in names_in(node)]
    return code


@cache
def used_services(function):
    """Return (service, method) of each call that a function makes, itself or by shared modules."""
    used = set()
    for node in code_of(function):
        text = ast.unparse(node)
        fields = set(re.findall(r"services\.(\w+)", text))
        assert fields <= {*ADAPTERS, "now"}, f"{function}: argue what {fields} asks of whom"
        for body in ast.walk(node):
            if isinstance(body, ast.FunctionDef):
                used |= set(calls_of_services(body))
    return used


def calls_of_services(body):
    short = short_names(body)
    for call in calls_in(body):
        owner, _, method = call.rpartition(".")
        service = short.get(owner) or owner.rpartition("services.")[2]
        if service in ADAPTERS:
            yield service, method


def short_names(body):
    """Return what a function calls its services: `assets = services.assets` in all forms."""
    short = {}
    for node in ast.walk(body):
        if isinstance(node, ast.Assign):
            [target], value = node.targets, node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=True)
            for name, meant in pairs:
                if match := re.search(r"services\.(\w+)$", ast.unparse(meant)):
                    short[ast.unparse(name)] = match[1]
    return short


@cache
def client_calls(service, method):
    """Return the calls of Google's client behind a method, those of its helpers included."""
    section, modules = ADAPTERS[service]
    bodies = defaultdict(list)  # a method and a function of the module may share a name
    for module, class_name in modules.items():
        tree = parsed(f"shared/adapters/{module}.py")
        [adapter] = [x for x in tree.body if isinstance(x, ast.ClassDef) and x.name == class_name]
        for body in [*tree.body, *adapter.body]:
            if isinstance(body, ast.FunctionDef):
                bodies[body.name].append(body)
    assert method in bodies, f"{class_name} has no {method}"
    found, waiting, seen = set(), [method], set()
    while waiting:
        body = ast.Module(bodies[(name := waiting.pop())], [])
        seen.add(name)
        helpers = {x for x in bodies if x.startswith("_")} | {"connect"}
        waiting += [x for x in bodies.keys() & helpers & names_in(body) if x not in seen]
        found |= {x for call in calls_in(body) if (x := table_key(section, call))}
    return section, found


def table_key(section, call):
    """Return the name under which the table has a call; None for one that is none of a client's."""
    if section.startswith("earth_engine"):
        if call.endswith(".getInfo"):
            return "getInfo"
        return call if call.startswith("ee.") else None
    name = call.rsplit(".", 1)[-1]
    return name if name in TABLE["calls"][section] else None


def needed(function):
    permissions = {"pubsub.topics.publish"} if PIPELINE[function].get("publishes") else set()
    for service, method in used_services(function):
        section, calls = client_calls(service, method)
        known = TABLE["calls"][section]
        assert calls <= known.keys(), f"argue {calls - known.keys()} in infra/permissions.yaml"
        permissions |= {x for call in calls for x in known[call]}
    if any(getattr(x, "name", "") == "places" for x in code_of(function)):
        # Graphs of shared/reading.py open the files of masks that have left Earth Engine.
        permissions |= {"storage.buckets.get", "storage.objects.get"}
    return permissions


@pytest.mark.parametrize("function", PIPELINE)
def test_a_functions_roles_permit_its_calls_and_each_is_needed(function):
    roles = [*PIPELINE[function]["roles"], *PIPELINE[function].get("bucket_roles", ())]
    roles += ["roles/pubsub.publisher"] if PIPELINE[function].get("publishes") else []
    permitted = {role: set(TABLE["roles"][role]) for role in roles}
    wanted = needed(function)
    refused = wanted - set().union(*permitted.values())
    assert not refused, f"{function} needs a role, or a bucket_role, with {refused}"
    for role in roles:
        others = set().union(*(x for other, x in permitted.items() if other != role))
        assert wanted - others, f"{function} works without {role}"


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("roles/earthengine.writer", "roles/earthengine.viewer"),
        ("roles/datastore.user", "roles/datastore.viewer"),
        ("roles/storage.objectUser", "roles/storage.objectViewer"),
    ],
)
@pytest.mark.parametrize("function", PIPELINE)
def test_who_only_reads_may_not_write(function, writer, reader):
    held = PIPELINE[function]["roles"] + PIPELINE[function].get("bucket_roles", [])
    if writer in held:
        gained = set(TABLE["roles"][writer]) - set(TABLE["roles"][reader])
        assert needed(function) & gained, f"{function} needs no more than {reader}"


@pytest.mark.parametrize("function", PIPELINE)
def test_only_who_publishes_may_publish(function):
    publishes = ("bus", "publish") in used_services(function)
    assert publishes == bool(PIPELINE[function].get("publishes"))


@pytest.mark.parametrize("function", PIPELINE)
def test_only_who_uses_drive_may_get_its_credentials(function):
    uses = any(service == "drive" for service, _ in used_services(function))
    assert uses == PIPELINE[function].get("drive", False)


def test_topics_that_are_published_are_those_of_the_code():
    """The messages that a function makes are of the topics that its YAML names."""
    from shared.messages import TOPICS

    for name, function in PIPELINE.items():
        code = "".join(ast.unparse(x) for x in code_of(name))
        made = {topic for topic, kind in TOPICS.items() if f"{kind.__name__}(" in code}
        taken = {function["topic"]} if "topic" in function else set()
        assert made - taken == set(function.get("publishes", ())), name


def test_every_call_of_the_adapters_is_argued():
    """Also those that no function makes: only a person's command does."""
    for section in ("earth_engine", "earth_engine_assets"):
        for call in calls_in(parsed(f"shared/adapters/{section}.py")):
            key = table_key(section, call)
            assert key is None or key in TABLE["calls"][section], key


def test_the_table_in_the_documentation_is_this_one():
    text = (ROOT / "docs/operations.md").read_text()
    for name, function in PIPELINE.items():
        [row] = re.findall(rf"^\| `{name}` \|(.*)$", text, re.MULTILINE)
        for cell, key in enumerate(("roles", "bucket_roles")):
            roles = {x.removeprefix("roles/") for x in function.get(key, ())}
            assert roles == set(re.findall(r"`(\w+\.\w+)`", row.split("|")[cell])), name
        for topic in function.get("publishes", ()):
            assert f"`{topic}`" in row, f"{name}: {topic}"
