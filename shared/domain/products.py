"""The maps that are made of a tile's masks: which, when, with what bands, and described how."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from shared.domain import ids
from shared.domain.exports import FINAL, Export, State
from shared.domain.outputs import STAC_EXTENSIONS, STAC_VERSION, bounding_box, rfc3339
from shared.domain.runs import CODE_VERSION, GPP, NDVI, SEASON, Run

#: Bumped with every change that alters a map's pixels; part of every map's export id.
ALGORITHM: Final = "productivity-2"
RASTER_EXTENSION: Final = "https://stac-extensions.github.io/raster/v1.1.0/schema.json"
#: Values as HR-VPP stores indices; integrals to 0.02 stay within 16 bits for two years of NDVI 1.
INDEX_SCALE, SLOPE_SCALE, SUM_SCALE, DAY_SCALE, GPP_SCALE = 1e-4, 1e-5, 0.02, 0.01, 0.1
RANGES: Final = {"uint8": (0, 255), "uint16": (0, 65_535), "int16": (-32_768, 32_767)}


@dataclass(frozen=True)
class Band:
    """A stored band: its value is the number × `scale`, in `unit`. Masked where there is none."""

    name: str
    unit: str
    data_type: str
    scale: float = 1.0


def _season(index: str) -> list[Band]:
    values, sums = ("SOSV", "EOSV", "MAXV", "MINV", "AMPL"), ("SPROD", "TPROD")
    return [
        *(Band(name, "YYDOY", "uint16") for name in ("SOSD", "EOSD", "MAXD")),
        *(Band(name, index, "int16", INDEX_SCALE) for name in values),
        Band("LENGTH", "day", "uint16", DAY_SCALE),
        *(Band(name, f"{index}/day", "int16", SLOPE_SCALE) for name in ("LSLOPE", "RSLOPE")),
        *(Band(name, f"{index} day", "int16", SUM_SCALE) for name in sums),
        *(Band(name, "day", "uint16", DAY_SCALE) for name in ("SOSD_SE", "EOSD_SE")),
        Band("MAXV_SE", index, "uint16", INDEX_SCALE),
        *(Band(f"{name}_SE", f"{index} day", "uint16", SUM_SCALE) for name in sums),
    ]


def bands_of(run: Run, kind: str, year: int) -> list[Band]:
    """Return a map's bands. The first is valid wherever the masks have land."""
    wanted = run.configuration.products
    assert wanted is not None
    index = wanted.index_of(kind).name
    if kind == SEASON:
        flags = [Band(f"QFLAG_{number}", "", "uint8") for number in (1, 2)]
        return flags + [replace(x, name=f"{x.name}_{n}") for n in (1, 2) for x in _season(index)]
    if kind == NDVI:
        days = [f"{day:%Y%m%d}" for day in steps(run, year)]
        return [
            Band("COUNT", "", "uint16"),
            *(Band(f"{index}_{day}", index, "int16", INDEX_SCALE) for day in days),
            *(Band(f"STD_{day}", index, "uint16", INDEX_SCALE) for day in days),
        ]
    gpp = [Band(f"GPP_{number}", "g m-2", "uint16", GPP_SCALE) for number in (1, 2)]
    return [Band("WEATHER", "%", "uint8"), *gpp]


def steps(run: Run, year: int) -> list[date]:
    """Return the days of a year, in steps, that the run's images are about."""
    wanted = run.configuration.products
    assert wanted is not None
    first, after = run.configuration.first_instant.date(), run.configuration.last_instant.date()
    days = (date(year, 1, 1) + timedelta(i) for i in range(0, 366, wanted.step))
    return [day for day in days if first <= day < after and day.year == year]


def years(run: Run) -> list[int]:
    """Return the years of which a run has half or more, or else the one in its middle."""
    start, end = run.configuration.start, run.configuration.end
    middle = start + (end - start) / 2
    return [
        year
        for year in range(start.year, end.year + 1)
        if year == middle.year or _overlap(start, end, year) >= timedelta(183)
    ]


def _overlap(start: date, end: date, year: int) -> timedelta:
    return min(end, date(year + 1, 1, 1)) - max(start, date(year, 1, 1))


def standing(records: Iterable[Export]) -> dict[str, Export | None]:
    """Return by image the record that counts; None after a crash between two of them."""
    found: dict[str, Export | None] = {}
    for record in records:
        found.setdefault(record.image_id, None)
        if record.state is not State.SUPERSEDED:
            found[record.image_id] = record
    return found


def is_settled(records: Iterable[Export]) -> bool:
    """Tell whether no mask is to come for now: each image's record is there and final."""
    found = standing(records).values()
    return all(record is not None and record.state in FINAL for record in found)


