"""CSV files as features (https://developers.google.com/earth-engine/guides/table_manifest)."""

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely

from emulator import fields, grids
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.fields import Json
from emulator.functions.geometry import Geometry
from emulator.ingest.manifests import TableManifest, TableSource
from emulator.shapes import InvalidShape, parse_shape
from emulator.tasks import Progress

INDEX = "system:index"
LONLAT = "EPSG:4326"
DEFAULT_X, DEFAULT_Y = "longitude", "latitude"
TEXT, WHOLE = "COLUMN_DATA_TYPE_STRING", "COLUMN_DATA_TYPE_LONG"
#: Types of files that Earth Engine reads and the emulator does not.
OTHER_FILES = (".shp", ".zip", ".tfrecord", ".tfrecord.gz")
#: Digits of the index that a feature gets: hexadecimal, as Earth Engine's ingested tables have.
INDEX_DIGITS = 20
WKT = re.compile(
    r"\s*(MULTI)?(POINT|LINESTRING|POLYGON)\b|\s*(LINEARRING|GEOMETRYCOLLECTION)\b", re.IGNORECASE
)
MAX_CELL = 10 * 2**20  # bytes: a geometry may be long

Column = list[Any]


def read_csv(
    manifest: TableManifest, paths: Sequence[Path], progress: Progress
) -> list[dict[str, Any]]:
    """Return the features (GeoJSON) of all sources, which must have the same columns."""
    features: list[dict[str, Any]] = []
    header: list[str] | None = None
    for source, path in zip(manifest.sources, paths, strict=True):
        columns = _columns(source, path)
        if header is not None and list(columns) != header:
            raise EarthEngineError(f"'{source.uri}' has other columns than the first source.")
        header = list(columns)
        features += _features(source, columns, manifest.column_types, len(features))
        progress.report(len(features) / (len(features) + 1))
    return features


def _columns(source: TableSource, path: Path) -> dict[str, list[str]]:
    """Return the text of every column."""
    suffix = path.name.lower()
    if suffix.endswith(OTHER_FILES):
        raise NotImplementedByEmulator(f"Ingestion of '{path.name}'")
    if not suffix.endswith(".csv"):
        raise EarthEngineError(f"'{source.uri}' is no table: CSV files end in .csv.")
    csv.field_size_limit(MAX_CELL)
    try:
        text = _trimmed(path.read_text(source.charset), source)
        rows = list(
            csv.reader(
                text.splitlines(keepends=True),
                delimiter=source.delimiter,
                quotechar=source.qualifier,
                skipinitialspace=True,
            )
        )
    except (LookupError, ValueError, csv.Error) as error:
        raise EarthEngineError(f"'{source.uri}' cannot be read: {error}") from error
    rows = [row for row in rows if row]
    if not rows or len(set(rows[0])) < len(rows[0]):
        raise EarthEngineError(f"'{source.uri}' needs a header of different names.")
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise EarthEngineError(
                f"'{source.uri}' has {len(row)} values instead of {len(rows[0])} in row {number}."
            )
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])}


def _trimmed(text: str, source: TableSource) -> str:
    """Return text without the spaces that follow values without qualifiers."""
    quote, delimiter = re.escape(source.qualifier), re.escape(source.delimiter)
    quoted = f"{quote}(?:[^{quote}]|{quote}{quote})*{quote}"
    return re.sub(rf"({quoted})| +(?={delimiter}|\r?$)", lambda m: m[1] or "", text, flags=re.M)


def _features(
    source: TableSource, columns: Mapping[str, list[str]], types: Mapping[str, str], first: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a source; a value that is missing is no property."""
    shapes, used = _shapes(source, columns)
    values = {
        name: _typed(name, column, types.get(name))
        for name, column in columns.items()
        if name not in (used, INDEX)
    }
    for i, shape in enumerate(shapes):
        index = columns[INDEX][i] if INDEX in columns else f"{first + i:0{INDEX_DIGITS}x}"
        row = {name: column[i] for name, column in values.items() if column[i] is not None}
        yield {"type": "Feature", "id": index, "geometry": shape, "properties": row}


def _typed(name: str, column: Sequence[str], kind: str | None) -> Column:
    """Return numbers if all values of a column are, or text."""
    numbers = [_number(text) if text else None for text in column]
    is_number = all(n is not None or not text for n, text in zip(numbers, column, strict=True))
    if kind == TEXT or (kind is None and not (is_number and any(column))):
        return [text or None for text in column]
    if not is_number:
        raise EarthEngineError(f"Column '{name}' has values that are not numbers.")
    return [int(n) if n is not None and (kind == WHOLE or n == int(n)) else n for n in numbers]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _shapes(
    source: TableSource, columns: Mapping[str, list[str]]
) -> tuple[list[Json | None], str | None]:
    """Return a geometry for each row, and the column that they are from, if it is one."""
    reference = grids.spatial_reference(source.crs)
    if source.geometry_column and source.geometry_column not in columns:
        raise EarthEngineError(f"There is no column '{source.geometry_column}'.")
    found = [name for name, column in columns.items() if _has_shapes(column)]
    chosen = source.geometry_column or (found[0] if found else None)
    if chosen:
        return [_shape(text, source) if text else None for text in columns[chosen]], chosen
    projected = not reference.is_geographic
    x = source.x_column or ("" if projected else DEFAULT_X)
    y = source.y_column or ("" if projected else DEFAULT_Y)
    count = len(next(iter(columns.values())))
    if x not in columns or y not in columns:
        if source.x_column or source.y_column:
            raise EarthEngineError(f"There are no columns '{x}' and '{y}'.")
        return [None] * count, None
    pairs = zip(columns[x], columns[y], strict=True)
    return [_point(_number(a), _number(b), source) for a, b in pairs], None


def _has_shapes(column: Sequence[str]) -> bool:
    texts = [text for text in column if text]
    return bool(texts) and all(text.startswith("{") or WKT.match(text) for text in texts)


def _point(x: float | None, y: float | None, source: TableSource) -> Json | None:
    return None if x is None or y is None else _lonlat(shapely.Point(x, y), source)


def _shape(text: str, source: TableSource) -> Json:
    try:
        return _lonlat(parse_shape(text), source)
    except InvalidShape:
        shown = text[: fields.SHOWN]
        raise EarthEngineError(f"'{shown}' in '{source.uri}' is not a geometry.") from None


def _lonlat(shape: shapely.Geometry, source: TableSource) -> Json:
    """Return GeoJSON with the edges that the source has, or that its CRS suggests."""
    geodesic = source.geodesic
    if geodesic is None:
        geodesic = bool(grids.spatial_reference(source.crs).is_geographic)
    if source.crs != LONLAT:  # edges are followed by vertices, straight in the end
        shape, geodesic = Geometry(shape, source.crs, geodesic).lonlat, False
    content: dict[str, Any] = json.loads(shapely.to_geojson(shape))
    if content["type"] not in ("Point", "MultiPoint"):
        content["geodesic"] = geodesic
    return content
