"""`python -m benchmarks.productivity`: maps of the synthetic region against its truth.

Writes out/productivity.json. The truth's productivity is that of its NDVI, which knows no cloud
and no snow, straight between the dates of all images, by the walk over seasons in tests/earth. Each
variant leaves out one step of Verdure's own.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio

from cli import stacks
from cli.drive import drive
from cli.productivity import read_image
from cli.progress import console
from emulator.scenes.synthetic import FOLDERS, TRUTH_COLLECTION, TRUTH_NODATA, write_region
from shared.domain.classes import CLEAR
from shared.domain.runs import SEASON, ProductParameters, Run, RunConfiguration, register
from shared.earth.curves import EPOCH
from shared.earth.productivity import map_of
from shared.earth.season import STEP
from tests.earth import numpy_season

Array = np.ndarray[Any, Any]

OUT = Path("out/productivity.json")
YEAR = 2018
MASKS = "projects/demo-project/assets/verdure/masks"
WORLD = {"type": "Polygon", "coordinates": [[[14, 45], [15, 45], [15, 46], [14, 46], [14, 45]]]}
INTEGRALS = ("TPROD", "SPROD")
#: Issue 6, of TPROD.
MIN_R2, MAX_BIAS = 0.9, 0.03


def configuration(preset: str = "default") -> RunConfiguration:
    """Return a run over all images of the region, as the demo's."""
    return RunConfiguration(
        name="truth",
        region=WORLD,
        start=date(YEAR, 3, 1),
        end=date(YEAR, 10, 31),
        days_before=0,
        days_after=0,
        destination=MASKS,
        products=ProductParameters(preset=preset, scale=10),
    )


def truth(region: Path, side: int | None = None) -> dict[str, Array]:
    """Return TPROD and SPROD of all seasons of the year, NaN where there is none.

    `side`: of so many rows and columns only, the upper left ones.
    """
    manifest = json.loads((region / "truth" / "scenes.json").read_text())
    entries = sorted(manifest["scenes"], key=lambda scene: _time(scene))
    days = np.array([_time(scene) / 86_400_000 for scene in entries])
    stack = np.stack([_ndvi(region / "truth" / f"{scene['id']}.tif") for scene in entries])
    stack = stack[:, :side, :side]
    first, after = ((day - EPOCH).days for day in _period())
    steps = np.arange(first, after, STEP, dtype=float)
    shape = stack.shape[1:]
    found = {name: np.full(shape, np.nan) for name in INTEGRALS}
    for place in np.ndindex(shape):
        values = stack[(slice(None), *place)]
        seen = ~np.isnan(values)
        curve = np.interp(steps, days[seen], values[seen])
        seasons = numpy_season.seasons(steps, curve, YEAR)
        if seasons:
            for name in INTEGRALS:
                found[name][place] = sum(one[name] for one in seasons)
    return found


def _period() -> tuple[date, date]:
    run = configuration()
    return run.first_instant.date(), run.last_instant.date()


def _time(scene: dict[str, Any]) -> float:
    return float(scene["properties"]["system:time_start"])


def _ndvi(path: Path) -> Array:
    with rasterio.open(path) as raster:
        values = raster.read(2).astype(float)
    return np.where(values == TRUTH_NODATA, np.nan, values / 10_000)


def _as_masked(mask: ee.Image) -> ee.Image:
    certain = mask.select("cloud_probability").multiply(0)
    return ee.Image(mask.addBands(certain, None, True))


def everything(mask: ee.Image) -> ee.Image:
    same = mask.select(["class", "cloud_probability"]).multiply(0).add([CLEAR, 0])
    return ee.Image(same.copyProperties(mask, ["system:index", "system:time_start"]))


def true_class(masks: ee.ImageCollection) -> ee.ImageCollection:
    """Take the truth's classes for masks."""
    known = ee.ImageCollection(TRUTH_COLLECTION).select("class")
    return known.map(lambda image: image.addBands(image.multiply(0).rename("cloud_probability")))


#: What each variant takes for masks, and fills gaps with.
VARIANTS: dict[str, tuple[Callable[[ee.ImageCollection], ee.ImageCollection], str]] = {
    "default": (lambda masks: masks, "default"),
    "clear as the mask says": (lambda masks: masks.map(_as_masked), "default"),
    "perfect masks": (true_class, "default"),
    "no cloud mask": (lambda masks: masks.map(everything), "default"),
    "original's fill": (lambda masks: masks, "original"),
    "no cloud mask, original's fill": (lambda masks: masks.map(everything), "original"),
}


def measure(region: Path, work: Path, variants: list[str]) -> dict[str, dict[str, float]]:
    """Mask the region, and return scores by variant."""
    known = truth(region)
    folders = [region / name for name in FOLDERS]
    scores = {}
    with stacks.start("embedded", work, folders) as stack:
        outcome = drive(stack, register(replace(configuration(), products=None)), lambda *_: None)
        if outcome.problem:
            raise RuntimeError(outcome.problem)
        scenes = ee.ImageCollection(configuration().collection)
        for name in variants:
            choose, preset = VARIANTS[name]
            run = register(configuration(preset))
            image = map_of(SEASON, run, YEAR, scenes, choose(ee.ImageCollection(MASKS)))
            scores[name] = compared(known, found(image, run, region))
            console.print(name, scores[name])
    return scores


def found(image: ee.Image, run: Run, region: Path, side: int | None = None) -> dict[str, Array]:
    """Return the map's parameters at the pixels of `truth`."""
    example = next((region / "truth").glob("*.tif"))
    with rasterio.open(example) as raster:
        shape = (side, side) if side else raster.shape
        bands = read_image(image, run, SEASON, YEAR, raster.transform, raster.crs, shape)
    return {
        name: np.where(
            np.isnan(bands[f"{name}_1"]),
            np.nan,
            bands[f"{name}_1"] + np.nan_to_num(bands[f"{name}_2"]),
        )
        for name in INTEGRALS
    }


def compared(truth: dict[str, Array], found: dict[str, Array]) -> dict[str, float]:
    """Return how alike they are where both have a season, and where one alone has."""
    both = ~np.isnan(truth["TPROD"]) & ~np.isnan(found["TPROD"])
    scores = {
        "pixels": int(both.sum()),
        "missed": float((~np.isnan(truth["TPROD"]) & np.isnan(found["TPROD"])).mean()),
        "invented": float((np.isnan(truth["TPROD"]) & ~np.isnan(found["TPROD"])).mean()),
    }
    for name in INTEGRALS:
        true, ours = truth[name][both], found[name][both]
        residual = ((ours - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()
        scores[f"{name}_r2"] = round(float(1 - residual), 4)
        scores[f"{name}_bias"] = round(float((ours.mean() - true.mean()) / true.mean()), 4)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="pixels of the region's side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=VARIANTS, help="variant; repeatable")
    parser.add_argument("--work", type=Path, default=Path("out/productivity"))
    options = parser.parse_args()
    region = options.work / f"region-{options.seed}-{options.size}"
    write_region(region, seed=options.seed, size=options.size)
    run = options.work / f"run-{options.seed}-{options.size}"
    scores = measure(region, run, options.only or list(VARIANTS))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"size": options.size, "seed": options.seed, **scores}, indent=1))


if __name__ == "__main__":
    main()
