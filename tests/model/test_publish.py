"""Publishing a model: one export, whoever asks and how often."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import ee
import pytest
import requests

from emulator import client, launch
from model.publish import asset_id, publish
from shared import models
from shared.errors import PermanentError

ROOT = "projects/demo-project/assets"


@pytest.fixture
def emulator(tmp_path):
    """A function that starts an emulator on the same folder, with options."""

    def start(*options):
        return launch.running(tmp_path / "data", [], *options)

    return start


def exports(url):
    return requests.get(f"{url}/emulator/stats").json()["exports_started"]


def test_two_publishers_make_one_export(emulator):
    model = models.load("cloud-6")
    with emulator() as url:
        client.connect(url)
        with ThreadPoolExecutor(2) as pool:
            names = list(pool.map(lambda _: publish(model, ROOT), range(2)))
        assert set(names) == {asset_id(ROOT, model)}
        assert ee.data.getAsset(names[0])["type"] == "CLASSIFIER"
        assert exports(url) == 1
        publish(model, ROOT)
        assert exports(url) == 1
        ee.data.deleteAsset(names[0])
        assert ee.data.getAsset(publish(model, ROOT))["type"] == "CLASSIFIER"
        assert exports(url) == 2


def test_a_failed_export_is_told_and_tried_again_by_the_next_call(emulator, tmp_path):
    model = models.load("cloud-6")
    faults = {"faults": [{"kind": "task_fails", "task": "EXPORT_CLASSIFIER"}]}
    (tmp_path / "faults.yaml").write_text(json.dumps(faults))
    with emulator("--faults", str(tmp_path / "faults.yaml")) as url:
        client.connect(url)
        with pytest.raises(PermanentError, match=f"{model.asset_name} was not published: "):
            publish(model, ROOT)
    with emulator() as url:
        client.connect(url)
        assert publish(model, ROOT) == asset_id(ROOT, model)


def test_what_decides_a_pixel_decides_the_version():
    model = models.load("cloud-13")
    others = [
        replace(model, cutoffs={**model.cutoffs, "cloud": 0.41}),
        replace(model, calibration=((0.0, 0.0), (1.0, 1.0))),
        replace(model, sha256="0" * 64),
    ]
    assert len({model.version, *(x.version for x in others)}) == 4
    assert replace(model, trained_on="other words").version == model.version
    assert [x.asset_name == model.asset_name for x in others] == [True, True, False]
    original = models.load_original()
    assert replace(original, cutoff=0.5).version != original.version
