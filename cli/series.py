"""Fill series of NDVI from a file, and find their seasons, on the emulator."""

import io
import itertools
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio
from affine import Affine

from emulator import client, launch
from shared.earth import gap_filling, season
from shared.earth.curves import Period
from shared.errors import InvalidConfiguration

COLLECTION = "verdure/series"
REGULAR_STEP = 10  # days
#: Pixels on a side of what is asked for at once: a pixel's matrices take up to 100 kB each.
TILE = 32
#: Earth Engine returns no more in one request.
MOST_BANDS = 1024
#: Any place will do; pixels of 10 m.
PLACE = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
NODATA = -9999.0
#: Of an .npy with some thousand named bands; numpy's own limit is for files of strangers.
HEADER_SIZE = 1_000_000  # characters
#: In `quality`: neither an observation nor enough of them for a curve.
UNFILLED = 0
#: A pixel's matrices grow with the square of the days.
LONGEST = np.timedelta64(12 * 366, "D")

Track = Callable[[list[Any]], Iterable[Any]]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Series:
    """NDVI (times, rows, columns), NaN where it is not known, and times in order (ms)."""

    ndvi: Array
    times: Array

    @property
    def period(self) -> Period:
        """From the day of the first time to that of the last."""
        first, last = (date.fromisoformat(str(t)[:10]) for t in self.times[[0, -1]])
        return Period(first, last + timedelta(1))


def fill_file(path: Path, out: Path, preset: str, track: Track = list) -> str:
    """Fill the series of an .npz, and write the result as another; return what was done.

    In: `ndvi` (times, rows, columns); `cloud`, the same, not 0 where NDVI is not to be used;
    `timestamps`, ISO 8601 (UTC where no zone is given) or datetime64. NDVI that is no number from
    -1 to 1 is not used either.
    """
    gap_filling.check_preset(preset)
    series, order = _ordered(path)
    result = fill(series, preset, track)
    given = np.argsort(order)
    for name in ("filled", "std", "quality", "weight"):
        result[name] = result[name][given]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:  # savez would add .npz to another name
        np.savez_compressed(file, **result)
    return _told(series, result)


def _told(series: Series, result: dict[str, Array]) -> str:
    observed = np.isfinite(series.ndvi)
    bare = np.isnan(result["regular"]).all(axis=0)
    found = (result["QFLAG"] > season.NO_SEASON).any(axis=0)
    days = [np.datetime_as_string(time, "D") for time in series.times[[0, -1]]]
    return (
        f"times: {len(observed)}, {days[0]} to {days[1]}; observed: {observed.mean():.0%}; "
        f"pixels: {bare.size}, with a season: {found.sum()}, "
        f"with too few observations for a curve: {bare.sum()}"
    )


def read_series(path: Path) -> Series:
    """Return the series of an .npz as `fill_file` takes it, in the order of time."""
    return _ordered(path)[0]


def _ordered(path: Path) -> tuple[Series, Array]:
    """Return the series of a file, and at what place of the file each of its times is."""
    arrays = _arrays(path)
    order = np.argsort(arrays["timestamps"], kind="stable")
    return Series(arrays["ndvi"][order], arrays["timestamps"][order]), order


def _arrays(path: Path) -> dict[str, Array]:
    """Return ndvi with NaN in its gaps, and timestamps, or say all that is wrong."""
    wanted = ("ndvi", "cloud", "timestamps")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in wanted if name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, TypeError) as problem:
        what = ".npz of numbers, texts or datetime64"
        raise InvalidConfiguration([f"{path} cannot be read as {what}: {problem}"]) from None
    if missing := [name for name in wanted if name not in arrays]:
        raise InvalidConfiguration([f"{path}: array {name!r} is missing" for name in missing])
    ndvi, cloud, stamps = (arrays[name] for name in wanted)
    problems = _wrong_shapes(ndvi, cloud, stamps)
    if not problems:
        times, problems = _times(stamps)
        problems += _wrong_values(ndvi, cloud)
    if problems:
        raise InvalidConfiguration([f"{path}: {problem}" for problem in problems])
    usable = (cloud == 0) & (np.abs(np.nan_to_num(ndvi, nan=np.inf)) <= 1)
    return {"ndvi": np.where(usable, ndvi, np.nan), "timestamps": times}


