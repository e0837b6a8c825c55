"""Images: loading, bands, masks and grids."""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from scipy.special import ndtri

from emulator.array_pixels import choose
from emulator.band_files import stored_band
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.arrays import EEArray
from emulator.functions.elementwise import (
    cast_band,
    number_type,
    pairs,
    rounded_values,
    union,
)
from emulator.functions.geometry import EQUAL_AREA, Geometry, burnt
from emulator.functions.values import Collection, catalogue, not_found
from emulator.grids import DEFAULT_GRID, Grid, PixelBox, coordinates, footprint, pixel_positions
from emulator.patterns import compiled, replaced, selects
from emulator.raster import (
    BOOLEAN,
    DOUBLE,
    Array,
    Band,
    Image,
    Pixels,
    PixelType,
    Reader,
    constant_band,
    export_grid,
    is_valid_everywhere,
    masked_outside,
    ones,
    reprojected,
    require_scalars,
    typed,
)
from emulator.registry import InvalidTypeError, algorithm, coerce, coercion, lookup
from emulator.stored import StoredBand, StoredImage

LOADED_IMAGES = 4096  # kept, so that a season of scenes is not made anew by every graph


@coercion("Image")
def image(value: Any) -> Image:
    """Promote numbers, lists, ids and collections to images."""
    match value:
        case Image():
            return value
        case bool() | int() | float() | EEArray():
            return constant(value)
        case str():
            return load(value, None)
        case list():
            return add_all([image(item) for item in value])
        case Collection(of_images=True):
            return lookup("ImageCollection.mosaic").call({"collection": value})
    raise InvalidTypeError


# --- making images


@algorithm("Image.load")
def load(asset: str, version: Any) -> Image:
    stored = catalogue().image(asset)
    if stored is None:
        raise not_found("Image.load", "Image", asset)
    return load_image(stored)


@functools.lru_cache(LOADED_IMAGES)
def load_image(stored: StoredImage) -> Image:
    """Return a stored image; its bands are made when they are asked for."""
    outline = Geometry(stored.footprint, geodesic=False) if stored.footprint else None
    properties = {"system:index": stored.index, **stored.properties}
    return Image(lambda: [stored_band(b) for b in stored.bands], properties, outline, stored.id)


@algorithm("Image.loadGeoTIFF")
def load_geotiff(uri: str) -> Image:
    try:
        path = catalogue().geotiff(uri)
    except EarthEngineError as error:  # a 404 of the object, not of this request
        raise EarthEngineError(f"Image.loadGeoTIFF: {error.message}") from error
    try:
        with rasterio.open(path, driver="GTiff") as file:
            stored = [_file_band(file, path, index) for index in file.indexes]
    except (rasterio.errors.RasterioError, rasterio.errors.CRSError) as error:
        raise EarthEngineError(f"Image.loadGeoTIFF: Unable to load '{uri}'.") from error
    loaded = Image([stored_band(band) for band in stored])
    return Image(loaded.bands, {}, Geometry(footprint(export_grid(loaded)), geodesic=False))


def _file_band(file: rasterio.DatasetReader, path: Path, index: int) -> StoredBand:
    if file.crs is None:
        raise EarthEngineError("Image.loadGeoTIFF: The GeoTIFF has no projection.")
    return StoredBand(
        name=f"B{index - 1}",
        dtype=file.dtypes[index - 1],
        crs=file.crs.to_string(),
        transform=tuple(file.transform)[:6],
        width=file.width,
        height=file.height,
        path=path,
        index=index,
    )


@algorithm("Image.constant")
def constant(value: Any) -> Image:
    if isinstance(value, list):
        return Image([_constant(f"constant_{i}", item) for i, item in enumerate(value)])
    if isinstance(value, dict):
        return Image([_constant(name, item) for name, item in value.items()])
    return Image([_constant("constant", value)])


def _constant(name: str, value: Any) -> Band:
    if isinstance(value, EEArray):
        return constant_band(name, value.values, value.band_type)
    if not isinstance(value, bool | int | float):
        raise NotImplementedByEmulator("An image of constants that are not numbers")
    return constant_band(name, value, number_type(value))


@algorithm("Image.pixelLonLat")
def pixel_lon_lat() -> Image:
    def reads(axis: int) -> Callable[[PixelBox, Reader], Pixels]:
        return lambda box, read: _coordinate(box, "EPSG:4326", axis)

    return Image(
        [
            Band("longitude", DOUBLE, DEFAULT_GRID, reads(0)),
            Band("latitude", DOUBLE, DEFAULT_GRID, reads(1)),
        ]
    )


