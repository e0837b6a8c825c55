"""Assets as the REST API describes them (reference/rest/v1/projects.assets)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from emulator import engine
from emulator.assets.patch import TIMES
from emulator.assets.store import CONTAINERS, Asset
from emulator.catalogue import PUBLIC_ROOT
from emulator.clock import from_milliseconds, is_time
from emulator.fields import AFFINE_KEYS
from emulator.raster import Band, Image
from emulator.stored import StoredBand

#: Properties that an expression sees and the resource has as fields of their own.
OWN_FIELDS = ("system:index", "system:footprint", "system:asset_size")


def asset_resource(asset: Asset, basic: bool = False) -> dict[str, Any]:
    """Return an EarthEngineAsset; the `basic` view has only what names it."""
    resource: dict[str, Any] = {
        "type": asset.type,
        "name": asset.name,
        "id": asset.name.removeprefix(PUBLIC_ROOT),
    }
    if basic:
        return resource
    resource["updateTime"] = asset.update_time
    resource |= _described({k: v for k, v in asset.properties.items() if k not in OWN_FIELDS})
    if asset.type == "IMAGE":
        resource["bands"] = [_band(band) for band in asset.bands]
    if asset.type not in CONTAINERS:
        resource["sizeBytes"] = str(asset.size_bytes)
    if asset.footprint:
        resource["geometry"] = asset.footprint
    uris = dict.fromkeys(band.uri for band in asset.bands if band.uri)
    if uris:
        resource["tilesets"] = [
            {"id": str(i), "sources": [{"uris": [uri]}]} for i, uri in enumerate(uris)
        ]
    return resource


def image_resource(image: Image) -> dict[str, Any]:
    """Return the EarthEngineAsset of a computed image."""
    resource: dict[str, Any] = {"type": "IMAGE", "bands": [_computed(b) for b in image.bands]}
    if image.id:
        resource |= {"name": image.id, "id": image.id}
    return resource | _described(engine.to_json(dict(image.properties)))


def _described(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource's times and its other properties."""
    times = {field: key for field, key in TIMES.items() if is_time(properties.get(key))}
    others = {key: value for key, value in properties.items() if key not in times.values()}
    written = {field: from_milliseconds(properties[key]) for field, key in times.items()}
    return {**written, "properties": others}


def _computed(band: Band) -> dict[str, Any]:
    grid = _grid(band.grid.crs, band.grid.transform)
    if band.extent:
        size = band.extent.width, band.extent.height
        grid = _grid(band.grid.crs, band.extent.transform, size)
    return {"id": band.name, "dataType": _data_type(band.pixel_type.dtype.name), "grid": grid}


def _band(band: StoredBand) -> dict[str, Any]:
    return {
        "id": band.name,
        "dataType": _data_type(band.dtype),
        "grid": _grid(band.crs, band.own_transform, band.own_size),
        "pyramidingPolicy": band.pyramiding,
    }


def _grid(
    crs: str, transform: tuple[float, ...], size: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Return a PixelGrid; without a size in pixels it has no end."""
    grid: dict[str, Any] = {
        "crsCode": crs,
        "affineTransform": dict(zip(AFFINE_KEYS, transform, strict=True)),
    }
    if size:
        grid["dimensions"] = dict(zip(("width", "height"), size, strict=True))
    return grid


def _data_type(dtype: str) -> dict[str, Any]:
    if dtype == "float32":
        return {"precision": "FLOAT"}
    if dtype == "float64":
        return {"precision": "DOUBLE"}
    limits = np.iinfo(dtype)
    return {"precision": "INT", "range": {"min": int(limits.min), "max": int(limits.max)}}
