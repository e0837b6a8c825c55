"""Assets as the REST API describes them (reference/rest/v1/projects.assets)."""

from typing import Any

import numpy as np

from emulator import engine
from emulator.assets.store import CONTAINERS, Asset
from emulator.clock import from_milliseconds, is_time
from emulator.raster import Band, Image
from emulator.stored import StoredBand

PUBLIC_ROOT = "projects/earthengine-public/assets/"
#: The fields of an AffineTransform, in the order of a crsTransform.
AFFINE_KEYS = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
#: Properties that an expression sees and the resource has as fields of their own.
OWN_FIELDS = ("system:index", "system:footprint", "system:asset_size")
TIMES = {"startTime": "system:time_start", "endTime": "system:time_end"}


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
    properties = {k: v for k, v in asset.properties.items() if k not in OWN_FIELDS}
    for field, key in TIMES.items():
        if is_time(properties.get(key)):
            resource[field] = from_milliseconds(properties.pop(key))
    resource["properties"] = properties
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
    properties: dict[str, Any] = engine.to_json(dict(image.properties))
    resource: dict[str, Any] = {"type": "IMAGE", "bands": [_computed(b) for b in image.bands]}
    if image.id:
        resource |= {"name": image.id, "id": image.id}
    for field, key in TIMES.items():
        if is_time(properties.get(key)):
            resource[field] = from_milliseconds(properties.pop(key))
    return resource | {"properties": properties}


def _computed(band: Band) -> dict[str, Any]:
    grid: dict[str, Any] = {
        "crsCode": band.grid.crs,
        "affineTransform": dict(zip(AFFINE_KEYS, band.grid.transform, strict=True)),
    }
    if band.extent:
        grid["dimensions"] = {"width": band.extent.width, "height": band.extent.height}
        grid["affineTransform"] = dict(zip(AFFINE_KEYS, band.extent.transform, strict=True))
    return {"id": band.name, "dataType": _data_type(band.pixel_type.dtype.name), "grid": grid}


def _band(band: StoredBand) -> dict[str, Any]:
    width, height = band.own_size
    return {
        "id": band.name,
        "dataType": _data_type(band.dtype),
        "grid": {
            "crsCode": band.crs,
            "affineTransform": dict(zip(AFFINE_KEYS, band.own_transform, strict=True)),
            "dimensions": {"width": width, "height": height},
        },
        "pyramidingPolicy": band.pyramiding,
    }


def _data_type(dtype: str) -> dict[str, Any]:
    if dtype == "float32":
        return {"precision": "FLOAT"}
    if dtype == "float64":
        return {"precision": "DOUBLE"}
    limits = np.iinfo(dtype)
    return {"precision": "INT", "range": {"min": int(limits.min), "max": int(limits.max)}}