def _coordinate(box: PixelBox, crs: str, axis: int) -> Pixels:
    return Pixels(np.broadcast_to(coordinates(box, crs)[axis], box.shape), ones(box.shape))


@algorithm("Image.pixelCoordinates")
def pixel_coordinates(grid: Grid) -> Image:
    def reads(axis: int) -> Callable[[PixelBox, Reader], Pixels]:
        def compute(box: PixelBox, read: Reader) -> Pixels:
            positions = pixel_positions(box, grid)[axis]
            return Pixels(np.broadcast_to(positions, box.shape), ones(box.shape))

        return compute

    return Image([Band(name, DOUBLE, grid, reads(axis)) for axis, name in enumerate("xy")])


@algorithm("Image.pixelArea")
def pixel_area() -> Image:
    """Return the area of every pixel in square metres, from its corners on an equal-area plane."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        x, y = np.broadcast_arrays(*coordinates(box.corners, EQUAL_AREA))
        diagonal = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
        other = x[1:, :-1] - x[:-1, 1:], y[1:, :-1] - y[:-1, 1:]
        return Pixels(np.abs(diagonal[0] * other[1] - diagonal[1] * other[0]) / 2, ones(box.shape))

    return Image([Band("area", DOUBLE, DEFAULT_GRID, compute)])


@algorithm("Image.random")
def random(seed: int, distribution: str) -> Image:
    """Return numbers that depend on the seed and the pixel only (the generator is ours)."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        x, y = coordinates(box, box.grid.crs)
        a, e = box.grid.transform[0] or 1.0, box.grid.transform[4] or 1.0
        column, row = np.broadcast_arrays(np.floor(x / abs(a)), np.floor(y / abs(e)))
        mixed = _mix(column.astype(np.int64).view(np.uint64))
        mixed = _mix(mixed ^ row.astype(np.int64).view(np.uint64))
        mixed = _mix(mixed ^ np.uint64(seed % 2**64))
        uniform = (mixed >> np.uint64(11)).astype(np.float64) / 2**53
        if distribution == "normal":
            uniform = ndtri(np.maximum(uniform, 2.0**-54))
        return Pixels(uniform, ones(box.shape))

    if distribution not in ("uniform", "normal"):
        raise EarthEngineError(f"Image.random: Unknown distribution '{distribution}'.")
    return Image([Band("random", DOUBLE, DEFAULT_GRID, compute)])


def _mix(state: Array) -> Array:
    """Scramble 64-bit states (splitmix64: Steele et al. 2014, doi 10.1145/2660193.2660195)."""
    with np.errstate(over="ignore"):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


# --- bands


@algorithm("Image.bandNames")
def band_names(source: Image) -> list[str]:
    return source.names


@algorithm("Image.bandTypes")
def band_types(source: Image) -> dict[str, PixelType]:
    return {band.name: band.pixel_type for band in source.bands}


@algorithm("Image.select")
def select(source: Image, selectors: list[Any], new_names: list[str] | None) -> Image:
    bands = [band for selector in selectors for band in matching(source, selector)]
    if new_names is None:
        return source.with_bands(unique(bands))
    if len(new_names) != len(bands):
        raise EarthEngineError(
            f"Image.select: Expected {len(bands)} new names, got {len(new_names)}."
        )
    return source.with_bands([b.renamed(n) for b, n in zip(bands, new_names, strict=True)])


def matching(source: Image, selector: Any) -> list[Band]:
    """Return the bands that an index, a name or an anchored pattern selects."""
    bands = source.bands
    return [bands[position] for position in _positions(tuple(source.names), selector)]


@functools.lru_cache(1024)
def _positions(names: tuple[str, ...], selector: Any) -> list[int]:
    if isinstance(selector, int | float):
        if not 0 <= selector < len(names):
            raise EarthEngineError(f"Image.select: Band index {selector} out of bounds.")
        return [int(selector)]
    if selector in names:
        return [i for i, name in enumerate(names) if name == selector]
    try:
        found = [i for i, name in enumerate(names) if selects(selector, name)]
    except TypeError as error:
        raise EarthEngineError(f"Image.select: Bad selector {selector!r}.") from error
    if not found:
        raise EarthEngineError(
            f"Image.select: Band pattern '{selector}' did not match any bands. "
            f"Available bands: [{', '.join(names)}]"
        )
    return found


def first_band(name: str, source: Image) -> Band:
    """Return an image's first band, which must exist."""
    if not source.bands:
        raise EarthEngineError(f"Image.{name}: The image has no bands.")
    return source.bands[0]


