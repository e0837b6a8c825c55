"""Random and mutated graphs: whatever is asked, the answer is a value or an error of the caller.

Every graph is posted as it is to value:compute; the answer must be 200 with a result or 400 with
Earth Engine's error payload, soon. A 500, a dropped connection or a hang is a defect.
"""

import copy
import functools
import importlib
import json
import pkgutil
from typing import Any

import conformance
import ee
import pytest
import requests
from conftest import Running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import PROJECT, engine, registry

assert engine  # registers the algorithms

SECONDS = 30  # for one graph, on a busy machine
EXAMPLES = 300
SOAK_EXAMPLES = 10_000
RELAXED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# --- arguments, by the declared type or in spite of it

NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, 2, 0.5, -1.5, 255, 1e308, 2**31]),
)
STRINGS = st.one_of(
    st.sampled_from(
        ["", "a", "B1", "b.*", "(", "EPSG:4326", "EPSG:32633", "system:index", "day", "year", "%d"]
    ),
    st.sampled_from(["yyyy-MM-dd", "2020-01-01", "int8", "float", "meters", "item", "mean"]),
    st.text(max_size=10),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, STRINGS)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(STRINGS, inner, max_size=3)
    ),
    max_leaves=8,
)
POSITION = st.tuples(st.floats(-200, 200), st.floats(-95, 95)).map(list)
MAX_DEPTH = 4


def constant(value: Any) -> dict[str, Any]:
    return {"constantValue": value}


def call(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"functionInvocationValue": {"functionName": name, "arguments": arguments}}


def ring(points: list[Any]) -> dict[str, Any]:
    return call("GeometryConstructors.Polygon", coordinates=constant([points]))


GEOMETRIES = st.one_of(
    POSITION.map(lambda p: call("GeometryConstructors.Point", coordinates=constant(p))),
    st.lists(POSITION, min_size=0, max_size=6).map(ring),
    st.lists(POSITION, min_size=0, max_size=4).map(
        lambda ps: call("GeometryConstructors.LineString", coordinates=constant(ps))
    ),
)
FEATURES = st.builds(
    lambda shape, properties: call("Feature", geometry=shape, metadata=constant(properties)),
    st.one_of(st.just(constant(None)), GEOMETRIES),
    st.dictionaries(STRINGS, SCALARS, max_size=3),
)
IMAGES = st.one_of(
    NUMBERS.map(lambda n: call("Image.constant", value=constant(n))),
    st.just(call("Image.pixelLonLat")),
)
SAMPLES = {
    "Geometry": GEOMETRIES,
    "Feature": FEATURES,
    "Element": st.one_of(FEATURES, IMAGES),
    "Image": IMAGES,
    "FeatureCollection": st.lists(FEATURES, max_size=3).map(
        lambda fs: call("Collection", features={"arrayValue": {"values": fs}})
    ),
    "ImageCollection": st.lists(IMAGES, max_size=3).map(
        lambda images: call("ImageCollection.fromImages", images={"arrayValue": {"values": images}})
    ),
    "Number": NUMBERS.map(constant),
    "Integer": st.integers(-3, 40).map(constant),
    "Long": st.integers(-3, 40).map(constant),
    "Float": NUMBERS.map(constant),
    "Boolean": st.booleans().map(constant),
    "String": STRINGS.map(constant),
    "List": st.lists(SCALARS, max_size=4).map(constant),
    "Dictionary": st.dictionaries(STRINGS, SCALARS, max_size=3).map(constant),
    "Date": st.integers(-(10**13), 10**13).map(lambda ms: call("Date", value=constant(ms))),
    "Array": st.lists(NUMBERS, max_size=4).map(lambda v: call("Array", values=constant(v))),
    "Projection": st.sampled_from(["EPSG:4326", "EPSG:3857", "EPSG:32633"]).map(constant),
}


@functools.cache
def producers() -> dict[str, list[str]]:
    """Return the registered algorithms by the type of what they return."""
    found: dict[str, list[str]] = {}
    for name in sorted(registry.registered()):
        kind = outer(registry.signatures()[name]["returnType"])
        found.setdefault(kind, []).append(name)
    return found


def outer(declared: str) -> str:
    return declared.partition("<")[0]


