"""The series of one place of a run: observations, rejected ones, the curve, its seasons."""

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ee
from PIL import Image, ImageDraw

from emulator import client, launch
from emulator.scenes import synthetic
from shared.domain.classes import CLEAR
from shared.domain.indices import INDICES, VegetationIndex
from shared.domain.runs import ProductParameters, RunConfiguration
from shared.earth import gap_filling, season
from shared.earth.curves import EPOCH, Period
from shared.earth.index_series import index_series, relative
from shared.earth.productivity import period_of
from shared.errors import InvalidConfiguration

STEP = 5  # days between the curve's points
SCALE = 10  # m
DAY_SECONDS = 86_400
#: Pixels: size of the picture, its margins (left, top, right, bottom), a line of text.
SIZE, MARGINS, LINE = (1000, 460), (50, 60, 20, 50), 14
#: The index at the two edges of the picture; the lower one is lower where something lies below it.
AXIS, TICK = (-0.2, 1.0), 0.2
#: Labels of seasons side by side take turns in so many rows.
ROWS = 3
#: A month of fewer pixels has no name.
MONTH = 24
COLOURS = {
    "band": (222, 235, 222),
    "curve": (40, 120, 60),
    "observed": (20, 60, 30),
    "rejected": (200, 130, 130),
    "season": (70, 100, 180),
    "axis": (120, 120, 120),
    "grid": (230, 230, 230),
}
LEGEND = {
    "observed": "observed",
    "rejected": "rejected by the mask",
    "curve": "curve",
    "band": "holds 90 % of clear observations",
    "season": "start and end of a season",
}
BAND = 1.645  # standard deviations on both sides that hold 90 %


