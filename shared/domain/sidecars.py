"""What stands beside a copy: a STAC item with all that a restore needs, and the 2019 system's JSON.

https://github.com/radiantearth/stac-spec (1.1.0), with the extensions named below.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.domain.archive import Asset, File, State
from shared.domain.copies import WITH_NODATA, Part, milliseconds
from shared.domain.outputs import STAC_VERSION, bounding_box
from shared.domain.runs import CODE_VERSION

EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/v{version}/schema.json"
    for name, version in (
        ("file", "2.1.0"),
        ("processing", "1.2.0"),
        ("projection", "2.0.0"),
        ("raster", "2.0.0"),
    )
]
#: The property by which an item of ours is known, and its version.
FORMAT, FORMAT_VERSION = "verdure:archive", 1
#: A CRC-32C as a multihash (code 0x0132 as a varint, 4 bytes), which the file extension wants.
CRC32C_MULTIHASH = "b20204"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


class ForeignItem(ValueError):
    """A STAC item, or JSON, that is no sidecar of ours; the message says what is missing."""


def item(
    record: Asset,
    files: Sequence[tuple[Part, File]],
    statistics: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """Return the STAC item of a verified copy; `statistics` are those of a comparison."""
    description = json.loads(record.description)
    geometry = description.get("geometry")
    start, end = description.get("startTime"), description.get("endTime")
    properties = {
        "datetime": _rfc3339(record.sensed_at),
        "created": _rfc3339(now),
        "processing:software": {"verdure": CODE_VERSION},
        # The original system's keys, for those who have readers for it.
        "system:time_start": milliseconds(start) if start else None,
        "system:time_end": milliseconds(end) if end else None,
        FORMAT: FORMAT_VERSION,
        "verdure:record_id": record.record_id,
        "verdure:run": record.run,
        "verdure:image_id": record.image_id,
        "verdure:version": record.version,
        "verdure:layout": record.layout,
        "verdure:earth_engine": description,
    }
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": EXTENSIONS,
        "id": record.record_id,
        "geometry": geometry,
        **({"bbox": bounding_box(geometry)} if geometry else {}),
        "properties": {key: value for key, value in properties.items() if value is not None},
        "links": [{"rel": "collection", "href": "../collection.json", "type": "application/json"}],
        "collection": collection_id(record.asset_id),
        "assets": {
            f"data{part.suffix}": _file(part, file, record.layout, statistics)
            for part, file in files
        },
    }


def _file(part: Part, file: File, layout: str, statistics: Mapping[str, Any]) -> dict[str, Any]:
    affine = {"shearX": 0, "shearY": 0, **part.grid["affineTransform"]}
    size = part.grid["dimensions"]
    keys = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    return {
        "href": file.uri,
        "type": COG,
        "roles": ["metadata"] if part.masks else ["data"],
        "title": "255 times the masks" if part.masks else "Pixels",
        "file:size": file.size,
        "file:checksum": CRC32C_MULTIHASH + base64.b64decode(file.crc32c).hex(),
        "verdure:generation": str(file.generation),
        "raster:sampling": "area",
        "proj:code": part.grid["crsCode"],
        "proj:shape": [size["height"], size["width"]],
        "proj:transform": [affine.get(key, 0) for key in keys],
        "bands": [_band(part, name, layout, statistics) for name in part.bands],
    }


def _band(part: Part, name: str, layout: str, statistics: Mapping[str, Any]) -> dict[str, Any]:
    band: dict[str, Any] = {"name": name, "data_type": part.dtype}
    if part.masks:
        return {**band, "raster:scale": 1 / 255}
    if layout == WITH_NODATA:
        band["nodata"] = part.nodata if part.nodata == part.nodata else "nan"
    if statistics.get(f"{name}_count"):
        size = part.grid["dimensions"]
        band["statistics"] = {
            "minimum": statistics[f"{name}_min"],
            "maximum": statistics[f"{name}_max"],
            "mean": statistics[f"{name}_mean"],
            "count": statistics[f"{name}_count"],
            "valid_percent": 100 * statistics[f"{name}_count"] / (size["width"] * size["height"]),
        }
    return band


def collection_id(asset_id: str) -> str:
    """Return the id of the STAC collection of an asset's copies: its folder's name."""
    return asset_id.rpartition("/")[0].split("/assets/")[-1]


def collection(folder: str, records: Sequence[Asset]) -> dict[str, Any]:
    """Return the STAC collection of the archived assets of one folder, which must be some."""
    boxes = [bounding_box(g) for x in records if (g := json.loads(x.description).get("geometry"))]
    west, south, east, north = zip(*boxes, strict=True) if boxes else ([-180], [-90], [180], [90])
    times = sorted(_rfc3339(x.sensed_at) for x in records)
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": folder,
        "description": f"Verified copies of the Earth Engine assets in {folder}",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[min(west), min(south), max(east), max(north)]]},
            "temporal": {"interval": [[times[0], times[-1]]]},
        },
        "links": [
            {
                "rel": "item",
                "href": f"./{'/'.join(x.files[-1].uri.rsplit('/', 2)[1:])}",
                "type": "application/geo+json",
            }
            for x in records
        ],
    }


def is_item(text: str) -> bool:
    """Tell whether a text is a STAC item, whoever made it."""
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("type") == "Feature"


def from_item(text: str | bytes) -> dict[str, Any]:
    """Return the item that `item` made, or raise ForeignItem saying why it is none."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ForeignItem(f"not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("type") != "Feature":
        raise ForeignItem("not a STAC item: it has no type 'Feature'")
    properties = content.get("properties") or {}
    if properties.get(FORMAT) != FORMAT_VERSION:
        raise ForeignItem(
            f"the STAC item {content.get('id')!r} is none of Verdure's archive: {FORMAT} is "
            f"{properties.get(FORMAT)!r}, expected {FORMAT_VERSION}"
        )
    found: dict[str, Any] = content
    return found


