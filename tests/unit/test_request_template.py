"""A request with names in it, of which all requests of a kind are made."""

import copy

import pytest

from shared.adapters.earth_engine import IMAGE_ID, REQUEST_ID, RUN_KEY, _Template
from shared.errors import PermanentError

NAMES = {IMAGE_ID: "20180301T100021_T33TTJ", RUN_KEY: "mask-0a", REQUEST_ID: "mask-0a-2"}
SHARED = {"functionInvocationValue": {"functionName": "Image.constant", "arguments": {}}}


def request():
    """Names in the graph, in a node of their own and within a text, and beside it."""
    return {
        "description": f"{IMAGE_ID} {REQUEST_ID}",
        "assetExportOptions": {"earthEngineDestination": {"name": f"a/masks/{IMAGE_ID}"}},
        "maxPixels": {"value": "1000"},
        "expression": {
            "result": "2",
            "values": {
                "0": SHARED,
                "1": {"constantValue": f"COPERNICUS/S2_HARMONIZED/{IMAGE_ID}"},
                "2": {"dictionaryValue": {"values": {"run_key": {"constantValue": RUN_KEY}}}},
            },
        },
    }


def test_each_name_is_replaced_wherever_it_is():
    filled = _Template(request()).filled(NAMES)
    assert filled == {
        "description": "20180301T100021_T33TTJ mask-0a-2",
        "assetExportOptions": {
            "earthEngineDestination": {"name": "a/masks/20180301T100021_T33TTJ"}
        },
        "maxPixels": {"value": "1000"},
        "expression": {
            "result": "2",
            "values": {
                "0": SHARED,
                "1": {"constantValue": "COPERNICUS/S2_HARMONIZED/20180301T100021_T33TTJ"},
                "2": {"dictionaryValue": {"values": {"run_key": {"constantValue": "mask-0a"}}}},
            },
        },
    }


def test_what_has_no_name_in_it_is_shared_and_nothing_else():
    template = _Template(request())
    one, other = (
        template.filled({**NAMES, IMAGE_ID: name})["expression"]["values"] for name in "ab"
    )
    assert one["0"] is other["0"]
    assert [x["1"]["constantValue"][-2:] for x in (one, other)] == ["/a", "/b"]


def test_the_original_request_is_left_as_it_is():
    original = request()
    before = copy.deepcopy(original)
    _Template(original).filled(NAMES)
    assert original == before


@pytest.mark.parametrize("wrong", ['a"', "a\\", "../a", "a/b", "a b", "ä", ""])
def test_what_could_change_the_request_is_refused_with_its_name(wrong):
    with pytest.raises(PermanentError, match=f"{IMAGE_ID} is .*, expected letters, digits"):
        _Template(request()).filled({**NAMES, IMAGE_ID: wrong})


def test_the_text_of_a_graph_is_short():
    values = _Template(request()).filled(NAMES)["expression"]["values"]
    assert repr(values) == "<3 values>"
