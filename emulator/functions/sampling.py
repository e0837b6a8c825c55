"""Pixels as features, arrays and rows: sample and its relatives, getRegion."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely

from emulator.errors import EarthEngineError
from emulator.functions.arrays import EEArray
from emulator.functions.geometry import Geometry
from emulator.functions.images import image, matching, specified_grid
from emulator.functions.regions import pixels_in, region_box, region_of
from emulator.functions.values import Collection, Feature, ordinary
from emulator.grids import Grid, PixelBox, coordinates
from emulator.raster import Array, Image, PixelType, read
from emulator.registry import algorithm

MAX_RECTANGLE = 262_144  # pixels of a band that sampleRectangle answers (Earth Engine's)
MAX_REGION_VALUES = 1_048_576  # values that getRegion answers (its description)


class Samples(NamedTuple):
    """Pixels of all bands: values, masks, x and y of their centres, and a random key for each."""

    values: Sequence[Array]
    masks: Sequence[Array]
    x: Array
    y: Array
    keys: Array

    def take(self, where: Array) -> "Samples":
        """Return some of the pixels."""
        values, masks = ([a[where] for a in arrays] for arrays in self[:2])
        return Samples(values, masks, *[a[where] for a in self[2:]])

    def joined(self, other: "Samples") -> "Samples":
        """Return these and more pixels."""
        values, masks = (
            [np.concatenate(pair) for pair in zip(a, b, strict=True)]
            for a, b in zip(self[:2], other[:2], strict=True)
        )
        rest = zip(self[2:], other[2:], strict=True)
        return Samples(values, masks, *[np.concatenate(pair) for pair in rest])


def _samples(
    source: Image, region: Geometry, box: PixelBox, drop_nulls: bool, seed: int
) -> Iterator[Samples]:
    generator = np.random.default_rng(abs(seed))
    for tile, inside, pixels in pixels_in(source, region, box, weighted=False):
        x, y = np.broadcast_arrays(*coordinates(tile, tile.grid.crs))
        keys = generator.random(len(inside[0]))
        values, masks = [p.data for p in pixels], [p.mask > 0 for p in pixels]
        found = Samples(values, masks, x[inside], y[inside], keys)
        yield found.take(np.logical_and.reduce(masks)) if drop_nulls else found


def _lowest(parts: Iterable[Samples], limit: int) -> Iterator[Samples]:
    """Keep the pixels with the lowest keys, in order; no more than these are ever held."""
    kept: Samples | None = None
    for part in parts:
        kept = part if kept is None else kept.joined(part)
        if len(kept.keys) > limit:
            kept = kept.take(np.sort(np.argsort(kept.keys)[:limit]))
    if kept is not None:
        yield kept


def _features(
    parts: Iterable[Samples], names: Sequence[str], crs: str, geometries: bool
) -> Iterator[Feature]:
    index = 0
    for part in parts:
        columns = [_objects(v, m) for v, m in zip(part.values, part.masks, strict=True)]
        for row, x, y in zip(zip(*columns, strict=True), part.x, part.y, strict=True):
            shape = _point(x, y, crs) if geometries else None
            properties = dict(zip(names, row, strict=True))
            yield Feature({"system:index": str(index), **properties}, shape)
            index += 1


def _objects(values: Array, mask: Array) -> list[Any]:
    """Return values, null where they are masked."""
    return [value if valid else None for value, valid in zip(values.tolist(), mask, strict=True)]


def _point(x: float, y: float, crs: str) -> Geometry:
    return Geometry(Geometry(shapely.Point(x, y), crs, False).lonlat)


@algorithm("Image.sample")
def sample(
    source: Image,
    region: Geometry | None,
    scale: float | None,
    grid: Grid | None,
    factor: float | None,
    count: int | None,
    seed: int,
    drop_nulls: bool,
    tile_scale: float,
    geometries: bool,
) -> Collection:
    """Return a region's pixels, all or a random choice, as features."""
    if factor is not None and count is not None:
        raise EarthEngineError("Image.sample: Only one of 'factor' and 'numPixels' may be given.")
    region = region_of("sample", source, region)
    box = region_box(region, specified_grid(source.bands[0].grid, grid, None, scale))
    parts = _samples(source, region, box, drop_nulls, seed)
    if factor is not None:
        parts = (part.take(part.keys < factor) for part in parts)
    if count is not None:
        parts = _lowest(parts, count)
    features = _features(parts, source.names, box.grid.crs, geometries)
    return Collection(features, {"band_order": source.names})


