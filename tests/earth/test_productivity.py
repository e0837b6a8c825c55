"""Maps of the synthetic region against what its truth says of productivity."""

import ee
import pytest

from benchmarks import productivity as benchmark
from emulator import client, launch
from emulator.scenes.synthetic import write_region
from shared.domain.runs import SEASON, register
from shared.earth.productivity import map_of

SIDE = 24  # pixels that are compared


@pytest.fixture(scope="module")
def scores(_region_scenes, tmp_path_factory):
    """Scores of maps by the truth's own classes, and by no mask at all."""
    region = _region_scenes.folder.parent
    run = register(benchmark.configuration())
    known = benchmark.truth(region, SIDE)
    folders = [region / name for name in ("scenes", "truth")]
    with launch.running(tmp_path_factory.mktemp("data"), folders) as url:
        client.connect(url)
        scenes = ee.ImageCollection(run.configuration.collection)
        perfect = benchmark.true_class(ee.ImageCollection(benchmark.TRUTH_COLLECTION))
        masks = {"perfect": perfect, "none": perfect.map(benchmark.everything)}
        images = {
            name: map_of(SEASON, run, benchmark.YEAR, scenes, chosen)
            for name, chosen in masks.items()
        }
        return {
            name: benchmark.compared(known, benchmark.found(image, run, region, SIDE))
            for name, image in images.items()
        }


def test_with_perfect_masks_productivity_is_the_truths(scores):
    assert scores["perfect"]["TPROD_r2"] >= benchmark.MIN_R2
    assert abs(scores["perfect"]["TPROD_bias"]) <= benchmark.MAX_BIAS


def test_without_masks_it_is_not(scores):
    assert scores["none"]["TPROD_r2"] < 0.5
    assert scores["none"]["TPROD_bias"] < -0.2


@pytest.mark.soak
def test_with_our_masks_it_is_the_truths_in_a_region_that_nothing_was_chosen_on(tmp_path):
    region = tmp_path / "region"
    write_region(region, seed=5, size=128)
    steps = ["default", "no cloud mask", "original's fill"]
    scores = benchmark.measure(region, tmp_path / "run", steps)
    assert scores["default"]["TPROD_r2"] >= benchmark.MIN_R2
    assert abs(scores["default"]["TPROD_bias"]) <= benchmark.MAX_BIAS
    for without in steps[1:]:
        assert scores[without]["TPROD_r2"] < scores["default"]["TPROD_r2"] - 0.1