def uri_of(item: Mapping[str, Any]) -> str:
    """Return where the sidecar of an item is: beside its first file."""
    return str(item["assets"]["data"]["href"]).removesuffix(".tif") + ".json"


def archived(item: Mapping[str, Any], sidecar: File, run: str) -> Asset:
    """Return the record of the archived asset that an item of ours describes."""
    properties = item["properties"]
    description = properties["verdure:earth_engine"]
    return Asset(
        record_id=properties["verdure:record_id"],
        run=run,
        asset_id=description["name"],
        image_id=properties["verdure:image_id"],
        version=properties["verdure:version"],
        sensed_at=datetime.fromisoformat(properties["datetime"]),
        description=json.dumps(description),
        size_bytes=int(description.get("sizeBytes", 0)),
        state=State.ARCHIVED,
        layout=properties["verdure:layout"],
        files=(*(_object(x) for x in item["assets"].values()), sidecar),
        item=json.dumps(item),
    )


def _object(asset: Mapping[str, Any]) -> File:
    checksum = bytes.fromhex(asset["file:checksum"].removeprefix(CRC32C_MULTIHASH))
    return File(
        asset["href"],
        asset["file:size"],
        base64.b64encode(checksum).decode(),
        int(asset["verdure:generation"]),
    )


def original(records: Iterable[Asset]) -> dict[str, Any]:
    """Return the 2019 system's JSON: asset id → outer ring (degrees) and sensing time (ms)."""
    return {
        record.asset_id: {
            "geometry": _outer_ring(json.loads(record.description).get("geometry")),
            "system:time_start": milliseconds(_rfc3339(record.sensed_at)),
        }
        for record in records
    }


def from_original(text: str) -> dict[str, tuple[datetime, list[Any]]]:
    """Return sensing time and outer ring by asset id, of either of the 2019 system's formats.

    Its description has `system:time_start`, its code writes `date_deb` and `date_end`.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ForeignItem(f"not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("type") == "Feature":
        raise ForeignItem("not the 2019 system's JSON: expected {asset id: {geometry, ...}}")
    return {asset_id: _original_entry(asset_id, entry) for asset_id, entry in content.items()}


def _original_entry(asset_id: str, entry: Any) -> tuple[datetime, list[Any]]:
    time = None
    if isinstance(entry, dict):
        time = entry.get("system:time_start", entry.get("date_deb"))
    if time is None or "geometry" not in entry:
        raise ForeignItem(
            f"{asset_id} is {entry!r:.80}, expected geometry and system:time_start (or date_deb)"
        )
    if isinstance(time, str):
        try:
            moment = datetime.fromisoformat(time)
        except ValueError as error:
            raise ForeignItem(f"{asset_id}: date_deb is {time!r}, expected ISO 8601") from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    else:
        moment = datetime.fromtimestamp(time / 1000, UTC)
    geometry = entry["geometry"]
    ring = geometry.get("coordinates", [[]])[0] if isinstance(geometry, dict) else geometry
    return moment, list(ring)


def _outer_ring(geometry: Mapping[str, Any] | None) -> list[Any]:
    if geometry is None:
        return []
    coordinates = geometry["coordinates"]
    ring = coordinates[0] if geometry["type"] == "Polygon" else coordinates[0][0]
    return list(ring)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