@st.composite
def value(draw: Any, declared: str, depth: int) -> dict[str, Any]:
    kind = outer(declared)
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return constant(draw(JSON))
    if kind == "Algorithm":
        return {"functionDefinitionValue": {"argumentNames": ["x"], "body": "body"}}
    if choice > 4 and depth < MAX_DEPTH and kind in producers():
        return draw(invocation(draw(st.sampled_from(producers()[kind])), depth + 1))
    return draw(SAMPLES[kind]) if kind in SAMPLES else constant(draw(JSON))


@st.composite
def invocation(draw: Any, name: str, depth: int = 0) -> dict[str, Any]:
    arguments = {}
    for argument in registry.signatures()[name].get("arguments", ()):
        if argument.get("optional") and draw(st.booleans()):
            continue
        if draw(st.integers(0, 30)) == 0:
            continue
        arguments[argument["argumentName"]] = draw(value(argument["type"], depth))
    return call(name, **arguments)


@st.composite
def graphs(draw: Any) -> dict[str, Any]:
    """Return an expression that calls any of the algorithms."""
    name = draw(st.sampled_from(sorted(registry.registered())))
    body = draw(
        st.one_of(
            st.just({"argumentReference": "x"}),
            st.just(constant(None)),
            st.just(call("Image.constant", value=constant(1))),
            st.just(call("Number.add", left={"argumentReference": "x"}, right=constant(1))),
        )
    )
    return {"result": "0", "values": {"0": draw(invocation(name)), "body": body}}


# --- mutations of graphs that make sense


@functools.cache
def valid_graphs() -> list[str]:
    """Return the expressions of the conformance cases."""
    families = [m.name for m in pkgutil.iter_modules(conformance.__path__) if "_family" in m.name]
    cases = [c for f in families for c in importlib.import_module(f"conformance.{f}").CASES]
    built = (subject.build() for subject in cases)
    return [json.dumps(ee.serializer.encode(each)) for each in built if hasattr(each, "encode")]


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to all parts of a graph."""
    found = [path]
    items: Any = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for key, child in items:
        found += places(child, (*path, key))
    return found


@st.composite
def mutants(draw: Any, valid: list[str]) -> Any:
    """Return a valid expression with a few parts replaced, removed, repeated or swapped."""
    graph = json.loads(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 3))):
        paths = places(graph)
        path = draw(st.sampled_from(paths))
        if not path:
            continue
        holder = functools.reduce(lambda part, key: part[key], path[:-1], graph)
        match draw(st.integers(0, 4)):
            case 0:
                holder[path[-1]] = draw(JSON)
            case 1:
                del holder[path[-1]]
            case 2:
                source = functools.reduce(
                    lambda part, key: part[key], draw(st.sampled_from(paths)), graph
                )
                holder[path[-1]] = copy.deepcopy(source)
            case 3 if isinstance(holder, dict):
                holder[draw(st.sampled_from(["values", "result", "argumentReference", "x"]))] = (
                    holder[path[-1]]
                )
            case _ if isinstance(holder[path[-1]], str):
                holder[path[-1]] = draw(st.sampled_from(sorted(registry.registered())))
    return graph


def check(emulator: Running, expression: Any) -> None:
    url = f"{emulator.url}/v1/projects/{PROJECT}/value:compute"
    data = json.dumps({"expression": expression})
    response = requests.post(url, data=data, timeout=SECONDS)
    if response.status_code == 200:
        assert "result" in response.json()
        return
    assert response.status_code == 400, f"{response.status_code} {response.text}: {data}"
    error = response.json()["error"]
    assert error["code"] == 400
    assert error["message"]
    assert error["status"] == "INVALID_ARGUMENT"


@settings(RELAXED, max_examples=EXAMPLES // 2)
@given(graph=graphs())
def test_random_graphs_are_answered(ee_emulator: Running, graph: Any):
    check(ee_emulator, graph)


@settings(RELAXED, max_examples=EXAMPLES // 2)
@given(data=st.data())
def test_mutated_graphs_are_answered(ee_emulator: Running, data: Any):
    check(ee_emulator, data.draw(mutants(valid_graphs())))


@pytest.mark.soak
@settings(RELAXED, max_examples=SOAK_EXAMPLES // 2)
@given(graph=graphs())
def test_many_random_graphs_are_answered(ee_emulator: Running, graph: Any):
    check(ee_emulator, graph)


@pytest.mark.soak
@settings(RELAXED, max_examples=SOAK_EXAMPLES // 2)
@given(data=st.data())
def test_many_mutated_graphs_are_answered(ee_emulator: Running, data: Any):
    check(ee_emulator, data.draw(mutants(valid_graphs())))