def unique(bands: Iterable[Band]) -> list[Band]:
    """Give bands whose name is taken a numerical suffix."""
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    result = []
    for band in bands:
        name = band.name
        while name in taken:
            numbers[band.name] += 1
            name = f"{band.name}_{numbers[band.name]}"
        taken.add(name)
        result.append(band.renamed(name))
    return result


@algorithm("Image.rename")
def rename(source: Image, names: list[str]) -> Image:
    if len(names) != len(source.bands):
        raise EarthEngineError(
            "Image.rename: The number of names "
            f"({len(names)}) must match the number of bands ({len(source.bands)})."
        )
    if len(set(names)) != len(names):
        raise EarthEngineError("Image.rename: Duplicate band names.")
    return source.with_bands([b.renamed(n) for b, n in zip(source.bands, names, strict=True)])


@algorithm("Image.regexpRename")
def regexp_rename(source: Image, regex: str, replacement: str, every: bool) -> Image:
    pattern = compiled(regex)
    return rename(source, [replaced(name, pattern, replacement, every) for name in source.names])


@algorithm("Image.slice")
def slice_bands(source: Image, start: int, end: int | None) -> Image:
    return source.with_bands(source.bands[start:end])


@algorithm("Image.addBands")
def add_bands(target: Image, source: Image, names: list[str] | None, overwrite: bool) -> Image:
    added = select(source, names, None).bands if names is not None else source.bands
    if not overwrite:
        return target.with_bands(unique([*target.bands, *added]))
    new = {band.name: band for band in added}
    kept = [new.pop(band.name, band) for band in target.bands]
    return target.with_bands([*kept, *new.values()])


@algorithm("Image.cat")
def concatenate(images: list[Any]) -> Image:
    return add_all([image(item) for item in images])


def add_all(images: Sequence[Image]) -> Image:
    """Return all images' bands in one, with the first one's metadata."""
    if not images:
        return Image([])
    return images[0].with_bands(unique(band for item in images for band in item.bands))


@algorithm("Image.cast")
def cast(source: Image, types: Mapping[str, Any], order: list[str] | None) -> Image:
    kinds = {name: coerce("PixelType", kind) for name, kind in types.items()}
    bands = {b.name: cast_band(b, kinds.get(b.name, b.pixel_type)) for b in source.bands}
    added = Image([constant_band(name, 0, kinds[name]) for name in sorted(kinds.keys() - bands)])
    bands |= {band.name: band for band in update_mask(added, constant(0)).bands}
    if order is None:
        return source.with_bands(list(bands.values()))
    if sorted(order) != sorted(bands):
        raise EarthEngineError(
            f"Image.cast: The band order [{', '.join(order)}] must have all bands of the result: "
            f"[{', '.join(bands)}]."
        )
    return source.with_bands([bands[name] for name in order])


@algorithm("Image.metadata")
def metadata(source: Image, name: str, band_name: str | None) -> Image:
    value = coerce("Number", source.properties.get(name))
    return Image([constant_band(band_name or name, value, DOUBLE)])


# --- masks


def _mask_type(band: Band) -> Band:
    def compute(box: PixelBox, read: Reader) -> Pixels:
        return Pixels(read(band, box).mask, ones(box.shape))

    return band.derived(compute, [band], PixelType("float", 0, 1))


@algorithm("Image.mask")
def mask(source: Image, new: Image | None) -> Image:
    if new is None:
        return source.with_bands([_mask_type(band) for band in source.bands])
    emptied = source.with_bands([_emptied(band) for band in source.bands])
    return source.with_bands(_masked(emptied, new, lambda old, wanted: wanted))


def _emptied(band: Band) -> Band:
    """Put what is closest to zero in the band's type where a band is masked."""
    if band.pixel_type.dimensions:
        return band
    low, high = band.pixel_type.min, band.pixel_type.max
    nearest = 0 if low is None else np.clip(0, low, high)

    def compute(box: PixelBox, read: Reader) -> Pixels:
        data, mask = read(band, box)
        return Pixels(np.where(mask > 0, data, data.dtype.type(nearest)), mask)

    return band.derived(compute, [band])


@algorithm("Image.updateMask")
def update_mask(source: Image, new: Image) -> Image:
    return source.with_bands(_masked(source, new, np.multiply))


@algorithm("Image.selfMask")
def self_mask(source: Image) -> Image:
    return source.with_bands([_masked_by(band, band, np.multiply) for band in source.bands])


