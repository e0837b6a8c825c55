"""What a run's maps leave for people and programs: COGs, pictures, STAC."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio
from affine import Affine

from cli import maps, outputs
from cli.maps import Array, Panel
from cli.progress import bars
from shared.domain import products
from shared.domain.exports import Export, State
from shared.domain.runs import GPP, SEASON, Run

FOLDER = "productivity"
#: Pixels on a side of what is asked for at once: 40 bands of them stay below 48 MB.
PART = 128
NOTHING = -(10**9)
IN_SEASON = "  (in-season estimate)"


def write(run: Run, records: Sequence[Export], out: Path) -> list[Path]:
    """Write COG and STAC item of every map that was made, and a picture of those of seasons."""
    done = [record for record in records if record.state is State.SUCCEEDED]
    folder = out / FOLDER
    written = []
    with bars() as progress:
        for record in progress.track(done, description="Maps written"):
            path = folder / f"{record.kind}_{record.image_id}.tif"
            folder.mkdir(parents=True, exist_ok=True)
            _write_map(run, record, path)
            written.append(path)
    if done:
        items = [(record, f"{record.kind}_{record.image_id}") for record in done]
        for record, name in items:
            outputs.write_item(record, name, FOLDER, folder, _local_files(folder, name))
        description = f"Productivity of run {run.name}"
        outputs.write_collection(FOLDER, description, items, folder)
    return written


def _write_map(run: Run, record: Export, path: Path) -> None:
    if path.exists():
        with rasterio.open(path) as written:
            if written.tags().get("run_key") == record.export_id:
                return
    asset_id = run.place_of(record)
    grid = ee.data.getAsset(asset_id)["bands"][0]["grid"]
    year, affine, size = products.year_of(record), outputs.affine_of(grid), grid["dimensions"]
    shape = (size["height"], size["width"])
    described = products.bands_of(run, record.kind, year)
    physical = read_image(
        ee.Image(asset_id), run, record.kind, year, affine, grid["crsCode"], shape
    )
    tags = {
        "run_key": record.export_id,
        "run": run.run_id,
        "map": record.image_id,
        "units": json.dumps({band.name: band.unit for band in described}),
        "in_season": str(record.in_season),
    }
    maps.write_cog(path, physical, affine, grid["crsCode"], tags)
    wanted = run.configuration.products
    assert wanted is not None
    if panels := _panels(record.kind, wanted.index, physical):
        tile, year = record.image_id.rsplit("_", 1)
        caption = f"Tile {tile}, {year}, run {run.name}{IN_SEASON * record.in_season}"
        maps.draw(panels, caption, path.with_suffix(".png"))


def _panels(kind: str, index: str, bands: dict[str, Array]) -> list[Panel]:
    if kind == SEASON:
        land = ~np.isnan(bands["QFLAG_1"])
        dates = maps.day_of(bands["SOSD_1"])
        return [
            Panel(bands["TPROD_1"], land, f"Total productivity TPROD, {index} x days", maps.GREENS),
            Panel(dates, land, "Start of season SOSD", maps.DATES, maps.date_label),
        ]
    if kind == GPP:
        land = ~np.isnan(bands["WEATHER"])
        return [Panel(bands["GPP_1"], land, "Gross primary productivity, g C / m2", maps.GREENS)]
    return []


def read_image(
    image: ee.Image,
    run: Run,
    kind: str,
    year: int,
    affine: Affine,
    crs: Any,
    shape: tuple[int, int],
) -> dict[str, Array]:
    """Return a map's bands in their units on a grid (rows, columns), NaN where masked."""
    described = products.bands_of(run, kind, year)
    names = [band.name for band in described]
    filled = image.select(names).toDouble().unmask(NOTHING, False)
    bands = {name: np.full(shape, np.nan) for name in names}
    for y in range(0, shape[0], PART):
        for x in range(0, shape[1], PART):
            corner = affine @ Affine.translation(x, y)
            part = {
                "dimensions": {
                    "width": min(PART, shape[1] - x),
                    "height": min(PART, shape[0] - y),
                },
                "crsCode": str(crs),
                "affineTransform": {
                    "scaleX": corner.a,
                    "shearX": corner.b,
                    "translateX": corner.c,
                    "shearY": corner.d,
                    "scaleY": corner.e,
                    "translateY": corner.f,
                },
            }
            request = {"expression": filled, "fileFormat": "NUMPY_NDARRAY", "grid": part}
            pixels = ee.data.computePixels(request)
            for band in described:
                values = np.where(pixels[band.name] == NOTHING, np.nan, pixels[band.name])
                bands[band.name][y : y + PART, x : x + PART] = values * band.scale
    return bands


def _local_files(folder: Path, name: str) -> dict[str, Any]:
    """Return the STAC assets of the files beside an item."""
    files = {"cog": (f"{name}.tif", outputs.COG_TYPE, "data")}
    if (folder / f"{name}.png").exists():
        files["thumbnail"] = (f"{name}.png", "image/png", "thumbnail")
    return {
        key: {"href": f"./{file}", "type": media_type, "roles": [role]}
        for key, (file, media_type, role) in files.items()
    }
