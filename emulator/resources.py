"""Assets as the REST API describes them (reference/rest/v1/projects.assets)."""

from typing import Any

import numpy as np

from emulator.assets import Asset
from emulator.clock import from_milliseconds
from emulator.stored import StoredBand

PUBLIC_ROOT = "projects/earthengine-public/assets/"
#: The fields of an AffineTransform, in the order of a crsTransform.
AFFINE_KEYS = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
#: Properties that an expression sees and the resource has as fields of their own.
OWN_FIELDS = (
    "system:index",
    "system:time_start",
    "system:time_end",
    "system:footprint",
    "system:asset_size",
)


def asset_resource(asset: Asset, basic: bool = False) -> dict[str, Any]:
    """Return an EarthEngineAsset; `basic` leaves out what grows with the asset."""
    resource: dict[str, Any] = {
        "type": asset.type,
        "name": asset.name,
        "id": asset.name.removeprefix(PUBLIC_ROOT),
        "updateTime": asset.update_time,
    }
    if basic:
        return resource
    for field, key in (("startTime", "system:time_start"), ("endTime", "system:time_end")):
        if key in asset.properties:
            resource[field] = from_milliseconds(asset.properties[key])
    resource["properties"] = {k: v for k, v in asset.properties.items() if k not in OWN_FIELDS}
    if asset.type == "IMAGE":
        resource["bands"] = [_band(band) for band in asset.bands]
        resource["sizeBytes"] = str(asset.size_bytes)
    if asset.footprint:
        resource["geometry"] = asset.footprint
    return resource


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