def _masked(source: Image, new: Image, merge: Callable[[Array, Array], Array]) -> list[Band]:
    return [_masked_by(band, by, merge) for band, by in with_each("updateMask", source, new)]


def _masked_by(band: Band, by: Band, merge: Callable[[Array, Array], Array]) -> Band:
    """Return a band whose mask is merged with the values of another; masked is 0."""
    require_scalars([by])

    def compute(box: PixelBox, read: Reader) -> Pixels:
        pixels, wanted = read(band, box), read(by, box)
        share = np.clip(wanted.data, 0, 1).astype(np.float32)
        if not is_valid_everywhere(wanted.mask):
            share = share * wanted.mask
        return Pixels(pixels.data, merge(pixels.mask, share))

    return band.derived(compute, [band, by])


def _require_dimensions(name: str, band: Band, dimensions: int) -> None:
    found = band.pixel_type.dimensions
    if found != dimensions:
        raise EarthEngineError(
            f"Image.{name}: Expected pixels of dimension {dimensions}, band '{band.name}' has "
            f"{found}."
        )


def with_each(name: str, source: Image, other: Image) -> list[tuple[Band, Band]]:
    """Match every band of an image with the other's only one, or the one in its place."""
    if len(other.bands) not in (1, len(source.bands)):
        raise EarthEngineError(
            f"Image.{name}: The images must have the same number of bands, or the second a "
            f"single band. Got {len(source.bands)} and {len(other.bands)}."
        )
    return list(zip(source.bands, itertools.cycle(other.bands)))


@algorithm("Image.unmask")
def unmask(source: Image, value: Image | None, same_footprint: bool) -> Image:
    def filled(band: Band, by: Band) -> Band:
        _require_dimensions("unmask", by, band.pixel_type.dimensions)
        kind = union(band.pixel_type, by.pixel_type)

        def compute(box: PixelBox, read: Reader) -> Pixels:
            pixels, filler = read(band, box), read(by, box)
            if is_valid_everywhere(pixels.mask):
                return Pixels(typed(pixels.data, kind), pixels.mask)
            valid = pixels.mask > 0
            return Pixels(
                typed(choose(valid, pixels.data, filler.data), kind),
                np.where(valid, pixels.mask, filler.mask),
            )

        return band.derived(compute, [band, by], kind)

    other = constant(0) if value is None else value
    result = source.with_bands([filled(a, b) for a, b in with_each("unmask", source, other)])
    if same_footprint and source.footprint:
        return result.with_bands(_masked_to(result, source.footprint))
    return result


@algorithm("Image.where")
def where(source: Image, test: Image, value: Image) -> Image:
    def chosen(band: Band, by: Band, other: Band) -> Band:
        require_scalars([by])
        _require_dimensions("where", other, band.pixel_type.dimensions)
        kind = union(band.pixel_type, other.pixel_type)

        def compute(box: PixelBox, read: Reader) -> Pixels:
            pixels, condition, new = read(band, box), read(by, box), read(other, box)
            use = (condition.data != 0) & (condition.mask > 0) & (new.mask > 0)
            return Pixels(typed(choose(use, new.data, pixels.data), kind), pixels.mask)

        return band.derived(compute, [band, by, other], kind)

    tests, values = with_each("where", source, test), with_each("where", source, value)
    return source.with_bands(
        [chosen(a, b, c) for (a, b), (_, c) in zip(tests, values, strict=True)]
    )


@algorithm("Image.blend")
def blend(bottom: Image, top: Image) -> Image:
    """Overlay by opacity: the top's mask says how much of it shows."""

    def blended(low: Band, high: Band) -> Band:
        _require_dimensions("blend", high, low.pixel_type.dimensions)
        kind = union(low.pixel_type, high.pixel_type)

        def compute(box: PixelBox, read: Reader) -> Pixels:
            under, over = read(low, box), read(high, box)
            share = over.mask + under.mask * (1 - over.mask)
            if kind.dimensions:  # arrays do not mix: the top shows where it is
                return Pixels(choose(over.mask > 0, over.data, under.data), share)
            mixed = over.data * over.mask + under.data * (under.mask * (1 - over.mask))
            data = np.divide(mixed, share, out=np.zeros(box.shape), where=share > 0)
            return Pixels(rounded_values(data, kind), share)

        return low.derived(compute, [low, high], kind)

    named = top if len(top.bands) > len(bottom.bands) else bottom
    bands = [blended(a, b) for a, b in pairs("blend", bottom, top)]
    return bottom.with_bands([b.renamed(n) for b, n in zip(bands, named.names, strict=True)])


