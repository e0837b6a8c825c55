import json

import pytest

from shared.errors import InvalidMessage
from shared.messages import TOPICS, EndedTask, ExportFinished, ImageFound, decode, encode

FOUND = ImageFound("demo-1", "mask-1", "20180101T105441_20180101T105435_T31UDT", 1)
FINISHED = ExportFinished("demo-1", (EndedTask("mask-1", 1, "FAILED", "op", "why", 1.5),))


@pytest.mark.parametrize("message", [FOUND, FINISHED])
def test_what_is_encoded_is_decoded(message):
    assert decode(type(message), encode(message)) == message
    assert TOPICS[message.topic] is type(message)


def without(field):
    content = json.loads(encode(FOUND))
    del content[field]
    return json.dumps(content).encode()


def with_(**fields):
    return json.dumps({**json.loads(encode(FOUND)), **fields}).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe", ["image-found", "not a JSON object"]),
        (b"[1, 2]", ["expected a JSON object", "[1, 2]"]),
        (without("export_id"), ["export_id"]),
        (without("version"), ["version is None"]),
        (with_(attempt="first"), ["$.attempt", "int", "first"]),
        (with_(version=2), ["version 2 is newer", "(1)", "deploy"]),
        (with_(version=0), ["version is 0"]),
    ],
)
def test_a_bad_message_is_named_and_kept(data, words):
    with pytest.raises(InvalidMessage) as caught:
        decode(ImageFound, data)
    assert all(word in str(caught.value) for word in words)
    assert caught.value.data == data


def test_a_field_that_a_later_version_added_does_no_harm():
    assert decode(ImageFound, with_(priority=7)) == FOUND
