"""Export.table: to an asset, or as CSV or GeoJSON."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TextIO

import shapely

from emulator import engine, fields
from emulator.assets import documents
from emulator.assets.store import Asset
from emulator.catalogue import Catalogue
from emulator.clock import timestamp
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.exports.destinations import (
    AssetName,
    Destinations,
    Files,
    NewAsset,
    NewFiles,
    new_files,
)
from emulator.fields import Json
from emulator.functions.values import Collection, Feature
from emulator.tasks import Output, Progress, Task

#: The columns that are no properties (https://developers.google.com/earth-engine/guides/exporting_tables).
INDEX = "system:index"
GEOMETRY = ".geo"

Row = dict[str, Any]  # a GeoJSON feature
Writer = Callable[[TextIO, Iterable[Row], Sequence[str] | None], None]


class TableExports:
    """Checks and runs exports of feature collections."""

    def __init__(self, catalogue: Catalogue, destinations: Destinations) -> None:
        self._catalogue = catalogue
        self._destinations = destinations

    def check(self, request: Json) -> None:
        """Raise unless the request can become a task."""
        fields.expression(request)
        fields.texts(request, "selectors")
        if request.get("maxVertices"):
            raise NotImplementedByEmulator("maxVertices")
        if not isinstance(self._destinations.of(request), AssetName):
            _format(request)

    def run(self, task: Task) -> Output:
        """Compute the table of a task."""
        collection = engine.evaluate(task.request["expression"], self._catalogue)
        if not isinstance(collection, Collection):
            raise EarthEngineError("Invalid export: the expression is not a collection.")
        features = _rows(collection, task.progress)
        selectors = fields.texts(task.request, "selectors") or None
        destination = self._destinations.of(task.request)
        if isinstance(destination, AssetName):
            return self._asset(destination, features, selectors)
        suffix, write = FORMATS[_format(task.request)]
        return _files(destination, features, selectors, suffix, write)

    def _asset(
        self, destination: AssetName, features: Iterable[Row], selectors: Sequence[str] | None
    ) -> NewAsset:
        store = self._destinations.store
        asset = Asset(destination.name, "TABLE", timestamp())
        store.check_insertable(asset, destination.overwrite)  # before the long part
        with store.new_folder() as folder:
            documents.write_table(folder, _placed(features, selectors))
            asset = asset.with_files(folder)
        return NewAsset(asset, destination.overwrite, store)


def geojson(element: Any) -> Row:
    """Return an element in longitude and latitude with straight edges (RFC 7946)."""
    row: Row = engine.to_json(Feature(element.properties, None))
    shape = element.footprint
    row["geometry"] = json.loads(shapely.to_geojson(shape.lonlat)) if shape else None
    return row


def with_ids(elements: Iterable[Any]) -> Iterator[Row]:
    """Yield elements as GeoJSON; one without an index gets its number as its id."""
    for number, element in enumerate(elements):
        yield {"id": str(number), **geojson(element)}


def _rows(collection: Collection, progress: Progress) -> Iterator[Row]:
    for row in with_ids(collection):
        progress.report(0.0)  # how many will come is not known
        yield row


def _placed(features: Iterable[Row], selectors: Sequence[str] | None) -> Iterator[Row]:
    """Yield the features of a table asset, which all must lie somewhere."""
    for feature in features:
        if feature["geometry"] is None:
            raise EarthEngineError("Unable to export features with null geometry.")
        yield _selected(feature, selectors)


def _selected(feature: Row, selectors: Sequence[str] | None) -> Row:
    if selectors is None:
        return feature
    kept = {key: value for key, value in feature["properties"].items() if key in selectors}
    return feature | {"properties": kept}


def _format(request: Json) -> str:
    file_format = fields.text(fields.mapping(request, "fileExportOptions"), "fileFormat")
    if file_format not in FORMATS:
        raise NotImplementedByEmulator(f"Export of tables as {file_format!r:.60}")
    return file_format


def _files(
    files: Files,
    features: Iterable[Row],
    selectors: Sequence[str] | None,
    suffix: str,
    write: Writer,
) -> NewFiles:
    with new_files(files) as new:
        path = new.draft / "table"
        with path.open("w", encoding="utf-8", newline="") as file:
            write(file, features, selectors)
        new.written.append((path, "", suffix))
    return new


def _write_csv(file: TextIO, features: Iterable[Row], selectors: Sequence[str] | None) -> None:
    """Write rows; without selectors the first feature says which columns there are."""
    features = iter(features)
    first = next(features, None)
    if first is None:
        raise EarthEngineError("Table is empty.")
    columns = selectors or [INDEX, *first["properties"], GEOMETRY]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for feature in chain([first], features):
        values = feature["properties"] | {INDEX: feature["id"], GEOMETRY: feature["geometry"]}
        writer.writerow([_cell(values.get(column)) for column in columns])


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)


def _write_geojson(file: TextIO, features: Iterable[Row], selectors: Sequence[str] | None) -> None:
    """Write a FeatureCollection feature by feature."""
    file.write('{"type": "FeatureCollection", "features": [')
    for number, feature in enumerate(features):
        file.write(("," if number else "") + "\n" + json.dumps(_selected(feature, selectors)))
    file.write("\n]}\n")


FORMATS: dict[str, tuple[str, Writer]] = {
    "CSV": (".csv", _write_csv),
    "GEO_JSON": (".geojson", _write_geojson),
}
