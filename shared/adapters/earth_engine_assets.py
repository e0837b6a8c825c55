"""Earth Engine's assets through its own client: what the archive asks of them."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ee

from shared.adapters import footprints
from shared.adapters.earth_engine import MAX_PIXELS, EarthEngineClient, translated
from shared.domain import copies
from shared.domain.archive import Asset, Quota, Way, request_id, restore_id
from shared.domain.copies import Part
from shared.earth import copies as graphs
from shared.services import Copy, EndedCopy

#: What a file of a copy is called in Earth Engine's list of tasks.
_DESCRIPTION = re.compile(r"archive (\S+)")

#: Tiles of a file that an asset can be made of without ingestion have 256, 512, 1024 or 2048
#: pixels on a side (Earth_Engine_asset_from_cloud_geotiff); 512 is what GDAL's COG driver makes.
TILE = 512

#: Pixels on a side beyond which a copy would be split into files: far above a Sentinel-2 tile's
#: 10,980, and a multiple of TILE.
FILE_SIDE = 32_768


class EarthEngineAssets:
    """The assets of one project (see shared.services.EarthAssets)."""

    def __init__(self, client: EarthEngineClient) -> None:
        self._client = client

    @translated
    def quota(self, root: str) -> Quota:
        """Return what a project has and may have: one request."""
        self._client.connect()
        answer = ee.data.getAssetRootQuota(f"{root}/")
        count, size = answer["asset_count"], answer["asset_size"]
        return Quota(count["usage"], count["limit"], size["usage"], size["limit"])

    @translated
    def describe(self, collection: str) -> Iterator[dict[str, Any]]:
        """List the images of a collection or folder: one request for every 1,000."""
        self._client.connect()
        try:
            listed = ee.data.listAssets({"parent": collection, "view": "FULL"})["assets"]
        except ee.EEException as error:
            if "not found" in str(error) or "does not exist" in str(error):
                return iter(())
            raise
        return (asset for asset in listed if asset["type"] == "IMAGE")

    @translated
    def describe_one(self, asset_id: str) -> dict[str, Any] | None:
        """Return an asset's description, or None where there is none: one request."""
        self._client.connect()
        try:
            found: dict[str, Any] = ee.data.getAsset(asset_id)
        except ee.EEException as error:
            if "not found" in str(error) or "does not exist" in str(error):
                return None
            raise
        return found

    @translated
    def start_copy(self, record: Asset, part: Part, number: int, uri: str, layout: str) -> str:
        """Start the export of one file of a copy: one request; return the operation's name."""
        self._client.connect()
        name = request_id(record, number)
        return str(
            ee.data.exportImage(name, _copy_request(record, name, part, uri, layout))["name"]
        )

    @translated
    def compare(self, wanted: Sequence[Copy]) -> dict[str, dict[str, Any]]:
        """Compare assets with their copies, pixel by pixel: one request for all of them."""
        self._client.connect()
        features = [
            graphs.comparison(x.record_id, x.asset_id, x.description, x.layout, x.uris)
            for x in wanted
        ]
        answer = ee.FeatureCollection(features).getInfo()
        facts = [feature["properties"] for feature in answer["features"]]
        return {fact["record_id"]: fact for fact in facts}

    @translated
    def copy_tasks(self) -> dict[str, EndedCopy | None]:
        """Return how the archive's tasks ended, by request id; None while one waits or runs."""
        self._client.connect()
        tasks: dict[str, EndedCopy | None] = {}
        for operation in ee.data.listOperations():
            metadata = operation["metadata"]
            match = _DESCRIPTION.fullmatch(metadata.get("description", ""))
            if match:
                tasks.setdefault(match[1], _ended(operation) if operation.get("done") else None)
        return tasks

    @translated
    def delete(self, asset_id: str) -> None:
        """Delete an asset: one request. That it is gone already is as good."""
        self._client.connect()
        try:
            ee.data.deleteAsset(asset_id)
        except ee.EEException as error:
            if "not found" not in str(error) and "does not exist" not in str(error):
                raise

    @translated
    def start_restore(
        self, record: Asset, description: Mapping[str, Any], uris: Sequence[str]
    ) -> str:
        """Bring the pixels back: one request; return the operation's, or the asset's, name.

        Asking again for the same record and attempt starts nothing new.
        """
        self._client.connect()
        if record.way == Way.EXPORT:
            request = _rebuild_request(record, description, uris)
            return str(ee.data.exportImage(restore_id(record), request)["name"])
        files = list(zip(copies.parts(description, record.layout), uris, strict=True))
        manifest = copies.manifest(description, files, footprints.ring(description))
        if record.way == Way.COG:
            return _created(manifest)
        started = ee.data.startIngestion(restore_id(record), manifest)
        return str(started["name"])

    @translated
    def ended_operation(self, name: str) -> EndedCopy | None:
        """Return how an operation ended, or None while it goes on: one request."""
        self._client.connect()
        try:
            operation = ee.data.getOperation(name)
        except ee.EEException as error:
            if "not found" in str(error).lower():
                return EndedCopy("VANISHED", "")
            raise
        if not operation.get("done"):
            return None
        return _ended(operation)