@dataclass(frozen=True)
class Place:
    """What `series_at` finds; dates are ISO, seasons' parameters of the index as in season.py."""

    index: str
    observed: list[tuple[str, float]]
    rejected: list[tuple[str, float]]
    curve: list[tuple[str, float, float]]  # date, value, standard deviation
    seasons: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON content; values are named as the index, in small letters."""
        seen, fitted = ("time", self.index.lower()), ("date", self.index.lower(), "std")
        return {
            "observed": [dict(zip(seen, row, strict=True)) for row in self.observed],
            "rejected": [dict(zip(seen, row, strict=True)) for row in self.rejected],
            "curve": [dict(zip(fitted, row, strict=True)) for row in self.curve],
            "seasons": self.seasons,
        }

    def write_csv(self, path: Path) -> None:
        """Write observations and the curve as rows kind, time, value, std, in order of time.

        The value's column is named as the index, in small letters.
        """
        rows = [("observed", *row, None) for row in self.observed]
        rows += [("rejected", *row, None) for row in self.rejected]
        rows += [("curve", *row) for row in self.curve]
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(("kind", "time", self.index.lower(), "std"))
            table.writerows(sorted(rows, key=lambda row: row[1]))


def series_at(
    run: RunConfiguration,
    place: list[float],
    index: str,
    preset: str,
    data: Path,
    scenes: list[Path],
) -> Place:
    """Ask a local run's emulator for the series at a place (longitude, latitude).

    Without an index it is that of the run's maps.
    """
    products = run.products or ProductParameters()
    index = index or products.index
    if index not in INDICES:
        raise InvalidConfiguration([f"--index is {index!r}, expected one of {', '.join(INDICES)}"])
    gap_filling.check_preset(preset)
    with launch.running(data, scenes) as url:
        client.connect(url)
        point = ee.Geometry.Point(place)
        images = ee.ImageCollection(run.index_collection).filterBounds(point)
        images = images.filterDate(run.first_instant.isoformat(), run.last_instant.isoformat())
        masks = ee.ImageCollection(run.destination)
        clear = index_series(images, masks, INDICES[index], products.cloud_below)
        times = clear.aggregate_array("system:time_start").getInfo()
        where = "{} {}".format(*place)
        if not times:
            raise InvalidConfiguration([f"no image of run {run.name!r} with a mask is at {where}"])
        # A mask that says clear everywhere it is not masked shows what was rejected.
        everything = index_series(images, masks.map(_all_clear), INDICES[index])
        projection = images.first().select("B8").projection()
        found = _sample(
            clear, everything, len(times), run, INDICES[index], preset, point, projection
        )
    if all(found[f"all_{i}"] is None for i in range(len(times))):
        raise InvalidConfiguration(
            [f"{where} is masked in all images of run {run.name!r}: no land"]
        )
    return _place(index, found, times, run)


def local_scenes(out: Path) -> list[Path]:
    """Return the scene folders of the synthetic region that a demo wrote below its folder."""
    folders = [out / "region" / name for name in synthetic.FOLDERS]
    if not all(folder.exists() for folder in folders):
        raise InvalidConfiguration(
            [f"{out} has no region of its own; name the run's scene folders with --scenes"]
        )
    return folders


def _all_clear(mask: ee.Image) -> ee.Image:
    same = mask.select("class").multiply(0).add(CLEAR).rename("class")
    return ee.Image(same.copyProperties(mask, ["system:index", "system:time_start"]))


def _sample(
    clear: ee.ImageCollection,
    everything: ee.ImageCollection,
    count: int,
    run: RunConfiguration,
    index: VegetationIndex,
    preset: str,
    point: ee.Geometry,
    projection: ee.Projection,
) -> dict[str, float | None]:
    period = period_of(run)
    curve = gap_filling.curve_of(relative(clear, index), period, preset, has_trust=True)
    days = gap_filling.regular_days(period, STEP)
    regular = gap_filling.regular_series(curve, days).multiply(index.amplitude)
    steps = range(len(period.every(STEP)))
    parts = [
        clear.select(0).toBands().rename([f"clear_{i}" for i in range(count)]),
        everything.toBands().rename([f"all_{i}" for i in range(count)]),
        gap_filling.columns(regular.select("value"), [f"value_{i}" for i in steps]),
        gap_filling.columns(regular.select("std"), [f"std_{i}" for i in steps]),
    ]
    names = [f"{n}_{i}" for i in season.SEASONS for n in (*season.PARAMETERS, *season.ERRORS)]
    for year in period.years:
        found = season.scaled(season.seasons(curve, period, year), index.amplitude)
        parts.append(found.select(names).rename([f"{year}_{name}" for name in names]))
    sampled = ee.Image.cat(*[part.toDouble() for part in parts])
    values: dict[str, float | None] = sampled.reduceRegion(
        ee.Reducer.first(), point, SCALE, projection.crs()
    ).getInfo()
    return values


def _place(
    index: str, found: dict[str, float | None], times: list[int], run: RunConfiguration
) -> Place:
    period = period_of(run)
    observed, rejected = [], []
    for i, time in enumerate(times):
        if (value := found[f"clear_{i}"]) is not None:
            observed.append((_iso(time), value))
        elif (value := found[f"all_{i}"]) is not None:
            rejected.append((_iso(time), value))
    curve = [
        (day.isoformat(), value, std)
        for i, day in enumerate(period.every(STEP))
        if (value := found[f"value_{i}"]) is not None and (std := found[f"std_{i}"]) is not None
    ]
    seasons = [
        entry
        for year in period.years
        for number in season.SEASONS
        if (entry := _season(found, year, number)) is not None
    ]
    return Place(index, observed, rejected, curve, seasons)


def _iso(milliseconds: float) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def _season(found: dict[str, float | None], year: int, number: int) -> dict[str, Any] | None:
    values = {n: found[f"{year}_{n}_{number}"] for n in (*season.PARAMETERS, *season.ERRORS)}
    if values["MAXD"] is None:
        return None
    dates = {
        name: (EPOCH + timedelta(round(value))).isoformat()
        for name in season.DATES
        if (value := values[name]) is not None
    }
    return {"year": year, "season": number, **values, **dates}


def draw(place: Place, period: Period, title: str, path: Path) -> None:
    """Draw the series as a PNG: the curve in its 90 % band, observations, seasons, a legend."""
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    chart = _Chart(period, min(value for _, value, *_ in (*place.observed, *place.curve, ("", 0))))
    upper = [chart.point(day, value + BAND * std) for day, value, std in place.curve]
    lower = [chart.point(day, value - BAND * std) for day, value, std in place.curve]
    if len(place.curve) > 1:
        pen.polygon([*upper, *reversed(lower)], COLOURS["band"])
    chart.draw_axes(pen, place.index)
    if len(place.curve) > 1:
        line = [chart.point(day, value) for day, value, _ in place.curve]
        pen.line(line, COLOURS["curve"], width=2)
    for name, rows in (("rejected", place.rejected), ("observed", place.observed)):
        for time, value in rows:
            _dot(pen, *chart.point(time, value), name)
    for number, found in enumerate(place.seasons):
        for name in ("SOSD", "EOSD"):
            x, _ = chart.point(found[name], 0)
            pen.line((x, MARGINS[1], x, SIZE[1] - MARGINS[3]), COLOURS["season"])
        x, y = chart.point(found["SOSD"], AXIS[1])
        _write(pen, x + 4, y + 2 + number % ROWS * 2.5 * LINE, _said(found, place.index))
    if not place.seasons:
        _write(pen, MARGINS[0] + 4, MARGINS[1] + 2, ["no season"])
    pen.text((MARGINS[0], 8), title, "black")
    _draw_legend(pen)
    picture.save(path)


def _said(found: dict[str, Any], index: str) -> list[str]:
    """Return what is written beside a season, its standard errors with it."""
    texts = {}
    for name, unit in (("SOSD", " d"), ("EOSD", " d"), ("TPROD", ""), ("SPROD", "")):
        value, error = found[name], found[f"{name}_SE"]
        texts[name] = value if isinstance(value, str) else f"{value:.0f}"
        texts[name] += "" if error is None else f" ± {error:.0f}{unit}"
    return [
        "{SOSD} to {EOSD}".format(**texts),
        "TPROD {TPROD}, SPROD {SPROD} {index} x days".format(index=index, **texts),
    ]


def _write(pen: ImageDraw.ImageDraw, x: float, y: float, lines: list[str]) -> None:
    """Write beside a season's start, or as far to the left as the picture's edge demands."""
    for i, line in enumerate(lines):
        room = SIZE[0] - MARGINS[2] - pen.textlength(line)
        pen.text((min(x, room), y + i * LINE), line, COLOURS["season"])


def _dot(pen: ImageDraw.ImageDraw, x: float, y: float, name: str) -> None:
    pen.ellipse((x - 3, y - 3, x + 3, y + 3), COLOURS[name])


def _draw_legend(pen: ImageDraw.ImageDraw) -> None:
    x, y = float(MARGINS[0]), 36
    for name, text in LEGEND.items():
        if name in ("observed", "rejected"):
            _dot(pen, x + 8, y, name)
        elif name == "band":
            pen.rectangle((x, y - 5, x + 16, y + 5), COLOURS[name])
        else:
            pen.line((x, y, x + 16, y), COLOURS[name], width=2)
        pen.text((x + 22, y - 6), text, "black")
        x += 44 + pen.textlength(text)


class _Chart:
    """Where dates and values lie in the picture."""

    def __init__(self, period: Period, lowest: float) -> None:
        self._period = period
        self._left, self._top, right, bottom = MARGINS
        self._width = SIZE[0] - self._left - right
        self._height = SIZE[1] - self._top - bottom
        self._axis = min(AXIS[0], math.floor(lowest / TICK) * TICK), AXIS[1]

    def point(self, when: str, value: float) -> tuple[float, float]:
        """Return the place of an ISO date or time and a value, which may lie beyond the axis."""
        moment = datetime.fromisoformat(when).replace(tzinfo=UTC)
        days = moment.timestamp() / DAY_SECONDS - (self._period.first - EPOCH).days
        low, high = self._axis
        share = (high - min(max(value, low), high)) / (high - low)
        return (
            self._left + self._width * days / self._period.days,
            self._top + self._height * share,
        )

    def draw_axes(self, pen: ImageDraw.ImageDraw, index: str) -> None:
        """Draw lines at each tick of the index, months, and years."""
        start = self._period.first.isoformat()
        for tick in range(round(self._axis[0] / TICK), round(self._axis[1] / TICK) + 1):
            x, y = self.point(start, tick * TICK)
            pen.line((x, y, x + self._width, y), COLOURS["axis" if tick == 0 else "grid"])
            pen.text((14, y - 6), f"{tick * TICK:.1f}", COLOURS["axis"])
        pen.text((14, self._top - LINE - 6), index, COLOURS["axis"])
        firsts = [day for day in self._period.every(1) if day.day == 1]
        is_named = self._width / self._period.days * 28 >= MONTH
        for day in firsts:
            x, y = self.point(day.isoformat(), self._axis[0])
            pen.line((x, y, x, y + 4), COLOURS["axis"])
            if is_named:
                pen.text((x, y + 6), f"{day:%b}", COLOURS["axis"])
            if day.month == 1 or day == firsts[0]:
                pen.text((x, y + 6 + LINE), f"{day:%Y}", COLOURS["axis"])
