"""A synthetic Sentinel-2 region whose truth is known, written as ordinary scene folders.

What it holds: docs/synthetic-region.md; its physics and sources: docs/simulated-light.md.
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.random import Generator

from emulator.scenes import cloud_score, weather
from emulator.scenes.atmosphere import SKIES, Sky, clear_air, draw_weather, make_air
from emulator.scenes.folder import LON_LAT, MANIFEST, lon_lat
from emulator.scenes.landscape import KINDS, Landscape, make_landscape
from emulator.scenes.optics import B10_LEAK
from emulator.scenes.relief import on_slopes, shifted
from emulator.scenes.sentinel2 import (
    BANDS,
    COLLECTION,
    CRS,
    PIXEL_M,
    QUANTIFICATION,
    SEASON_START,
    Acquisition,
    acquisitions,
    sun,
)

GENERATOR = "emulator.scenes.synthetic"
#: Raise it whenever the same arguments give other files.
VERSION = 4
#: What a region consists of, each a scene folder.
FOLDERS = ("scenes", "truth", "cloud_score_plus", "weather")
TRUTH_COLLECTION = "VERDURE/SYNTHETIC_TRUTH"
TRUTH_BANDS = ["class", "ndvi"]
TRUTH_NODATA = -32768
SCALE = 1 / QUANTIFICATION
DAY_MS = 86_400_000
WORKERS = 2
#: Upper left corner, UTM 33N: a multiple of the 60 m pixel, in tile 33TVL; and its lon/lat.
ORIGIN = (465_180, 5_080_260)
LON, LAT = 14.551, 45.875
#: Optical cover from which a pixel is cloud, and thin cloud; share of shade, of snow.
CLOUD_OPACITY, THIN_OPACITY, SHADE_SHARE, SNOW_SHARE = 0.5, 0.12, 0.5, 0.2
#: Noise of the sensor: a floor, and a share of the signal (SNR about 150, ESA User Handbook).
NOISE_FLOOR, NOISE_SHARE = 0.0003, 0.006
#: Deviations: of an image's place in pixels (ESA, Data Quality Report: 3 m between dates at best,
#: up to 10 m) and of each band's gain.
MISPLACED, GAIN = 0.35, 0.008
#: Bands of the truth's NDVI.
RED_INFRARED = [list(BANDS).index(name) for name in ("B4", "B8")]
#: Where the swath's edge enters at the top (share of the width): usually, and in the few images
#: that clip a corner only. It runs as a descending orbit's track does, 14° off north.
SWATH_EDGES, SWATH_CORNER, SWATH_SLOPE = (0.6, 0.95), 0.15, 0.25
CORNER_EVERY = 8  # among the passes that the edge cuts: 3 of 25
#: Standard deviation of the producer's error in the cloud percentage.
CLOUD_PERCENTAGE_ERROR = 3.0
#: Sides of a file's blocks in pixels: at most, and multiples of (TIFF 6.0, section 15).
BLOCK, BLOCK_STEP = 256, 16
#: How far around the region the weather reaches, in degrees.
WEATHER_MARGIN = 0.3
#: A Sentinel-2 tile, and 25 of them around 33TVL: letters of the 100 km squares (MGRS), and the
#: west and north edge of the first in km.
TILE_PIXELS = 10_980
TILE_COLUMNS, TILE_ROWS, FIRST_TILE_KM = "TUVWX", "JKLMN", (200, 4900)
PASSES_PER_TILE = 98  # a season of both orbits at the 5 days of two satellites


class Truth(IntEnum):
    """What a pixel is: the truth's band `class`."""

    CLEAR = 0
    CLOUD = 1
    SHADOW = 2
    SNOW = 3
    THIN_CLOUD = 4
    NODATA = 255


@dataclass(frozen=True)
class Observation:
    """What one pass saw: reflectance (13, rows, columns), and what was there.

    `clear` is the share of light from the surface in the sun, `snow` that of ground seen under it.
    """

    reflectance: np.ndarray
    truth: np.ndarray
    ndvi: np.ndarray
    valid: np.ndarray
    clear: np.ndarray
    snow: np.ndarray