@algorithm("Image.stratifiedSample")
def stratified_sample(
    source: Image,
    count: int,
    class_band: str | None,
    region: Geometry | None,
    scale: float | None,
    grid: Grid | None,
    seed: int,
    class_values: list[int] | None,
    class_points: list[int] | None,
    drop_nulls: bool,
    tile_scale: float,
    geometries: bool,
) -> Collection:
    """Return a random choice of so many pixels of every class."""
    if len(class_values or ()) != len(class_points or ()):
        raise EarthEngineError(
            "Image.stratifiedSample: 'classValues' and 'classPoints' must have the same length."
        )
    limits = dict(zip(class_values or (), class_points or (), strict=True))
    [chosen] = matching(source, 0 if class_band is None else class_band)
    position = source.names.index(chosen.name)
    region = region_of("stratifiedSample", source, region)
    box = region_box(region, specified_grid(source.bands[0].grid, grid, None, scale))

    def parts() -> Iterator[Samples]:
        kept: dict[int, Samples] = {}
        for part in _samples(source, region, box, drop_nulls, seed):
            classes, valid = part.values[position], part.masks[position]
            for value in np.unique(classes[valid]).tolist():
                own = part.take((classes == value) & valid)
                both = [kept[value], own] if value in kept else [own]
                [kept[value]] = _lowest(both, limits.get(value, count))
        yield from (kept[value] for value in sorted(kept))

    features = _features(parts(), source.names, box.grid.crs, geometries)
    return Collection(features, {"band_order": source.names})


@algorithm("Image.sampleRegions")
def sample_regions(
    source: Image,
    collection: Collection,
    properties: list[str] | None,
    scale: float | None,
    grid: Grid | None,
    tile_scale: float,
    geometries: bool,
) -> Collection:
    own = specified_grid(source.bands[0].grid, grid, None, scale)

    def features() -> Iterator[Feature]:
        for position, feature in enumerate(collection):
            if feature.footprint is None:
                continue
            box = region_box(feature.footprint, own)
            copied = _copied(feature.properties, properties)
            prefix = feature.properties.get("system:index", position)
            parts = _samples(source, feature.footprint, box, True, 0)
            for index, found in enumerate(_features(parts, source.names, own.crs, geometries)):
                new = {**copied, **found.properties, "system:index": f"{prefix}_{index}"}
                yield found.with_properties(new)

    return Collection(features(), {"band_order": source.names})


def _copied(properties: Mapping[str, Any], names: list[str] | None) -> dict[str, Any]:
    """Return the named properties, or all that are not the system's."""
    if names is None:
        return ordinary(properties)
    return {k: properties[k] for k in names if k in properties}


@algorithm("Image.sampleRectangle")
def sample_rectangle(
    source: Image,
    region: Geometry | None,
    properties: list[str] | None,
    default: float | None,
    default_array: EEArray | None,
) -> Feature:
    """Return every band's pixels of a rectangle, in its own projection, as arrays."""
    shape = region_of("sampleRectangle", source, region)
    filler = default if default_array is None else default_array.values
    arrays = {}
    for band in source.bands:
        box = region_box(shape, band.grid)
        pixels = box.width * box.height
        if pixels > MAX_RECTANGLE:
            raise EarthEngineError(
                "Image.sampleRectangle: Too many pixels in sample; must be <= "
                f"{MAX_RECTANGLE}. Got {pixels}."
            )
        [(data, mask)] = read(Image([band]), box)
        valid = mask > 0
        if not valid.all():
            if filler is None:
                raise EarthEngineError(
                    "Image.sampleRectangle: Fully masked pixels / pixels outside of the image "
                    f"footprint when sampling band '{band.name}' with no default value set."
                )
            data = data.copy()
            data[~valid] = filler
        arrays[band.name] = EEArray(np.asarray(data), PixelType.of(data.dtype.name))
    return Feature({**_copied(source.properties, properties), **arrays}, shape)


@algorithm("ImageCollection.getRegion")
def get_region(
    collection: Collection,
    geometry: Geometry,
    scale: float | None,
    crs: Grid,
    transform: list[float] | None,
) -> list[list[Any]]:
    """Return a header, then a row for every image and pixel."""
    box = region_box(geometry, specified_grid(crs, None, transform, scale))
    images = [image(item) for item in collection]
    bands = list(dict.fromkeys(name for item in images for name in item.names))
    rows: list[list[Any]] = [["id", "longitude", "latitude", "time", *bands]]
    for item in images:
        for part in _samples(item, geometry, box, False, 0):
            if len(rows) * len(bands) + part.x.size * len(bands) > MAX_REGION_VALUES:
                raise EarthEngineError(
                    "ImageCollection.getRegion: Too many values: more than "
                    f"{MAX_REGION_VALUES} ({len(images)} images x {len(bands)} bands)."
                )
            rows += _region_rows(item, part, bands, box.grid.crs)
    return rows


def _region_rows(item: Image, part: Samples, bands: Sequence[str], crs: str) -> Iterator[list[Any]]:
    index = item.properties.get("system:index")
    time = item.properties.get("system:time_start")
    columns = {
        name: _objects(v, m) for name, v, m in zip(item.names, part.values, part.masks, strict=True)
    }
    nothing = [None] * len(part.x)
    values = zip(*[columns.get(name, nothing) for name in bands], strict=True)
    for x, y, row in zip(part.x, part.y, values, strict=True):
        longitude, latitude = Geometry(shapely.Point(x, y), crs, False).lonlat.coords[0]
        yield [index, longitude, latitude, time, *row]
