"""Copies of assets in Cloud Storage as images: packed for export, opened, and compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import ee

from shared.domain.copies import OPAQUE, Part, milliseconds, parts

#: Pixels that a comparison may read: a full 10 m tile of Sentinel-2 has 1.2e8.
MAX_PIXELS = 10**9
#: Pixels between a grid's edge and its outline: every pixel's centre is inside.
INSET = 0.25


def packed(asset_id: str, part: Part) -> ee.Image:
    """Return what one file of a copy has: bands as they are, or their masks as bytes."""
    bands = ee.Image(asset_id).select(list(part.bands))
    if not part.masks:
        return bands
    return bands.mask().multiply(OPAQUE).round().toByte()


def opened(description: Mapping[str, Any], layout: str, uris: Sequence[str]) -> ee.Image:
    """Return the image that a copy's files hold, without properties: bands, types and masks."""
    files = list(zip(parts(description, layout), uris, strict=True))
    data = _stacked([x for x in files if not x[0].masks])
    masks = [x for x in files if x[0].masks]
    if masks:
        shown = _stacked(masks).divide(OPAQUE)
        data = ee.Image.cat(
            [data.select([name]).updateMask(shown.select([name])) for name in _names(files)]
        )
    in_order = [band["id"] for band in description["bands"]]
    return data if _names(files) == in_order else data.select(in_order)


def with_metadata(image: ee.Image, description: Mapping[str, Any], image_id: str) -> ee.Image:
    """Give an image the properties, times and footprint of the asset that it was."""
    properties = {"system:index": image_id, **description.get("properties", {})}
    for field, key in (("startTime", "system:time_start"), ("endTime", "system:time_end")):
        if field in description:
            properties[key] = milliseconds(description[field])
    if "geometry" in description:
        geometry = description["geometry"]
        properties["system:footprint"] = ee.Geometry(geometry, None, False)
    if "sizeBytes" in description:
        properties["system:asset_size"] = int(description["sizeBytes"])
    return ee.Image(image.set(properties))


def comparison(
    record_id: str,
    asset_id: str,
    description: Mapping[str, Any],
    layout: str,
    uris: Sequence[str],
) -> ee.Feature:
    """Return a feature without geometry: how an asset and its copy differ, pixel by pixel.

    `different` has, by band, the number of pixels whose value or mask differs. `statistics` are
    the asset's, by band and `_min`, `_max`, `_mean`, `_count`; `grids` are the copy's bands as
    Earth Engine describes them.
    """
    copy = opened(description, layout, uris)
    asset = ee.Image(asset_id)
    facts: dict[str, Any] = {
        "record_id": record_id,
        "grids": ee.Dictionary(ee.Algorithms.Describe(copy)).get("bands"),
    }
    different, statistics = ee.Dictionary(), ee.Dictionary()
    for part in parts(description, layout):
        if not part.masks:
            names = list(part.bands)
            ours, theirs = asset.select(names), copy.select(names)
            differs = _differ(ours, theirs)
            different = different.combine(_over(part, differs, ee.Reducer.sum()))
            statistics = statistics.combine(_over(part, ours, _summary()))
    return ee.Feature(None, {**facts, "different": different, "statistics": statistics})


def _differ(one: ee.Image, other: ee.Image) -> ee.Image:
    """Return 1 where the values or masks of two images differ; two NaN are the same."""
    a, b = one.unmask(0, False), other.unmask(0, False)
    values = a.neq(b).And(a.eq(a).Or(b.eq(b)))
    # Masks are bytes at rest: what rounding does to fractions of 1 is no difference.
    masks = _steps(one).neq(_steps(other))
    return values.Or(masks)


def _steps(image: ee.Image) -> ee.Image:
    return image.mask().multiply(OPAQUE).round()


def _summary() -> ee.Reducer:
    return (
        ee.Reducer.minMax()
        .combine(ee.Reducer.mean(), sharedInputs=True)
        .combine(ee.Reducer.count(), sharedInputs=True)
        .unweighted()
    )


def _over(part: Part, image: ee.Image, reducer: ee.Reducer) -> ee.Dictionary:
    """Reduce an image over all pixels of a part's own grid."""
    return image.reduceRegion(
        reducer=reducer.unweighted(),
        geometry=outline_of(part.grid),
        crs=part.grid["crsCode"],
        crsTransform=transform_of(part.grid),
        maxPixels=MAX_PIXELS,
    )


def transform_of(grid: Mapping[str, Any]) -> list[float]:
    """Return a grid's transform as Earth Engine orders it: the three of x, the three of y."""
    keys = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    return [grid["affineTransform"].get(key, 0) for key in keys]


def outline_of(grid: Mapping[str, Any]) -> ee.Geometry:
    """Return the rectangle of a grid in its own projection, a little inside of its edge.

    On the edge itself, rounding would now and then give a row of pixels more, or one less.
    """
    a, b, c, d, e, f = transform_of(grid)
    width, height = grid["dimensions"]["width"], grid["dimensions"]["height"]
    left, right, bottom = INSET, width - INSET, height - INSET
    corners = [(left, left), (right, left), (right, bottom), (left, bottom), (left, left)]
    ring = [[a * x + b * y + c, d * x + e * y + f] for x, y in corners]
    return ee.Geometry.Polygon([ring], proj=grid["crsCode"], geodesic=False)


def _stacked(files: Sequence[tuple[Part, str]]) -> ee.Image:
    if len(files) == 1:  # most are: it keeps the graph of many small
        [(part, uri)] = files
        return ee.Image.loadGeoTIFF(uri).rename(list(part.bands))
    return ee.Image.cat([ee.Image.loadGeoTIFF(uri).rename(list(part.bands)) for part, uri in files])


def _names(files: Sequence[tuple[Part, str]]) -> list[str]:
    return [name for part, _ in files if not part.masks for name in part.bands]