def write_region(
    out: Path, seed: int = 0, images: int = 50, size: int = 256, kind: str = "foothills"
) -> Path:
    """Write `out`/scenes and its neighbours unless they are there; return `out`/scenes.

    Scenes hold reflectance × 10000 (uint16, 0 is no data); truth holds the class (`Truth`) and
    the clear-sky NDVI × 10000 (int16). Both have the same ids and `size` × `size` 10 m pixels, and
    so has the cloud score of those images that get one. The weather has an image for every day.
    `kind` is one of `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    scenes, truth, scores, _ = folders = [out / name for name in FOLDERS]
    made_by = {"generator": GENERATOR, "version": VERSION}
    made_by |= {"seed": seed, "images": images, "size": size, "kind": kind}
    if _prepare(scenes, made_by):
        return scenes
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(np.random.SeedSequence([seed]))
    landscape, skies = make_landscape(rng, size, KINDS[kind]), _skies(rng, images)

    def write(index: int, acquisition: Acquisition) -> dict[str, Any]:
        # From 1: a sequence that ends in 0 is the one without it, which made the land.
        rng = np.random.default_rng(np.random.SeedSequence([seed, index + 1]))
        edge = _swath_edge(index, acquisition, rng)
        seen = observe(landscape, acquisition, skies[index], edge, rng)
        _write_tiff(scenes / f"{acquisition.id}.tif", _digital_numbers(seen), 0)
        _write_tiff(truth / f"{acquisition.id}.tif", _truth_bands(seen), TRUTH_NODATA)
        entry = _entry(acquisition, seen, rng)
        if cloud_score.delay(index) is not None:
            score = cloud_score.cloud_score(seen.clear, seen.snow, rng)
            score = np.where(seen.valid, score, np.float32(cloud_score.NODATA))
            _write_tiff(scores / f"{acquisition.id}.tif", score, cloud_score.NODATA)
        return entry

    passes = list(acquisitions(images, start=KINDS[kind].start, days=KINDS[kind].days))
    with ThreadPoolExecutor(WORKERS) as pool:
        entries = list(pool.map(write, range(images), passes))
    _write_manifest(truth, TRUTH_COLLECTION, TRUTH_BANDS, entries, made_by)
    _write_scores(scores, passes, entries, made_by)
    seen = dict(zip((acquisition.time.date() for acquisition in passes), skies, strict=True))
    _write_weather(out / "weather", seen, rng, made_by)
    _write_manifest(scenes, COLLECTION, list(BANDS), entries, made_by)
    return scenes


def _write_scores(
    folder: Path,
    passes: list[Acquisition],
    entries: list[dict[str, Any]],
    made_by: dict[str, Any],
) -> None:
    scored = [
        entry
        | {
            "available_after_days": cloud_score.delay(index),
            "properties": cloud_score.properties(acquisition, entry["properties"]),
        }
        for index, (acquisition, entry) in enumerate(zip(passes, entries, strict=True))
        if cloud_score.delay(index) is not None
    ]
    collection = cloud_score.CLOUD_SCORE_COLLECTION
    _write_manifest(folder, collection, cloud_score.CLOUD_SCORE_BANDS, scored, made_by)


def _write_weather(
    folder: Path, skies: dict[date, Sky], rng: Generator, made_by: dict[str, Any]
) -> None:
    """Write a year's weather, the satellite's days under their skies."""
    columns, rows, west, north = weather.grid(LON, LAT, WEATHER_MARGIN)
    side = weather.PIXEL_DEGREES
    latitudes = north - side * (np.arange(rows) + 0.5)
    grid = {"crs": LON_LAT, "transform": rasterio.Affine(side, 0, west, 0, -side, north)}
    entries = []
    for day in weather.days(SEASON_START.year, skies, rng):
        name = day.date.strftime("%Y%m%d")
        bands = np.repeat(day.bands(latitudes)[..., None], columns, axis=2)
        _write_tiff(folder / f"{name}.tif", bands.astype("f4"), weather.NODATA, **grid)
        times = {"system:time_start": day.start_ms, "system:time_end": day.start_ms + DAY_MS}
        parts = {"year": day.date.year, "month": day.date.month, "day": day.date.day}
        properties = {"system:index": name} | times | parts
        entries.append({"id": name, "file": f"{name}.tif", "properties": properties})
    _write_manifest(folder, weather.WEATHER_COLLECTION, weather.WEATHER_BANDS, entries, made_by)


def write_metadata_only(out: Path, count: int, seed: int = 0) -> Path:
    """Write `out`/scenes with `count` images of whole tiles and no pixels, for load tests."""
    made_by = {"generator": GENERATOR, "version": VERSION, "seed": seed, "metadata_only": count}
    scenes = out / "scenes"
    if _prepare(scenes, made_by):
        return scenes
    rng = np.random.default_rng(np.random.SeedSequence([seed]))
    tiles = min(-(-count // PASSES_PER_TILE), len(TILE_COLUMNS) * len(TILE_ROWS))
    entries = []
    for tile in range(tiles):
        share = len(range(tile, count, tiles))
        row, column = divmod(tile, len(TILE_COLUMNS))
        name = f"33T{TILE_COLUMNS[column]}{TILE_ROWS[row]}"
        for acquisition in acquisitions(share, name):
            cloudy = round(float(100 * rng.beta(0.4, 0.5)), 4)
            entries.append({
                "id": acquisition.id,
                "grid": _tile_grid(column, row),
                "properties": acquisition.properties(LON, LAT, cloudy),
            })  # fmt: skip
    _write_manifest(scenes, COLLECTION, list(BANDS), entries, made_by)
    return scenes


def observe(
    landscape: Landscape, acquisition: Acquisition, sky: Sky, edge: float | None, rng: Generator
) -> Observation:
    """Return what a pass sees; `edge`: where the swath ends at the top, as a share of the width."""
    size = landscape.cover.shape[0]
    position = sun(acquisition.time, LON, LAT)
    weather = draw_weather(sky, rng)
    air = make_air(weather, position, size, rng)
    land, snow = (f(acquisition.day_of_year) for f in (landscape.reflectance, landscape.snow))
    land = land + landscape.glint(rng)
    surface = land + snow * (landscape.snow_spectrum[:, None, None] - land)
    relief, height = on_slopes(landscape.height, *position), float(landscape.height.mean())
    reflectance = air.seen(surface, relief, height, list(range(len(BANDS))))
    valid = _swath(size, edge)
    opacity, shade = air.opacity(), air.shade()
    truth = np.select(
        [~valid, opacity >= CLOUD_OPACITY, shade >= SHADE_SHARE, opacity >= THIN_OPACITY,
         snow >= SNOW_SHARE],
        [Truth.NODATA, Truth.CLOUD, Truth.SHADOW, Truth.THIN_CLOUD, Truth.SNOW],
        Truth.CLEAR,
    )  # fmt: skip
    red, infrared = clear_air(weather, position, size).seen(
        land[RED_INFRARED], relief, height, RED_INFRARED
    )
    ndvi = (infrared - red) / (infrared + red)
    clear = (1 - opacity) * (1 - shade)
    return Observation(_sense(reflectance, rng), truth, ndvi, valid, clear, snow)


def _skies(rng: Generator, images: int) -> list[Sky]:
    """Return the weather of each image: the right shares, in random order."""
    limits = np.cumsum(list(SKIES.values()))
    places = (rng.permutation(images) + 0.5) / images
    return [list(SKIES)[place] for place in np.searchsorted(limits, places)]


def _swath_edge(index: int, acquisition: Acquisition, rng: Generator) -> float | None:
    if not acquisition.orbit.cuts_tile:
        return None
    return SWATH_CORNER if index // 2 % CORNER_EVERY == 4 else rng.uniform(*SWATH_EDGES)


def _swath(size: int, edge: float | None) -> np.ndarray:
    """Return the pixels west of the swath's edge."""
    if edge is None:
        return np.ones((size, size), bool)
    rows, cols = np.indices((size, size)) + 0.5
    return cols + SWATH_SLOPE * rows < edge * size


