"""Graphs as they are posted: deep, absurd, or for what the emulator does not have."""

from typing import Any

import ee
import pytest
import requests
from conftest import Running

from emulator import PROJECT
from emulator.errors import EarthEngineError
from emulator.graph import on_deep_stack

pytestmark = pytest.mark.usefixtures("ee_emulator")

SECONDS = 30  # for one graph, on a busy machine


def constant(value: Any) -> dict[str, Any]:
    return {"constantValue": value}


def call(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"functionInvocationValue": {"functionName": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"0": {"valueReference": "0"}}, "cycle"),
        ({"0": {"valueReference": "9"}}, "does not exist"),
        ({"0": {"argumentReference": "x"}}, "not defined"),
        ({"0": {"functionInvocationValue": {"functionName": "Nonsense"}}}, "Unknown"),
        (
            {"0": {"functionInvocationValue": {"functionName": "Number.add", "arguments": {}}}},
            "Parameter 'left' is required",
        ),
    ],
)
def test_graphs_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ee.EEException, match=message):
        _compute({"result": "0", "values": values})


def _compute(expression):
    resource = ee.data._get_cloud_projects().value()
    request = resource.compute(
        project=ee.data._get_projects_path(), body={"expression": expression}
    )
    return ee.data._execute_cloud_call(request)["result"]


def test_what_is_missing_says_so():
    with pytest.raises(ee.EEException, match=r"Landsat\.TOA is not implemented by the emulator"):
        ee.Algorithms.Landsat.TOA(ee.Image(1)).getInfo()


CHAIN = 100_000


def nested_lists(depth: int) -> str:
    return (
        '{"expression":{"result":"0","values":{"0":{"constantValue":'
        + "[" * depth
        + ("]" * depth + "}}}}")
    )


def chain(length: int) -> dict[str, Any]:
    nodes = {str(i): {"valueReference": str(i + 1)} for i in range(length)}
    return {"result": "0", "values": {**nodes, str(length): constant(1)}}


def added(length: int) -> dict[str, Any]:
    nodes = {"0": constant(0)}
    for i in range(1, length + 1):
        nodes[str(i)] = call("Number.add", left={"valueReference": str(i - 1)}, right=constant(1))
    return {"result": str(length), "values": nodes}


def doubling(name: str, first: str, second: str, start: Any) -> dict[str, Any]:
    """Return fifty doublings of a value."""
    nodes = {"0": constant(start)}
    for i in range(1, 51):
        last = {"valueReference": str(i - 1)}
        nodes[str(i)] = call(name, **{first: last, second: last})
    return {"result": "50", "values": nodes}


def nested_twice(levels: int) -> dict[str, Any]:
    """Return a list that holds the same list twice, and so on."""
    nodes: dict[str, Any] = {"0": constant([1])}
    for i in range(1, levels + 1):
        nodes[str(i)] = {"arrayValue": {"values": [{"valueReference": str(i - 1)}] * 2}}
    return {"result": str(levels), "values": nodes}


SELF_APPLICATION = {
    "result": "0",
    "values": {
        "0": {
            "functionInvocationValue": {
                "functionReference": "f",
                "arguments": {"x": {"valueReference": "f"}},
            }
        },
        "f": {"functionDefinitionValue": {"argumentNames": ["x"], "body": "body"}},
        "body": {
            "functionInvocationValue": {
                "functionReference": "x",
                "arguments": {"x": {"argumentReference": "x"}},
            }
        },
        "x": {"argumentReference": "x"},
    },
}
ABSURD = {
    "nothing": {},
    "a list": [],
    "values that are a list": {"result": 0, "values": [constant(1)]},
    "a result that is a list": {"result": ["0"], "values": {"0": constant(1)}},
    "a node that is a number": {"result": "0", "values": {"0": 1}},
    "two kinds": {"result": "0", "values": {"0": {"constantValue": 1, "valueReference": "0"}}},
    "an unknown kind": {"result": "0", "values": {"0": {"value": 1}}},
    "a cycle": {"result": "0", "values": {"0": {"valueReference": "0"}}},
    "a cycle through a function": {
        "result": "0",
        "values": {"0": {"functionDefinitionValue": {"argumentNames": [], "body": "0"}}},
    },
    "argument names that are numbers": {
        "result": "0",
        "values": {
            "0": {"functionDefinitionValue": {"argumentNames": [1], "body": "1"}},
            "1": constant(1),
        },
    },
    "arguments that are a list": {
        "result": "0",
        "values": {"0": {"functionInvocationValue": {"functionName": "Date", "arguments": []}}},
    },
    "values of an array that are a dictionary": {
        "result": "0",
        "values": {"0": {"arrayValue": {"values": {"a": 1}}}},
    },
    "an integer that is none": {"result": "0", "values": {"0": {"integerValue": "1e999"}}},
    "an integer of 10,000 digits": {
        "result": "0",
        "values": {"0": {"integerValue": "9" * 10_000}},
    },
    "a function that calls itself": SELF_APPLICATION,
    "a chain of 100,000 references": chain(CHAIN),
    "a chain of 100,000 sums": added(CHAIN),
    "a list that doubles": doubling("List.cat", "list", "other", [1]),
    "a list of twice the same list": nested_twice(60),
    "a text that doubles": doubling("String.cat", "string1", "string2", "ab"),
    "a function as the result": {
        "result": "0",
        "values": {
            "0": {"functionDefinitionValue": {"argumentNames": [], "body": "1"}},
            "1": constant(1),
        },
    },
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_graphs_are_refused(ee_emulator: Running, name: str):
    url = f"{ee_emulator.url}/v1/projects/{PROJECT}/value:compute"
    response = requests.post(url, json={"expression": ABSURD[name]}, timeout=SECONDS)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_what_takes_too_long_is_ended():
    def endless() -> None:
        while True:
            pass

    with pytest.raises(EarthEngineError, match="Computation timed out"):
        on_deep_stack(endless, 0.2)()


@pytest.mark.parametrize("depth", [900, 50_000, 2_000_000])
def test_deeply_nested_json_is_answered(ee_emulator: Running, depth: int):
    url = f"{ee_emulator.url}/v1/projects/{PROJECT}/value:compute"
    response = requests.post(url, data=nested_lists(depth), timeout=SECONDS)
    assert response.status_code in (200, 400), response.text[:1000]
    assert ee.Number(1).getInfo() == 1  # it lives


def test_a_chain_of_thousands_of_nodes_is_evaluated(ee_emulator: Running):
    url = f"{ee_emulator.url}/v1/projects/{PROJECT}/value:compute"
    response = requests.post(url, json={"expression": added(3000)}, timeout=SECONDS)
    assert response.json() == {"result": 3000}


def test_an_integer_beyond_64_bits_is_a_double(ee_emulator: Running):
    assert ee.Number(10).getInfo() == 10
    url = f"{ee_emulator.url}/v1/projects/{PROJECT}/value:compute"
    body = '{"expression":{"result":"0","values":{"0":{"constantValue":' + "9" * 30 + "}}}}"
    assert requests.post(url, data=body, timeout=SECONDS).json() == {"result": 1e30}
