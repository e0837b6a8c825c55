"""A request with names in it, of which all requests of a kind are made."""

import json

import pytest

from shared.adapters.earth_engine import IMAGE_ID, REQUEST_ID, RUN_KEY, filled
from shared.errors import PermanentError

NAMES = {IMAGE_ID: "20180301T100021_T33TTJ", RUN_KEY: "mask-0a", REQUEST_ID: "mask-0a-2"}


def request(image_id, run_key, request_id):
    """Return a request with ids in its graph, in a node of their own and within a text."""
    return {
        "description": f"{image_id} {request_id}",
        "requestId": request_id,
        "assetExportOptions": {"earthEngineDestination": {"name": f"a/masks/{image_id}"}},
        "expression": {
            "result": "2",
            "values": {
                "0": {"functionInvocationValue": {"functionName": "Image.constant"}},
                "1": {"constantValue": f"COPERNICUS/S2_HARMONIZED/{image_id}"},
                "2": {"dictionaryValue": {"values": {"run_key": {"constantValue": run_key}}}},
            },
        },
    }


def test_each_name_is_replaced_wherever_it_is_and_nothing_else():
    text = filled(json.dumps(request(*NAMES)), NAMES)
    assert json.loads(text) == request(*NAMES.values())


@pytest.mark.parametrize("wrong", ['a"', "a\\", "../a", "a/b", "a b", "ä", ""])
def test_what_could_change_the_request_is_refused_with_its_name(wrong):
    with pytest.raises(PermanentError, match=f"{IMAGE_ID} is .*, expected letters, digits"):
        filled(json.dumps(request(*NAMES)), {**NAMES, IMAGE_ID: wrong})
