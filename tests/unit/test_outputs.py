import json
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pystac
import pytest

from shared.domain import outputs
from shared.domain.exports import Export, Failure
from shared.domain.failures import classify
from shared.domain.runs import MASK_ALGORITHM, RunConfiguration, register

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = register(
    RunConfiguration(
        name="demo",
        region={"type": "Polygon", "coordinates": []},
        start=date(2018, 3, 1),
        end=date(2018, 11, 1),
        destination="projects/demo-project/assets/masks",
    )
)
FOOTPRINT = {
    "type": "MultiPolygon",
    "coordinates": [
        [[[14.0, 45.0], [15.0, 45.0], [15.0, 46.0], [14.0, 45.0]]],
        [[[16.0, 47.0], [16.5, 47.0], [16.5, 47.5], [16.0, 47.0]]],
    ],
}
RECORD = Export(
    export_id="mask-1",
    run="demo",
    run_id=RUN.run_id,
    image_id="20180101T105441_20180101T105435_T31UDT",
    acquisition="Sentinel-2A/20180101T105441/31UDT",
    sensed_at=datetime(2018, 1, 1, 10, 54, 41, 123000, tzinfo=UTC),
    platform="Sentinel-2A",
    tile="31UDT",
    footprint=json.dumps(FOOTPRINT),
    grid=("EPSG:32631", 20),
    queued_at=NOW,
)
GOOD = {
    "run_key": "mask-1",
    "bands": ["cloud_probability", "class", "agreement"],
    "crs": "EPSG:32631",
    "scale": 20.0,
    "valid_share": 0.5,
    "cloud_share": 0.25,
    "background_images": 7,
    "qa60_present": 1,
    "s2cloudless_present": 0,
}


def test_a_good_output_has_no_problem():
    assert outputs.check(RECORD, outputs.MASK_BANDS, GOOD) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"bands": ["cloud"]},
            "bands is ['cloud'], expected ['cloud_probability', 'class', 'agreement']",
        ),
        ({"crs": "EPSG:4326"}, "crs is 'EPSG:4326', expected 'EPSG:32631'"),
        ({"scale": 30.0}, "pixel size is 30.0 m, expected 20 m"),
        ({"valid_share": 0.0}, "no pixel is valid"),
        ({"valid_share": None}, "no pixel is valid"),
    ],
)
def test_what_is_wrong_with_an_output_is_said(wrong, words):
    assert outputs.check(RECORD, outputs.MASK_BANDS, {**GOOD, **wrong}) == [words]


def test_the_item_is_what_stac_readers_expect():
    item = pystac.Item.from_dict(json.loads(outputs.stac_item(RUN, RECORD, GOOD, NOW)))
    assert item.bbox == [14.0, 45.0, 16.5, 47.5]
    assert item.geometry == FOOTPRINT
    assert item.datetime == RECORD.sensed_at
    assert item.properties["eo:cloud_cover"] == 25
    assert item.properties["platform"] == "sentinel-2a"
    assert item.properties["grid:code"] == "MGRS-31UDT"
    assert item.properties["proj:code"] == "EPSG:32631"


def test_the_item_says_what_the_mask_was_made_from():
    item = pystac.Item.from_dict(json.loads(outputs.stac_item(RUN, RECORD, GOOD, NOW)))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert item.properties["processing:software"] == {"verdure": project["version"]}
    expected = {
        "algorithm": MASK_ALGORITHM,
        "preset": "default",
        "inputs": ["qa60"],
        "background_images": 7,
        "parameters": {
            "preset": "default",
            "background_images": 20,
            "background_days": 60,
            "difference": 0.04,
            "brightness": 0.175,
        },
    }
    assert {name: item.properties[f"verdure:{name}"] for name in expected} == expected


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("Computation timed out.", Failure.TRANSIENT),
        ("User memory limit exceeded.", Failure.TRANSIENT),
        ("An internal error has occurred", Failure.TRANSIENT),
        ("Not enough space in Google Drive (need 3.8GB for this export).", Failure.QUOTA),
        ("Image.select: Band pattern 'x' did not match any bands.", Failure.PERMANENT),
        ("Export too large: specified 9 pixels (max: 1).", Failure.PERMANENT),
        ("Cannot overwrite asset 'projects/p/assets/x'.", Failure.PERMANENT),
        ("words that nobody has seen", Failure.PERMANENT),
    ],
)
def test_what_an_error_text_means(error, failure):
    assert classify(error) is failure
