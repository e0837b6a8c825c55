"""The masks of a region and a period, found in the ledger, wherever their pixels are."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import shapely

from shared.domain import archive
from shared.domain.archive import READABLE, Asset, Way
from shared.domain.copies import encoded
from shared.domain.exports import Export, State
from shared.domain.runs import MAPS, Run
from shared.earth.masks import Place, collection
from shared.services import Services


def masks(
    run: Run, services: Services, region: Mapping[str, Any], start: datetime, end: datetime
) -> Any:
    """Return an ee.ImageCollection of a run's masks, in the order of time: no request.

    `region` is a GeoJSON geometry, `end` is exclusive. Earth Engine is asked for nothing, since
    a filter over files would read each of them: the ledger knows where and when masks are.
    """
    return collection(places(run, services, region, start, end))


def places(
    run: Run, services: Services, region: Mapping[str, Any], start: datetime, end: datetime
) -> list[Place]:
    """Return where the masks of a region and a period are, in the order of time."""
    area = shapely.from_geojson(json.dumps(region))
    wanted = [
        (sensed_at, place)
        for sensed_at, footprint, place in _all(run, services)
        if start <= sensed_at < end
        and (footprint is None or shapely.from_geojson(json.dumps(footprint)).intersects(area))
    ]
    return [place for _, place in sorted(wanted, key=lambda x: (x[0], x[1].asset_id))]


def _all(
    run: Run, services: Services
) -> Iterator[tuple[datetime, Mapping[str, Any] | None, Place]]:
    records = {record.version: record for record in services.assets.of_run(run.name)}
    newest: dict[str, Export] = {}
    of_runs = set()
    for export in services.ledger.exports(run.name):
        of_runs.add(export.export_id)
        other = newest.get(export.image_id)
        if _has_output(export) and (other is None or _is_later(export, other)):
            newest[export.image_id] = export
    for image_id, export in newest.items():
        asset_id = f"{run.configuration.destination}/{image_id}"
        record = records.get(export.export_id)
        place = _place(record) if record else Place(asset_id, image_id)
        yield export.sensed_at, json.loads(export.footprint), place
    for record in records.values():
        if record.version not in of_runs and not _is_map(record):  # imported: no run made it
            yield record.sensed_at, json.loads(record.description).get("geometry"), _place(record)


def _is_map(record: Asset) -> bool:
    """Tell whether an asset is a map of ours, and no mask."""
    return record.version.split("-")[0] in MAPS


def _has_output(export: Export) -> bool:
    """Tell whether a mask was made, even if it is to be made again in another way."""
    return export.state is State.SUCCEEDED or bool(export.item)


def _is_later(one: Export, other: Export) -> bool:
    """Tell whether one mask of an image was made after another, and so in its place."""
    return one.ended_at is not None and (other.ended_at is None or one.ended_at > other.ended_at)


def _place(record: Asset) -> Place:
    description = json.loads(record.description)
    # Who reads may do it when the undo window of a verified copy is over.
    if record.state in READABLE and record.state is not archive.State.TOMBSTONED:
        lost = record.way in (Way.INGEST, Way.COG) and _loses(description)
        return Place(record.asset_id, record.image_id, description if lost else None, lost=lost)
    uris = tuple(file.uri for file in record.files[:-1])
    return Place(record.asset_id, record.image_id, description, record.layout, uris)


def _loses(description: Mapping[str, Any]) -> bool:
    """Tell whether a manifest cannot hold all that an asset has beside its pixels."""
    properties, geometry = description.get("properties", {}), description.get("geometry")
    is_ring = not geometry or (geometry["type"] == "Polygon" and len(geometry["coordinates"]) == 1)
    return encoded(properties) != properties or not is_ring
