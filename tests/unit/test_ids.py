import re

from shared.domain import ids

GRID = ("EPSG:32631", 20)


def test_the_id_depends_on_everything_and_on_nothing_else():
    base = ids.export_id("mask", "image", "mask-1", {"a": 1, "b": 2}, GRID)
    assert base == ids.export_id("mask", "image", "mask-1", {"b": 2, "a": 1}, GRID)
    others = [
        ids.export_id("ndvi", "image", "mask-1", {"a": 1, "b": 2}, GRID),
        ids.export_id("mask", "other", "mask-1", {"a": 1, "b": 2}, GRID),
        ids.export_id("mask", "image", "mask-2", {"a": 1, "b": 2}, GRID),
        ids.export_id("mask", "image", "mask-1", {"a": 1, "b": 3}, GRID),
        ids.export_id("mask", "image", "mask-1", {"a": 1, "b": 2}, ("EPSG:32631", 10)),
    ]
    assert len({base, *others}) == 6


def test_a_request_id_is_one_earth_engine_takes_and_can_be_read_back():
    export_id = ids.export_id("mask", "image", "mask-1", {}, GRID)
    for attempt in (1, 2, 17):
        name = ids.request_id(export_id, attempt)
        assert re.fullmatch(r"[A-Za-z0-9-]{1,60}", name)
        assert ids.split_request_id(name) == (export_id, attempt)
