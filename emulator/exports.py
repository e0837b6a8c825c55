"""What a task of type EXPORT_IMAGE does: evaluate, write pixels, make an asset of them."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from emulator import engine, raster
from emulator.assets import Asset, AssetStore
from emulator.catalogue import Catalogue
from emulator.clock import timestamp
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.stored import Pyramiding, StoredBand
from emulator.tasks import Task, integer

#: Pixels of an export that does not say (https://developers.google.com/earth-engine/apidocs/export-image-toasset).
MAX_PIXELS = 10**8
ASSET_URI = "https://code.earthengine.google.com/?asset="


@dataclass
class NewImage:
    """An exported image whose pixels are written and which no one sees yet."""

    asset: Asset
    overwrite: bool
    store: AssetStore
    replaced: str | None = None  # the pixels of the image that it overwrote

    def commit(self, connection: sqlite3.Connection) -> list[str]:
        """Insert the asset; return its URI."""
        self.replaced = self.store.insert(connection, self.asset, self.overwrite)
        return [ASSET_URI + self.asset.name]

    def release(self, committed: bool) -> None:
        """Remove the pixels that no asset has."""
        self.store.discard(self.replaced if committed else self.asset.pixels)


class ImageExporter:
    """Runs image exports; with `metadata_only` all but the pixels is computed."""

    def __init__(self, catalogue: Catalogue, store: AssetStore, metadata_only: bool) -> None:
        self._catalogue = catalogue
        self._store = store
        self._metadata_only = metadata_only

    def check(self, request: Mapping[str, Any]) -> None:
        """Raise unless the request can become a task."""
        if "expression" not in request:
            raise EarthEngineError("Invalid export: there is no expression.")
        if "fileExportOptions" in request:
            raise NotImplementedByEmulator("Export to Cloud Storage or Drive")
        self._store.check_name(_destination(request).get("name", ""))
        integer(request, "maxPixels", MAX_PIXELS)
        _pyramiding(request)

    def run(self, task: Task) -> NewImage:
        """Compute the image of a task."""
        destination = _destination(task.request)
        overwrite = destination.get("overwrite", False)
        image = engine.evaluate(task.request["expression"], self._catalogue)
        if not isinstance(image, raster.Image):
            raise EarthEngineError("Invalid export: the expression is not an image.")
        box = raster.export_grid(image)
        _check_size(box, task.request)
        asset = Asset(
            destination["name"],
            "IMAGE",
            timestamp(),
            engine.to_json(dict(image.properties)),
            footprint=raster.footprint(image, box),
        )
        self._store.check_insertable(asset, overwrite)  # before the long part
        return NewImage(self._with_bands(asset, image, box, task.request), overwrite, self._store)

    def _with_bands(
        self, asset: Asset, image: raster.Image, box: raster.PixelBox, request: Mapping[str, Any]
    ) -> Asset:
        policies = _pyramiding(request)
        if self._metadata_only:
            bands = tuple(_unwritten(band, box, policies) for band in image.bands)
            return replace(asset, bands=bands, size_bytes=sum(map(_raw_bytes, bands)))
        pixels = self._store.new_pixels()
        try:
            bands = tuple(raster.write_bands(image, box, pixels, policies))
        except BaseException:
            self._store.discard(pixels.name)
            raise
        size = sum(band.path.stat().st_size for band in bands if band.path)
        return replace(asset, bands=bands, size_bytes=size, pixels=pixels.name)


def _destination(request: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        destination: Mapping[str, Any] = request["assetExportOptions"]["earthEngineDestination"]
        return destination
    except KeyError as error:
        raise EarthEngineError("Invalid export: there is no destination.") from error


def _check_size(box: raster.PixelBox, request: Mapping[str, Any]) -> None:
    pixels = box.width * box.height
    limit = integer(request, "maxPixels", MAX_PIXELS)
    if pixels > limit:
        raise EarthEngineError(
            f"Export too large: specified {pixels} pixels (max: {limit}). Specify higher "
            "maxPixels value if you intend to export a large area."
        )


def _pyramiding(request: Mapping[str, Any]) -> dict[str, Pyramiding]:
    options = request["assetExportOptions"]
    policies: dict[str, Pyramiding] = {".default": options.get("pyramidingPolicy", "MEAN")}
    policies.update(options.get("pyramidingPolicyOverrides", {}))
    for policy in policies.values():
        if policy not in get_args(Pyramiding):
            raise EarthEngineError(f"Invalid pyramiding policy '{policy}'.")
    return policies


def _unwritten(
    band: raster.Band, box: raster.PixelBox, policies: Mapping[str, Pyramiding]
) -> StoredBand:
    return StoredBand(
        band.name,
        band.pixel_type.dtype.name,
        box.grid.crs,
        box.transform,
        box.width,
        box.height,
        pyramiding=policies.get(band.name, policies[".default"]),
    )


def _raw_bytes(band: StoredBand) -> int:
    return band.width * band.height * np.dtype(band.dtype).itemsize
