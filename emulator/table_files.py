"""Tables as they are sent: GeoJSON features, and files of them."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import shapely

from emulator import engine
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.values import Collection, Feature
from emulator.server import Content

#: Formats that Earth Engine has and the emulator has not.
OTHER_FORMATS = ("KML", "KMZ", "SHP", "TF_RECORD_TABLE", "PARQUET")
INDEX = "system:index"
GEOMETRY = ".geo"


def features(value: Any) -> Iterable[Feature]:
    """Return the features of an evaluated table."""
    if not isinstance(value, Collection) or value.of_images:
        raise EarthEngineError("The expression is not a table.")
    for element in value:
        if not isinstance(element, Feature):
            raise EarthEngineError("The expression is not a table: it has elements of other types.")
        yield element


def geojson(feature: Feature) -> dict[str, Any]:
    """Return a feature in longitude and latitude with straight edges (RFC 7946)."""
    shape = feature.footprint
    content: dict[str, Any] = engine.to_json(Feature(feature.properties, None))
    content["geometry"] = json.loads(shapely.to_geojson(shape.lonlat)) if shape else None
    return content


def encode(table: Iterable[Feature], file_format: str, selectors: Sequence[str]) -> Content:
    """Return a table as a file: CSV, or GeoJSON, which is also called JSON."""
    if file_format in ("GEO_JSON", "JSON"):
        rows = [_selected(geojson(feature), selectors) for feature in table]
        document = {"type": "FeatureCollection", "features": rows}
        return Content(json.dumps(document).encode(), "application/json")
    if file_format == "CSV":
        return Content(_csv([geojson(feature) for feature in table], selectors), "text/csv")
    if file_format in OTHER_FORMATS:
        raise NotImplementedByEmulator(f"The table format {file_format}")
    raise EarthEngineError(f"Invalid table format '{file_format}'.")


def _selected(row: dict[str, Any], selectors: Sequence[str]) -> dict[str, Any]:
    if not selectors:
        return row
    chosen = {key: row["properties"].get(key) for key in selectors if key != GEOMETRY}
    geometry = row["geometry"] if GEOMETRY in selectors else None
    return {**row, "geometry": geometry, "properties": chosen}


def _csv(rows: Sequence[dict[str, Any]], selectors: Sequence[str]) -> bytes:
    """Return the index, the properties in alphabetical order and the geometry of each feature."""
    names = sorted({name for row in rows for name in row["properties"]})
    columns = list(selectors) or [INDEX, *names, GEOMETRY]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = {**row["properties"], INDEX: row.get("id"), GEOMETRY: row["geometry"]}
        writer.writerow([_cell(values.get(column)) for column in columns])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value
