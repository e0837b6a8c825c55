"""Maps of the synthetic region against what its truth says of productivity."""

from dataclasses import replace

import ee
import numpy as np
import pytest
from affine import Affine

from benchmarks import productivity as benchmark
from cli.productivity import read_image
from emulator import client, launch
from emulator.scenes.sentinel2 import CRS
from emulator.scenes.synthetic import ORIGIN, write_region
from shared.domain import indices
from shared.domain.classes import CLOUD
from shared.domain.products import bands_of
from shared.domain.runs import NDVI, SEASON, register
from shared.earth.productivity import map_of
from shared.earth.season import TOO_FEW

SIDE = 24  # pixels that are compared
GRID = Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1])


RUN = register(benchmark.configuration())


@pytest.fixture(scope="module")
def region(_region_scenes, tmp_path_factory):
    """The region's folder, with its scenes and its truth served."""
    folder = _region_scenes.folder.parent
    served = [folder / name for name in ("scenes", "truth")]
    with launch.running(tmp_path_factory.mktemp("data"), served) as url:
        client.connect(url)
        yield folder


def mapped(masks, kind=SEASON, run=RUN):
    scenes = ee.ImageCollection(run.configuration.collection)
    return map_of(kind, run, benchmark.YEAR, scenes, masks)


def perfect():
    """Masks that say what the truth says."""
    return benchmark.true_class(ee.ImageCollection(benchmark.TRUTH_COLLECTION))


@pytest.fixture(scope="module")
def scores(region):
    """Scores of maps by the truth's own classes, and by no mask at all."""
    known = benchmark.truth(region, SIDE)
    masks = {"perfect": perfect(), "none": perfect().map(benchmark.everything)}
    return {
        name: benchmark.compared(known, benchmark.found(mapped(chosen), RUN, region, SIDE))
        for name, chosen in masks.items()
    }


def test_with_perfect_masks_productivity_is_the_truths(scores):
    assert scores["perfect"]["TPROD_r2"] >= benchmark.MIN_R2
    assert abs(scores["perfect"]["TPROD_bias"]) <= benchmark.MAX_BIAS


def test_without_masks_it_is_not(scores):
    assert scores["none"]["TPROD_r2"] < 0.5
    assert scores["none"]["TPROD_bias"] < -0.2


def test_of_an_index_half_as_high_dates_are_the_same_and_values_half_as_high(region, monkeypatch):
    formula = f"0.5 * ({indices.NDVI.formula})"
    half = indices.VegetationIndex("HALF", formula, indices.NDVI.bands, amplitude=0.5)
    monkeypatch.setitem(indices.INDICES, "HALF", half)
    wanted = replace(RUN.configuration.products, index="HALF")
    run = register(replace(RUN.configuration, products=wanted))
    for kind in (SEASON, NDVI):
        whole, halved = (
            read_image(mapped(perfect(), kind, x), x, kind, benchmark.YEAR, GRID, CRS, (6, 6))
            for x in (RUN, run)
        )
        bands = bands_of(run, kind, benchmark.YEAR)
        assert any(np.isfinite(halved[band.name]).any() for band in bands if "HALF" in band.unit)
        for band in bands:
            expected = whole[band.name.replace("HALF", "NDVI")]
            factor, rounded = (0.5, band.scale) if "HALF" in band.unit else (1, 0)
            np.testing.assert_allclose(halved[band.name], expected * factor, atol=rounded)


CLOUDED = {"one image": lambda masks: masks.limit(1), "all masked": lambda masks: masks.map(cloudy)}


def cloudy(mask):
    return mask.addBands(mask.select("class").multiply(0).add(CLOUD), None, True)


@pytest.mark.parametrize("name", CLOUDED)
def test_with_too_few_observations_there_are_flags_and_no_numbers(name, region):
    masks = CLOUDED[name](perfect().map(benchmark.everything))
    season, steps = (
        read_image(mapped(masks, kind), RUN, kind, benchmark.YEAR, GRID, CRS, (4, 4))
        for kind in (SEASON, NDVI)
    )
    assert (season.pop("QFLAG_1") == TOO_FEW).all()
    assert all(np.isnan(values).all() for values in season.values())
    assert (steps.pop("COUNT") == (name == "one image")).all()
    assert all(np.isnan(values).all() for values in steps.values())


@pytest.mark.soak
def test_with_our_masks_it_is_the_truths_and_with_a_step_less_it_is_not(tmp_path):
    region = tmp_path / "region"
    write_region(region, seed=3, size=128)
    steps = ["default", "no cloud mask", "original's fill"]
    scores = benchmark.measure(region, tmp_path / "run", steps)
    assert scores["default"]["TPROD_r2"] >= benchmark.MIN_R2
    assert abs(scores["default"]["TPROD_bias"]) <= benchmark.MAX_BIAS
    for without in steps[1:]:
        assert scores[without]["TPROD_r2"] < scores["default"]["TPROD_r2"] - 0.1
