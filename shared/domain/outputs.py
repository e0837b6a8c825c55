"""What a finished mask must be like, and how it is described to others."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from shared.domain.exports import Export
from shared.domain.runs import CODE_VERSION, INPUTS, MASK_ALGORITHM, Run

STAC_VERSION = "1.1.0"
STAC_EXTENSIONS = [
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/grid/v1.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
]

MASK_BANDS = ["cloud_probability", "class", "agreement"]


def check(record: Export, bands: Sequence[str], output: dict[str, Any]) -> list[str]:
    """Return what is wrong with an output (see EarthEngine.describe_outputs), if anything."""
    crs, scale = record.grid
    expected = {"bands": list(bands), "crs": crs}
    problems = [
        f"{name} is {output[name]!r}, expected {value!r}"
        for name, value in expected.items()
        if output[name] != value
    ]
    if abs(output["scale"] - scale) > 1e-6 * scale:
        problems.append(f"pixel size is {output['scale']} m, expected {scale} m")
    if not output["valid_share"]:
        problems.append("no pixel is valid")
    return problems


def stac_item(run: Run, record: Export, output: dict[str, Any], now: datetime) -> str:
    """Return the STAC item of a mask, as JSON text."""
    geometry = json.loads(record.footprint)
    crs, scale = record.grid
    properties = {
        "datetime": rfc3339(record.sensed_at),
        "created": rfc3339(now),
        "platform": record.platform.lower() or None,
        "gsd": scale,
        "eo:cloud_cover": round(100 * (output["cloud_share"] or 0), 2),
        "grid:code": f"MGRS-{record.tile}" if record.tile else None,
        "proj:code": crs,
        "processing:software": {"verdure": CODE_VERSION},
        "verdure:algorithm": MASK_ALGORITHM,
        "verdure:model": record.model,
        "verdure:preset": run.configuration.mask.preset,
        "verdure:parameters": run.configuration.mask.deciding,
        "verdure:inputs": [name for name in INPUTS if output.get(f"{name}_present")],
        "verdure:background_images": output.get("background_images"),
        "verdure:acquisition": record.acquisition,
        "verdure:run": run.run_id,
        "verdure:run_key": record.export_id,
        "verdure:valid_share": round(output["valid_share"], 4),
    }
    asset_id = run.place_of(record)
    item = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": STAC_EXTENSIONS,
        "id": record.image_id,
        "geometry": geometry,
        "bbox": bounding_box(geometry),
        "properties": {k: v for k, v in properties.items() if v is not None},
        "links": [],
        "assets": {
            "mask": {
                "href": f"https://earthengine.googleapis.com/v1/{asset_id}",
                "title": "Cloud mask: class 0 clear, 1 cloud, 2 shadow, 3 snow, 4 thin cloud",
                "roles": ["cloud"],
                "bands": [{"name": name, "data_type": "uint8"} for name in MASK_BANDS],
            }
        },
    }
    return json.dumps(item)


def bounding_box(geometry: dict[str, Any]) -> list[float]:
    """Return west, south, east, north of a GeoJSON geometry in degrees."""
    longitudes, latitudes = zip(*_positions(geometry["coordinates"]), strict=True)
    return [min(longitudes), min(latitudes), max(longitudes), max(latitudes)]


def _positions(coordinates: Any) -> Iterator[tuple[float, float]]:
    if isinstance(coordinates[0], (int, float)):
        yield coordinates[0], coordinates[1]
        return
    for part in coordinates:
        yield from _positions(part)


def rfc3339(moment: datetime) -> str:
    """Return a UTC time as STAC wants it, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
