"""What changed from one season to another: two runs' maps, pixel by pixel."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cli import maps
from cli.maps import Array, Panel
from cli.productivity import FOLDER
from shared.domain.runs import SEASON
from shared.errors import InvalidConfiguration

#: Parameters of the first season that are compared.
PARAMETERS = ("TPROD", "SPROD", "MAXV", "SOSD", "EOSD", "LENGTH")
#: A difference of so many standard errors is taken for a change.
SURE = 2.0


@dataclass(frozen=True)
class Difference:
    """One parameter's difference, B less A, over the pixels where both have it.

    `surely_more` and `surely_less` are shares of these pixels, of more than two standard errors;
    None for parameters without one. Of no pixel `mean` and `spread` are None too.
    """

    map: str
    parameter: str
    unit: str
    pixels: int
    mean: float | None
    spread: float | None
    surely_more: float | None
    surely_less: float | None


def compare(first: Path, second: Path, out: Path) -> list[Difference]:
    """Write the difference of each pair of season maps as COG and picture; return the table.

    `first` and `second` are folders of runs, or single maps. Maps belong together by their tile;
    dates are compared as days of their years.
    """
    pairs = _pairs(first, second)
    out.mkdir(parents=True, exist_ok=True)
    table = [row for name, (a, b) in pairs.items() for row in _compare(name, a, b, out)]
    (out / "compare.json").write_text(json.dumps([asdict(row) for row in table], indent=1))
    return table


def _pairs(first: Path, second: Path) -> dict[str, tuple[Path, Path]]:
    a, b = (_maps(path) for path in (first, second))
    if first.is_file() and second.is_file():
        return {f"{first.stem}-{second.stem}": (first, second)}
    tiles = {tile: (a[tile], b[tile]) for tile in a if tile in b}
    if not tiles:
        raise InvalidConfiguration(
            [
                f"{first} and {second} have no tile in common: "
                f"{', '.join(sorted(a))} and {', '.join(sorted(b))}"
            ]
        )
    return {f"{x.stem}-{y.stem}": (x, y) for x, y in tiles.values()}


def _maps(path: Path) -> dict[str, Path]:
    """Return season maps by tile; of several years the last."""
    if path.is_file():
        return {path.stem.split("_")[1] if path.stem.count("_") == 2 else path.stem: path}
    found = sorted((path / FOLDER).glob(f"{SEASON}_*.tif"))
    if not found:
        raise InvalidConfiguration(
            [f"{path} has no {FOLDER}/{SEASON}_….tif; name a season map, or a run's folder"]
        )
    return {file.stem.split("_")[1]: file for file in found}


def _compare(name: str, a: Path, b: Path, out: Path) -> list[Difference]:
    before, transform, crs, units = _read(a)
    after, *grid, others = _read(b)
    shapes = [next(iter(bands.values())).shape for bands in (before, after)]
    if [transform, crs] != grid or shapes[0] != shapes[1]:
        raise InvalidConfiguration(
            [
                f"{a} and {b} lie on different grids: {crs} {transform[:6]} {shapes[0]}, and "
                f"{grid[1]} {grid[0][:6]} {shapes[1]}; make both with the same scale and region"
            ]
        )
    if units != others:
        raise InvalidConfiguration(
            [
                f"{a} has MAXV in {units['MAXV']}, and {b} in {others['MAXV']}; make both with the "
                "same products.index"
            ]
        )
    differences = {key: _value(after, key) - _value(before, key) for key in PARAMETERS}
    tags = {"a": str(a), "b": str(b), "units": json.dumps(units)}
    maps.write_cog(out / f"{name}.tif", differences, transform, crs, tags)
    land = ~np.isnan(before["QFLAG_1"]) & ~np.isnan(after["QFLAG_1"])
    panels = [
        Panel(differences[key], land, title, maps.DIFFERENCES, is_symmetric=True)
        for key, title in (
            ("TPROD", f"Change of TPROD, {units['MAXV']} x days"),
            ("SOSD", "Change of SOSD, days"),
        )
    ]
    maps.draw(panels, f"{b.stem} less {a.stem}", out / f"{name}.png")
    return [_row(name, key, units[key], differences[key], before, after) for key in PARAMETERS]


def _read(path: Path) -> tuple[dict[str, Array], Any, str, dict[str, str]]:
    """Return bands, transform, reference system, and what a difference is counted in."""
    bands, transform, crs, tags = maps.read_cog(path)
    wanted = ["QFLAG_1", *(f"{key}_1" for key in PARAMETERS)]
    units = json.loads(tags.get("units", "{}"))
    if missing := [name for name in wanted if name not in bands or name not in units]:
        raise InvalidConfiguration(
            [f"{path} is no season map: no band, or no unit of it, {', '.join(missing)}"]
        )
    days = dict.fromkeys(("SOSD", "EOSD"), "day")
    return bands, transform, crs, {key: units[f"{key}_1"] for key in PARAMETERS} | days


def _value(bands: dict[str, Array], key: str) -> Array:
    """Return a parameter of the first season; dates as days since New Year of the map's year."""
    values = bands[f"{key}_1"]
    if key not in ("SOSD", "EOSD"):
        return values
    peaks = bands["MAXD_1"]
    years = np.where(np.isnan(peaks), np.nan, 2000 + peaks // 1000)
    new_year = maps.day_of((years - 2000) * 1000 + 1)
    return maps.day_of(values) - new_year


def _row(
    name: str,
    key: str,
    unit: str,
    difference: Array,
    before: dict[str, Array],
    after: dict[str, Array],
) -> Difference:
    known = ~np.isnan(difference)
    values = difference[known]
    more: float | None = None
    less: float | None = None
    if f"{key}_SE_1" in before and f"{key}_SE_1" in after and values.size:
        error = np.hypot(before[f"{key}_SE_1"], after[f"{key}_SE_1"])[known]
        more = round(float((values > SURE * error).mean()), 4)
        less = round(float((values < -SURE * error).mean()), 4)
    mean, spread = (
        (round(float(values.mean()), 4), round(float(values.std()), 4))
        if values.size
        else (None, None)
    )
    return Difference(name, key, unit, int(known.sum()), mean, spread, more, less)