def _inside(region: Geometry) -> Band:
    """Return a band that is 1 where a pixel's centre is inside a region."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        return Pixels(burnt(region.projected(box.grid.crs), box), ones(box.shape))

    return Band("inside", BOOLEAN, DEFAULT_GRID, compute)


@algorithm("Image.clip")
def clip(source: Image, region: Any) -> Image:
    return _clipped(source, coerce("Geometry", region))


@algorithm("Image.clipToCollection")
def clip_to_collection(source: Image, collection: Any) -> Image:
    return _clipped(source, coerce("Geometry", coerce("FeatureCollection", collection)))


def _clipped(source: Image, region: Geometry) -> Image:
    bands = [_bounded(band, region) for band in _masked_to(source, region)]
    return Image(bands, source.properties, region, source.id)


def _masked_to(source: Image, region: Geometry) -> list[Band]:
    return _masked(source, Image([_inside(region)]), np.multiply)


def _bounded(band: Band, region: Geometry) -> Band:
    """Return a band whose extent is what a region leaves of it."""
    shape = region.projected(band.grid.crs)
    if shape.is_empty:
        return band
    return band.within(PixelBox.around(band.grid, shape.bounds).intersection(band.extent))


# --- grids


@algorithm("Image.projection")
def projection(source: Image) -> Grid:
    first = first_band("projection", source)
    grids = {band.grid for band in source.bands}
    if len(grids) > 1:
        raise EarthEngineError(
            "Image.projection: The bands of the specified image contains different "
            "projections. Use .select to pick a single band."
        )
    return first.grid


def specified_grid(
    grid: Grid, crs: Grid | None, transform: Sequence[float] | None, scale: float | None
) -> Grid:
    """Return a grid from the arguments that many algorithms share, over a default."""
    if transform and scale:
        raise EarthEngineError("Cannot specify both 'crsTransform' and 'scale'.")
    base = crs or grid
    if transform:
        return Grid(base.crs, tuple(float(t) for t in transform))
    return base.at_scale(scale) if scale else base


@algorithm("Image.setDefaultProjection")
def set_default_projection(
    source: Image, crs: Grid, transform: list[float] | None, scale: float | None
) -> Image:
    grid = specified_grid(DEFAULT_GRID, crs, transform, scale)
    return source.with_bands([band.on_grid(grid) for band in source.bands])


@algorithm("Image.reproject")
def reproject(
    source: Image, crs: Grid, transform: list[float] | None, scale: float | None
) -> Image:
    grid = specified_grid(DEFAULT_GRID, crs, transform, scale)
    return source.with_bands([reprojected(band, grid) for band in source.bands])


@algorithm("Image.clipToBoundsAndScale")
def clip_to_bounds_and_scale(
    source: Image,
    region: Geometry | None,
    width: int | None,
    height: int | None,
    max_dimension: int | None,
    scale: float | None,
) -> Image:
    """Fix the box an image covers: what exports, thumbnails and downloads are made of."""
    grid = first_band("clipToBoundsAndScale", source).grid
    if scale:
        grid = grid.at_scale(scale)
    bounds = _bounds(source, region, grid.crs)
    if width or max_dimension:
        box = _fitted(grid.crs, bounds, width, height, max_dimension)
    else:
        box = PixelBox.around(grid, bounds)
    bands = [masked_outside(band, box) for band in source.bands]
    return Image(bands, source.properties, region or source.footprint, source.id)


def _bounds(source: Image, region: Geometry | None, crs: str) -> tuple[float, float, float, float]:
    if region is not None:
        return region.projected(crs).bounds
    extent = source.bands[0].extent
    if extent is not None and extent.grid.crs == crs:
        return extent.bounds(crs)
    if source.footprint is None:
        raise EarthEngineError("Unable to compute the bounds of an unbounded image.")
    return source.footprint.projected(crs).bounds


def _fitted(
    crs: str,
    bounds: tuple[float, float, float, float],
    width: int | None,
    height: int | None,
    max_dimension: int | None,
) -> PixelBox:
    """Divide bounds into a number of pixels."""
    west, south, east, north = bounds
    if not width or not height:
        side = max(east - west, north - south) / (max_dimension or width or height)
        width = max(1, round((east - west) / side))
        height = max(1, round((north - south) / side))
    transform = ((east - west) / width, 0.0, west, 0.0, (south - north) / height, north)
    return PixelBox(Grid(crs, transform), width, height)