def _ended(operation: Mapping[str, Any]) -> EndedCopy:
    message = operation.get("error", {}).get("message", "")
    return EndedCopy(operation["metadata"]["state"], message)


def _created(manifest: Mapping[str, Any]) -> str:
    """Make an asset over the files; one that an earlier request made, whose answer was lost, too.

    Whether it is ours the comparison shows, which every restored asset has to pass.
    """
    try:
        ee.data.startExternalImageIngestion(dict(manifest))
    except ee.EEException as error:
        if not re.search("overwrite|already exists", str(error), re.IGNORECASE):
            raise
    return str(manifest["name"])


def _copy_request(record: Asset, name: str, part: Part, uri: str, layout: str) -> dict[str, Any]:
    bucket, _, prefix = uri.removeprefix("gs://").removesuffix(".tif").partition("/")
    task = ee.batch.Export.image.toCloudStorage(
        image=graphs.packed(record.asset_id, part),
        description=f"archive {name}",
        bucket=bucket,
        fileNamePrefix=prefix,
        shardSize=TILE,
        fileDimensions=FILE_SIDE,
        formatOptions={"cloudOptimized": True},
        **_grid(part.grid),
    )
    if layout == copies.WITH_NODATA:
        # Not by the call above: protocol buffers' JSON has NaN as text, which it does not know.
        options = task.config["fileExportOptions"]["geoTiffOptions"]
        options["noData"] = "NaN" if math.isnan(part.nodata) else part.nodata
    return _encoded(task)


def _rebuild_request(
    record: Asset, description: Mapping[str, Any], uris: Sequence[str]
) -> dict[str, Any]:
    opened = graphs.opened(description, record.layout, uris)
    bands = description["bands"]
    task = ee.batch.Export.image.toAsset(
        image=graphs.with_metadata(opened, description, record.image_id),
        description=f"archive {restore_id(record)}",
        assetId=record.asset_id,
        pyramidingPolicy={x["id"]: x.get("pyramidingPolicy", "MEAN").lower() for x in bands},
        **_grid(bands[0]["grid"]),
    )
    return _encoded(task)


def _grid(grid: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes an export have exactly the pixels of a grid."""
    return {
        "crs": grid["crsCode"],
        "crsTransform": graphs.transform_of(grid),
        "region": graphs.outline_of(grid),
        "maxPixels": MAX_PIXELS,
    }


def _encoded(task: ee.batch.Task) -> dict[str, Any]:
    expression = ee.serializer.encode(task.config["expression"], for_cloud_api=True)
    return {**task.config, "expression": expression}
