import json
from datetime import date
from pathlib import Path

import pytest
import yaml

from shared.config import read_run, read_settings
from shared.errors import InvalidConfiguration

SQUARE = {
    "type": "Polygon",
    "coordinates": [[[14, 45], [15, 45], [15, 46], [14, 46], [14, 45]]],
}
BOW_TIE = {
    "type": "Polygon",
    "coordinates": [[[14, 45], [15, 46], [15, 45], [14, 46], [14, 45]]],
}
GOOD = {
    "name": "slovenia-2018",
    "region": SQUARE,
    "start": date(2018, 3, 1),
    "end": date(2018, 11, 1),
    "destination": "projects/demo-project/assets/verdure/masks",
}


@pytest.fixture
def read(tmp_path):
    def read_content(**changes):
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump({**GOOD, **changes}))
        return read_run(path)

    return read_content


def test_a_good_configuration(read):
    run = read(mask={"scale": 10}, limits={"queued_tasks": 20})
    assert (run.mask.scale, run.mask.background_images, run.limits.queued_tasks) == (10, 20, 20)
    assert run.first_instant.isoformat() == "2018-01-30T00:00:00+00:00"
    assert run.last_instant.isoformat() == "2018-12-01T00:00:00+00:00"


def test_inputs_of_a_preset(read):
    assert read().mask.wanted_inputs == ("qa60", "cloud_score_plus")
    turned = read(mask={"inputs": ["cloud_score_plus", "s2cloudless"]})
    assert turned.mask.wanted_inputs == ("s2cloudless", "cloud_score_plus")
    assert read(mask={"inputs": []}).mask.wanted_inputs == ()
    assert read(mask={"preset": "original", "scale": 10}).mask.wanted_inputs == ()


def test_a_region_file_is_read_in(read, tmp_path):
    feature = {"type": "Feature", "geometry": SQUARE, "properties": {}}
    collection = {"type": "FeatureCollection", "features": [feature]}
    (tmp_path / "region.geojson").write_text(json.dumps(collection))
    assert read(region="region.geojson").region["type"] == "Polygon"


def test_a_table_stays_a_name(read):
    assert read(land="projects/demo-project/assets/land").land.endswith("/land")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"region": "nowhere.geojson"}, ["region", "nowhere.geojson", "No such file"]),
        ({"region": BOW_TIE}, ["region", "Self-intersection", "14.5 45.5", "redraw"]),
        ({"region": {"type": "Point", "coordinates": [14, 45]}}, ["Point", "expected a Polygon"]),
        ({"region": 7}, ["region is 7", "expected GeoJSON"]),
        ({"end": date(2018, 1, 1)}, ["end is 2018-01-01", "after start (2018-03-01)"]),
        ({"start": "soon"}, ["$.start", "soon"]),
        ({"day_before": 10}, ["unknown key day_before", "did you mean days_before?"]),
        ({"limits": {"queud_tasks": 3}}, ["limits.queud_tasks", "did you mean queued_tasks?"]),
        ({"limits": {"queued_tasks": 5000}}, ["5000", "3000"]),
        ({"limits": {"queued_tasks": "many"}}, ["$.limits.queued_tasks", "many"]),
        ({"mask": {"preset": "orignal"}}, ["mask.preset is 'orignal'", "default or original"]),
        (
            {"mask": {"inputs": ["qa60", "fmask"]}},
            ["mask.inputs is ['qa60', 'fmask']", "s2cloudless"],
        ),
        ({"mask": {"inputs": ["qa60", "qa60"]}}, ["mask.inputs is", "each once"]),
        ({"mask": {"inputs": "qa60"}}, ["$.mask.inputs", "qa60"]),
        (
            {"mask": {"preset": "original", "difference": 0.1, "inputs": []}},
            ["mask.inputs, mask.difference", "preset original", "leave it out"],
        ),
        ({"mask": {"difference": 400}}, ["400", "reflectances between 0 and 1"]),
        ({"destination": "masks"}, ["destination is 'masks'", "projects/PROJECT/assets"]),
        ({"name": "Slovenia 2018"}, ["'Slovenia 2018'", "lower-case"]),
        ({"days_before": -1}, ["days_before", "-1"]),
        ({"archive": {"bucket": "gs://b"}}, ["archive.bucket is 'gs://b'", "without gs://"]),
        ({"archive": {"buckt": "b"}}, ["unknown key archive.buckt", "did you mean bucket?"]),
        ({"archive": {"bucket": "abc", "low": 0.9}}, ["archive.low", "0.9", "low at most high"]),
        ({"archive": {"bucket": "abc", "restore": "fax"}}, ["fax"]),
        ({"archive": {"bucket": "abc", "undo_hours": -1}}, ["archive.undo_hours is -1"]),
        ({"collection": 'S2", "x": "'}, ["collection is", "such as COPERNICUS/S2_HARMONIZED"]),
        ({"collection": "../masks"}, ["collection is '../masks'"]),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_what_would_be_right(read, changes, words):
    with pytest.raises(InvalidConfiguration) as caught:
        read(**changes)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_all_mistakes_are_told_at_once(read):
    with pytest.raises(InvalidConfiguration) as caught:
        read(end=date(2018, 1, 1), destination="masks", limits={"attempts": 0})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("text", ["", "- a\n- b", "a: [", "name"])
def test_what_is_not_a_configuration_at_all(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration, match=r"run\.yaml"):
        read_run(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InvalidConfiguration, match="No such file"):
        read_run(tmp_path / "missing.yaml")


def test_a_deployment_has_a_name_only_in_the_cloud():
    of = {"VERDURE_PROJECT": "my-project", "VERDURE_DEPLOYMENT": "staging"}
    assert read_settings(of).deployment == "staging"
    assert read_settings(of, stack="emulators").deployment == ""
    with pytest.raises(InvalidConfiguration, match="VERDURE_DEPLOYMENT is 'My Staging'"):
        read_settings({**of, "VERDURE_DEPLOYMENT": "My Staging"})


def test_settings():
    settings = read_settings({"GOOGLE_CLOUD_PROJECT": "my-project"})
    assert (settings.stack, settings.project, settings.earth_engine_url) == (
        "cloud",
        "my-project",
        None,
    )
    embedded = {
        "VERDURE_STACK": "embedded",
        "VERDURE_PROJECT": "my-project",
        "VERDURE_DATA": "/data",
    }
    assert read_settings(embedded).data == Path("/data")


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(InvalidConfiguration) as caught:
        read_settings({"VERDURE_STACK": "embeded", "GOOGLE_CLOUD_PROJECT": "X"})
    assert len(caught.value.problems) == 2
    assert "embeded" in str(caught.value)
    with pytest.raises(InvalidConfiguration, match="VERDURE_DATA"):
        read_settings({"VERDURE_STACK": "embedded", "VERDURE_PROJECT": "my-project"})