def wanted(run: Run, masks: Sequence[Export], now: datetime) -> list[Export]:
    """Return the records of all maps of a tile, given the records of its masks (at least one).

    The ids cover the masks that a map is made of: with another one it is another map. Without
    any mask they are SKIPPED. A map is an in-season estimate until all masks are settled and the
    run's period is over.
    """
    products = run.configuration.products
    assert products is not None
    is_over = now >= run.configuration.last_instant and is_settled(masks)
    counted = [record for record in standing(masks).values() if record is not None]
    used = sorted(
        (x for x in counted if x.state is State.SUCCEEDED), key=lambda x: (x.sensed_at, x.image_id)
    )
    reason = "" if used else _why_none(counted)
    return [
        _record(run, kind, year, masks[0], used, is_over, reason, now)
        for kind in products.maps
        for year in years(run)
    ]


def _why_none(masks: Sequence[Export]) -> str:
    states = [record.state for record in masks]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    listed = ", ".join(f"{n} {state}" for state, n in counts.items())
    return f"no mask of the tile was made: {listed or 'no image'}"


def _record(
    run: Run,
    kind: str,
    year: int,
    example: Export,
    masks: Sequence[Export],
    is_over: bool,
    reason: str,
    now: datetime,
) -> Export:
    products = run.configuration.products
    assert products is not None
    image_id = f"{example.tile or 'region'}_{year}"
    crs = masks[0].grid[0] if masks else example.grid[0]
    grid = (crs, products.scale)
    asked = run.configuration
    period = [str(asked.first_instant), str(asked.last_instant)]
    how = [asked.index_collection, asked.destination, products.deciding(kind)]
    made_of = [record.export_id for record in masks]
    return Export(
        export_id=ids.export_id(kind, image_id, ALGORITHM, [*how, *period, made_of, is_over], grid),
        run=run.products_queue,
        run_id=run.run_id,
        image_id=image_id,
        acquisition=image_id,
        sensed_at=datetime(year, 1, 1, tzinfo=UTC),
        platform="",
        tile=example.tile,
        footprint=json.dumps(_around([json.loads(x.footprint) for x in masks or [example]])),
        grid=grid,
        inputs=tuple(record.image_id for record in masks),
        in_season=not is_over,
        queued_at=now,
        state=State.SKIPPED if reason else State.FOUND,
        reason=reason,
    )


def _around(geometries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rectangle in longitude and latitude around geometries."""
    boxes = [bounding_box(dict(geometry)) for geometry in geometries]
    west, south, east, north = zip(*boxes, strict=True)
    w, s, e, n = min(west), min(south), max(east), max(north)
    return {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]}


def year_of(record: Export) -> int:
    """Return the year that a map is of."""
    return record.sensed_at.year


def stac_item(run: Run, record: Export, output: Mapping[str, Any], now: datetime) -> str:
    """Return the STAC item of a map, as JSON text."""
    products = run.configuration.products
    assert products is not None
    geometry = json.loads(record.footprint)
    year, (crs, scale) = year_of(record), record.grid
    properties = {
        "datetime": None,
        "start_datetime": rfc3339(datetime(year, 1, 1, tzinfo=UTC)),
        "end_datetime": rfc3339(datetime(year + 1, 1, 1, tzinfo=UTC)),
        "created": rfc3339(now),
        "gsd": scale,
        "proj:code": crs,
        "processing:software": {"verdure": CODE_VERSION},
        "verdure:algorithm": ALGORITHM,
        "verdure:product": record.kind,
        "verdure:in_season": record.in_season,
        "verdure:parameters": products.deciding(record.kind),
        "verdure:masks": len(record.inputs),
        "verdure:run": run.run_id,
        "verdure:run_key": record.export_id,
        "verdure:valid_share": round(output["valid_share"], 4),
    }
    if record.kind == GPP:
        properties["verdure:weather_days"] = output.get("weather_days")
    if record.tile:
        properties["grid:code"] = f"MGRS-{record.tile}"
    item = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [*STAC_EXTENSIONS[1:], RASTER_EXTENSION],
        "id": f"{record.kind}_{record.image_id}",
        "geometry": geometry,
        "bbox": bounding_box(geometry),
        "properties": properties,
        "links": [],
        "assets": {
            "map": {
                "href": f"https://earthengine.googleapis.com/v1/{run.place_of(record)}",
                "roles": ["data"],
                "bands": [_described(band) for band in bands_of(run, record.kind, year)],
            }
        },
    }
    return json.dumps(item)


def _described(band: Band) -> dict[str, Any]:
    described = {k: v for k, v in asdict(band).items() if v != ""}
    scale = described.pop("scale")
    return {**described, "raster:scale": scale} if scale != 1 else described