def _wrong_shapes(ndvi: Array, cloud: Array, stamps: Array) -> list[str]:
    problems = []
    if ndvi.ndim != 3 or ndvi.dtype.kind != "f" or not ndvi.size:
        expected = "floats (times, rows, columns), one of each at least"
        problems.append(f"ndvi is {ndvi.dtype} {ndvi.shape}, expected {expected}")
    if cloud.shape != ndvi.shape:
        problems.append(f"cloud has the shape {cloud.shape}, expected ndvi's {ndvi.shape}")
    if stamps.shape != ndvi.shape[:1]:
        expected = f"{ndvi.shape[:1]}, one for each time"
        problems.append(f"timestamps have the shape {stamps.shape}, expected {expected}")
    return problems


def _wrong_values(ndvi: Array, cloud: Array) -> list[str]:
    if cloud.dtype.kind not in "biuf" or (np.nan_to_num(cloud) % 1).any():
        example = next(value for value in cloud.flat if value not in (0, 1))
        return [f"cloud is {cloud.dtype}, as {example!s}; expected false or 0 where NDVI counts"]
    clear = ndvi[(cloud == 0) & np.isfinite(ndvi)]
    if (np.abs(clear) > 1).sum() > len(clear) / 2:
        unit = "-1 to 1; numbers that are stored with a scale are to be multiplied by it"
        return [f"ndvi is {clear.min():g} to {clear.max():g} where it is clear, expected {unit}"]
    return []


def _times(values: Array) -> tuple[Array, list[str]]:
    """Return times in milliseconds, and what is wrong with them."""
    try:
        times = _milliseconds(values)
    except (TypeError, ValueError) as problem:
        return values, [f"timestamps: {problem}; expected ISO 8601, UTC if no zone is given"]
    if np.isnat(times).any():
        return times, ["timestamps: a time is missing (NaT)"]
    first, last = times.min(), times.max()
    if last - first > LONGEST:
        span = f"{np.datetime_as_string(first, 'D')} to {np.datetime_as_string(last, 'D')}"
        longest = f"{LONGEST.astype(int)} days; divide them into files of fewer years"
        return times, [f"timestamps are from {span}, expected at most {longest}"]
    return times, []


def _milliseconds(values: Array) -> Array:
    if values.dtype.kind == "M":
        return values.astype("datetime64[ms]")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "ascii")
    if values.dtype.kind != "U":
        raise ValueError(f"they are {values.dtype}")
    return np.array([_utc(text) for text in values.tolist()], "datetime64[ms]")