def _sense(reflectance: np.ndarray, rng: Generator) -> np.ndarray:
    """Return what the sensor makes of it: misplaced by a little, off in its gains, and noisy.

    Each band is averaged to its native pixel and repeated on the 10 m grid.
    """
    shift = rng.normal(0, MISPLACED, 2)
    gains = rng.normal(1, GAIN, len(BANDS)).astype(np.float32)
    leak = B10_LEAK * (np.array(list(BANDS)) == "B10")
    return np.stack([
        _coarsen(_displaced(band + stray, shift) * gain, native // PIXEL_M, rng)
        for band, stray, gain, (_, native) in zip(
            reflectance, leak.astype("f4"), gains, BANDS.values(), strict=True
        )
    ])  # fmt: skip


def _displaced(band: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return the band moved by a part of a pixel: what each new pixel covers of the old ones."""
    for axis, part in enumerate(shift):
        neighbour = shifted(band, *(int(np.sign(part)) * (axis == a) for a in (0, 1)))
        band = band + np.float32(min(abs(part), 1)) * (neighbour - band)
    return band


def _coarsen(band: np.ndarray, factor: int, rng: Generator) -> np.ndarray:
    rows, cols = band.shape
    whole = np.pad(band, ((0, -rows % factor), (0, -cols % factor)), mode="edge")
    blocks = whole.reshape(whole.shape[0] // factor, factor, -1, factor).mean((1, 3))
    noise = rng.standard_normal(blocks.shape, dtype=np.float32)
    blocks = blocks + noise * (NOISE_FLOOR + NOISE_SHARE * blocks)
    return blocks.repeat(factor, 0).repeat(factor, 1)[:rows, :cols]


def _digital_numbers(seen: Observation) -> np.ndarray:
    return np.where(seen.valid, np.rint(seen.reflectance * QUANTIFICATION).clip(1), 0).astype("u2")


def _truth_bands(seen: Observation) -> np.ndarray:
    ndvi = np.where(seen.valid, np.rint(seen.ndvi * QUANTIFICATION), TRUTH_NODATA)
    return np.stack([seen.truth, ndvi]).astype("i2")


def _entry(acquisition: Acquisition, seen: Observation, rng: Generator) -> dict[str, Any]:
    """Return the image's entry in scenes.json."""
    cloudy = np.isin(seen.truth[seen.valid], (Truth.CLOUD, Truth.THIN_CLOUD)).mean() * 100
    reported = np.clip(cloudy + rng.normal(0, CLOUD_PERCENTAGE_ERROR), 0, 100)
    return {
        "id": acquisition.id,
        "file": f"{acquisition.id}.tif",
        "footprint": _footprint(seen.valid),
        "properties": acquisition.properties(LON, LAT, round(float(reported), 4)),
    }


def _footprint(valid: np.ndarray) -> dict[str, Any]:
    """Return the outline of the valid pixels, the first so many of each row, lon/lat."""
    rows = np.arange(len(valid))
    west, north = ORIGIN[0], ORIGIN[1] - PIXEL_M * rows
    east = west + PIXEL_M * valid.sum(1)
    strips = shapely.box(west, north - PIXEL_M, east, north)[valid.any(1)]
    return lon_lat(shapely.union_all(strips), CRS)


def _transform() -> rasterio.Affine:
    return rasterio.Affine(PIXEL_M, 0, ORIGIN[0], 0, -PIXEL_M, ORIGIN[1])


def _tile_grid(column: int, row: int) -> dict[str, Any]:
    """Return the grid of a Sentinel-2 tile: its corner is the square's, outwards to 60 m."""
    west, north = FIRST_TILE_KM[0] + 100 * column, FIRST_TILE_KM[1] + 100 * row
    x, y = west * 1000 // 60 * 60, -(-north * 1000 // 60) * 60
    transform = [PIXEL_M, 0, x, 0, -PIXEL_M, y]
    return {"crs": CRS, "transform": transform, "width": TILE_PIXELS, "height": TILE_PIXELS}


def _prepare(folder: Path, made_by: dict[str, Any]) -> bool:
    """Make the folder; return whether it holds just this already, and spare what is not ours."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    if not manifest.exists():
        return False
    present = json.loads(manifest.read_bytes()).get("made_by", {})
    if present == made_by:
        return True
    if present.get("generator") != GENERATOR:
        raise FileExistsError(f"{manifest} was not made by {GENERATOR}; choose another folder.")
    manifest.unlink()
    return False


def _write_tiff(path: Path, bands: np.ndarray, nodata: int, **grid: Any) -> None:
    """Write bands, on the region's pixels unless a grid is given."""
    temporary = path.with_suffix(".tmp")
    count, height, width = bands.shape
    block = min(BLOCK, -(-max(height, width) // BLOCK_STEP) * BLOCK_STEP)
    grid = {"crs": CRS, "transform": _transform()} | grid
    with rasterio.open(
        temporary, "w", driver="GTiff", dtype=bands.dtype, count=count, height=height, width=width,
        nodata=nodata, compress="deflate", predictor=2, tiled=True, blockxsize=block,
        blockysize=block, interleave="band", **grid,
    ) as dataset:  # fmt: skip
        dataset.write(bands)
    temporary.replace(path)


def _write_manifest(
    folder: Path,
    collection: str,
    bands: list[str],
    entries: list[dict[str, Any]],
    made_by: dict[str, Any],
) -> None:
    manifest = {"collection": collection, "scale": SCALE, "bands": bands}
    manifest |= {"made_by": made_by, "scenes": entries}
    temporary = folder / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps(manifest, indent=1))
    temporary.replace(folder / MANIFEST)


def main() -> None:
    """Write the region from the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {GENERATOR}", description=main.__doc__)
    parser.add_argument("out", type=Path, help="folder to write the region's folders into")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--size", type=int, default=256, help="pixels of 10 m")
    parser.add_argument("--kind", choices=KINDS, default="foothills")
    parser.add_argument("--metadata-only", type=int, metavar="N", help="N images without pixels")
    arguments = parser.parse_args()
    if arguments.metadata_only:
        scenes = write_metadata_only(arguments.out, arguments.metadata_only, arguments.seed)
    else:
        size, kind = arguments.size, arguments.kind
        scenes = write_region(arguments.out, arguments.seed, arguments.images, size, kind)
    sys.stdout.write(f"{scenes}\n")


if __name__ == "__main__":
    main()
