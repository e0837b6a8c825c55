"""What is written beside a copy, and how properties survive a manifest."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.validation import validate_dict

from shared.domain import copies, sidecars
from shared.domain.archive import Asset, File

GRID = {
    "crsCode": "EPSG:32633",
    "affineTransform": {"scaleX": 20, "translateX": 499_980, "scaleY": -20, "translateY": 5e6},
    "dimensions": {"width": 10, "height": 5},
}
DESCRIPTION = {
    "name": "projects/p/assets/masks/a",
    "startTime": "2018-03-01T10:05:41.024000Z",
    "updateTime": "2026-01-01T00:00:00Z",
    "properties": {"n": 1, "list": [1, 2]},
    "geometry": {"type": "Polygon", "coordinates": [[[14, 45], [15, 45], [15, 46], [14, 45]]]},
    "bands": [
        {"id": "class", "dataType": {"precision": "INT", "range": {"max": 255}}, "grid": GRID},
        {"id": "share", "dataType": {"precision": "FLOAT"}, "grid": GRID},
    ],
}
RECORD = Asset(
    record_id="asset-1",
    run="demo",
    asset_id=DESCRIPTION["name"],
    image_id="a",
    version="mask-1",
    sensed_at=datetime(2018, 3, 1, 10, 5, 41, 24_000, UTC),
    description=json.dumps(DESCRIPTION),
    size_bytes=1,
    layout="nodata",
)
FILE = File("gs://b/a/0.json", 3, "4waSgw==", 8)
STATISTICS = {"class_min": 0, "class_max": 4, "class_mean": 1.5, "class_count": 40}


def item():
    parts = copies.parts(DESCRIPTION, "nodata")
    files = [File(f"gs://b/{i}.tif", 9, "4waSgw==", 7) for i in range(len(parts))]
    return sidecars.item(RECORD, list(zip(parts, files, strict=True)), STATISTICS, RECORD.sensed_at)


def test_item_and_collection_are_valid_stac():
    """Held to the core schemas, which pystac brings; those of extensions are on the web."""
    pytest.importorskip("jsonschema")  # of the extra `dev`
    content = item()
    collection = sidecars.collection("masks", [replace(RECORD, files=(FILE,))])
    for found, kind in ((content, "Feature"), (collection, "Collection")):
        assert validate_dict(found, kind, "1.1.0", extensions=[])
    with pytest.raises(pystac.STACValidationError):
        validate_dict({**content, "links": None}, "Feature", "1.1.0", extensions=[])


def test_a_record_is_made_anew_of_its_item():
    content = json.loads(json.dumps(item()))
    found = sidecars.archived(content, FILE, "demo")
    assert found.files[:-1] == tuple(File(f"gs://b/{i}.tif", 9, "4waSgw==", 7) for i in (0, 1))
    assert sidecars.uri_of(content) == "gs://b/0.json"
    assert replace(found, state=RECORD.state, files=(), item="", size_bytes=1) == RECORD


def test_the_item_is_one_of_stac_with_all_that_a_restore_needs():
    content = item()
    read = pystac.Item.from_dict(content)
    assert read.datetime == RECORD.sensed_at
    assert read.properties["verdure:earth_engine"] == DESCRIPTION
    assert read.properties["system:time_start"] == 1519898741024
    # By pystac's own readers of the extensions, of those that it has in the versions named.
    grid = ProjectionExtension.ext(read.assets["data"])
    assert (grid.code, grid.shape) == ("EPSG:32633", [5, 10])
    file = FileExtension.ext(read.assets["data"])
    assert (file.size, file.checksum) == (9, "b20204e3069283")
    asset = read.assets["data"].to_dict()
    assert asset["proj:shape"] == [5, 10]
    assert asset["proj:transform"] == [20, 0, 499_980, 0, -20, 5e6]
    assert asset["file:checksum"] == "b20204e3069283"
    assert asset["bands"][0]["statistics"]["valid_percent"] == 80
    assert asset["bands"][0]["nodata"] == 255
    assert read.assets["data-1"].to_dict()["bands"][0]["nodata"] == "nan"
    assert sidecars.from_item(json.dumps(content)) == content


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no", "not JSON"),
        ("{}", "not a STAC item"),
        ('{"type": "Feature", "id": "S2A", "properties": {}}', "'S2A' is none of Verdure's"),
    ],
)
def test_a_foreign_item_is_refused_by_name(text, words):
    with pytest.raises(sidecars.ForeignItem, match=words):
        sidecars.from_item(text)


def test_the_2019_systems_json_is_written_and_read():
    content = sidecars.original([RECORD])
    ring = DESCRIPTION["geometry"]["coordinates"][0]
    assert content == {
        RECORD.asset_id: {"geometry": ring, "system:time_start": 1519898741024},
    }
    [(name, (moment, found))] = sidecars.from_original(json.dumps(content)).items()
    assert (name, moment, found) == (RECORD.asset_id, RECORD.sensed_at, ring)


properties = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.one_of(
        st.text(max_size=2500),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.none(),
        st.lists(st.integers(), max_size=3),
    ),
    max_size=6,
)


@given(properties)
def test_properties_come_through_a_manifest_with_their_types(before):
    before = {k: v for k, v in before.items() if not k.startswith(copies.ENCODED)}
    encoded = copies.encoded(before)
    for key, value in encoded.items():
        assert copies.KEY.fullmatch(key) or key in copies.SYSTEM_KEYS
        assert isinstance(value, str | int | float)
        assert not isinstance(value, str) or len(value) <= copies.MAX_TEXT
    after = copies.decoded(json.loads(json.dumps(encoded)))
    assert after == before
    assert {k: type(v) for k, v in after.items()} == {k: type(v) for k, v in before.items()}


def test_what_geotiff_cannot_hold_is_named():
    band = {"id": "x", "dataType": {"precision": "INT", "range": {"min": -1, "max": 2**40}}}
    with pytest.raises(copies.CannotBeCopied, match="band x has integers"):
        copies.dtype_of(band)