def _utc(text: str) -> datetime:
    """Return a time in UTC. (numpy would take 20200104, which is ISO 8601 too, for a year)."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as problem:
        raise ValueError(f"{text!r}: {problem}") from None
    return (time.astimezone(UTC) if time.tzinfo else time).replace(tzinfo=None)


def fill(
    series: Series, preset: str, track: Track = list, with_seasons: bool = True
) -> dict[str, Array]:
    """Return filled, std, quality, weight; regular, regular_std, regular_timestamps; seasons.

    Season parameters are (seasons, rows, columns), two for each year of `season_year`.
    """
    with tempfile.TemporaryDirectory() as name, served(Path(name), series):
        rows, columns = series.ndvi.shape[1:]
        image, names = _graph(series, preset, series.period.years if with_seasons else [])
        bands = np.full((len(names), rows, columns), np.nan)
        corners = [(y, x) for y in range(0, rows, TILE) for x in range(0, columns, TILE)]
        pieces = range(0, len(names), MOST_BANDS)
        for (y, x), first in track(list(itertools.product(corners, pieces))):
            part = bands[first : first + MOST_BANDS, y : y + TILE, x : x + TILE]
            some = image.select(list(range(first, first + len(part))))
            part[:] = read(some, x, y, part.shape[2], part.shape[1])
    return _named(series, names, bands)


@contextmanager
def served(folder: Path, series: Series) -> Iterator[None]:
    """Serve a series by the emulator, with the client connected to it."""
    scenes = folder / "scenes"
    scenes.mkdir()
    entries = []
    for index, (values, when) in enumerate(zip(series.ndvi, series.times, strict=True)):
        scene = f"{index:06}"  # so that images of the same time stay in this order
        _write(scenes / f"{scene}.tif", values)
        properties = {"system:time_start": int(when.astype("int64"))}
        entries.append({"id": scene, "file": f"{scene}.tif", "properties": properties})
    manifest = {"collection": COLLECTION, "bands": ["NDVI", "clear"], "scenes": entries}
    (scenes / "scenes.json").write_text(json.dumps(manifest))
    with launch.running(folder / "data", [scenes]) as url:
        client.connect(url)
        yield


def _write(path: Path, values: Array) -> None:
    height, width = values.shape
    profile = {"driver": "GTiff", "count": 2, "height": height, "width": width, **PLACE}
    with rasterio.open(path, "w", dtype="float64", **profile) as file:
        file.write(np.stack([np.nan_to_num(values), np.isfinite(values)]).astype("float64"))


def observed() -> ee.ImageCollection:
    """Return what is served, as gap filling wants it."""
    return ee.ImageCollection(COLLECTION).map(
        lambda image: image.select("NDVI").updateMask(image.select("clear"))
    )


def _graph(series: Series, preset: str, years: list[int]) -> tuple[ee.Image, list[str]]:
    """Return an image with everything as bands, and their names."""
    period = series.period
    curve = gap_filling.curve_of(observed(), period, preset)
    filled = gap_filling.filled_series(curve)
    regular = gap_filling.regular_series(curve, gap_filling.regular_days(period, REGULAR_STEP))
    valid = _columns(filled.select("valid"), "valid", len(series.times))
    steps = len(period.every(REGULAR_STEP))
    parts = [
        _columns(filled.select(band), name, len(series.times)).updateMask(valid)
        for band, name in (("value", "filled"), ("std", "std"), ("quality", "quality"))
    ]
    parts.append(_columns(filled.select("weight"), "weight", len(series.times)))
    parts += [
        _columns(regular.select(band), name, steps)
        for band, name in (("value", "regular"), ("std", "regular_std"))
    ]
    names = [name for name in ("filled", "std", "quality", "weight") for _ in series.times]
    names += [name for name in ("regular", "regular_std") for _ in range(steps)]
    for year in years:
        found = season.seasons(curve, period, year)
        of_year = []
        for number in season.SEASONS:
            for name in (*season.PARAMETERS, *season.ERRORS):
                band = found.select(f"{name}_{number}")
                of_year.append(season.yydoy(band, year) if name in season.DATES else band)
                names.append(name)
        parts.append(ee.Image.cat(*of_year))
    return ee.Image.cat(*[part.toDouble() for part in parts]).unmask(NODATA, False), names


def _columns(image: ee.Image, name: str, count: int) -> ee.Image:
    return gap_filling.columns(image, [f"{name}_{index}" for index in range(count)])


def read(image: ee.Image, x: int, y: int, width: int, height: int) -> Array:
    """Return all bands (bands, rows, columns) of a part; NaN where masked."""
    corner = PLACE["transform"] @ Affine.translation(x, y)
    affine = {
        "scaleX": corner.a,
        "scaleY": corner.e,
        "translateX": corner.c,
        "translateY": corner.f,
    }
    grid = {
        "dimensions": {"width": width, "height": height},
        "affineTransform": affine,
        "crsCode": PLACE["crs"],
    }
    request = {"expression": image, "fileFormat": "NPY", "grid": grid}
    content = io.BytesIO(ee.data.computePixels(request))
    pixels = np.load(content, max_header_size=HEADER_SIZE)
    bands = np.stack([pixels[name].astype(float) for name in pixels.dtype.names])
    return np.where(bands == NODATA, np.nan, bands)


def _named(series: Series, names: list[str], bands: Array) -> dict[str, Array]:
    result = {name: bands[[n == name for n in names]] for name in dict.fromkeys(names)}
    days = series.period.every(REGULAR_STEP)
    result["regular_timestamps"] = np.array([f"{day.isoformat()}T00:00:00" for day in days])
    result["season_year"] = np.repeat(series.period.years, len(season.SEASONS))
    result["quality"] = np.nan_to_num(result["quality"], nan=UNFILLED).astype(np.int16)
    if "QFLAG" in result:
        result["QFLAG"] = np.nan_to_num(result["QFLAG"], nan=season.NO_SEASON).astype(np.int16)
    return result
