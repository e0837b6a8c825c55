"""Image.visualize: bands to 8-bit red, green and blue; and paint: shapes to pixels."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely
from PIL import ImageColor
from rasterio.features import rasterize

from emulator.errors import EarthEngineError
from emulator.functions.elementwise import number_type, rounded_values, union
from emulator.functions.geometry import Geometry, burnt
from emulator.functions.images import first_band, select, unique
from emulator.functions.values import Collection, Feature
from emulator.grids import DEFAULT_GRID, PixelBox
from emulator.raster import BYTE, Array, Band, Image, Pixels, PixelType, Reader, combined, pointwise
from emulator.registry import algorithm

RGB = ("vis-red", "vis-green", "vis-blue")
RANDOM_RGB = ("viz-red", "viz-green", "viz-blue")
#: 2^64 divided by the golden ratio: spreads neighbouring numbers (Knuth, 1973, section 6.4).
KNUTH = np.uint64(0x9E3779B97F4A7C15)


@algorithm("Image.visualize")
def visualize(
    source: Image,
    bands: Any,
    gain: Any,
    bias: Any,
    low: Any,
    high: Any,
    gamma: Any,
    opacity: float | None,
    palette: Any,
    force_rgb: bool,
) -> Image:
    chosen = select(source, _listed(bands), None).bands if bands else source.bands[:3]
    if len(chosen) == 2:
        raise EarthEngineError("Image.visualize: Needs one band or three.")
    stretch = _stretch([band.pixel_type for band in chosen], gain, bias, low, high, gamma)
    if palette is not None:
        if len(chosen) != 1:
            raise EarthEngineError("Image.visualize: A palette needs a single band.")
        return source.with_bands(_coloured(chosen[0], stretch[0], _colours(palette), opacity))
    if len(chosen) == 1:
        name = "vis-gray"
        grey = _shown(chosen[0], stretch[0], opacity)
        names = RGB if force_rgb else (name,)
        return source.with_bands([grey.renamed(each) for each in names])
    shown = [_shown(b, s, opacity).renamed(n) for b, s, n in zip(chosen, stretch, RGB, strict=True)]
    return source.with_bands(_masked_together(shown))


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return value if isinstance(value, list) else [value]


Stretch = Callable[[Array], Array]


def _stretch(
    kinds: Sequence[PixelType], gain: Any, bias: Any, low: Any, high: Any, gamma: Any
) -> list[Stretch]:
    """Return for every band a function to shares of the full brightness.

    Without ends, floating point is stretched from 0 to 1 and integers over their whole type
    (https://developers.google.com/earth-engine/guides/image_visualization).
    """

    def each(value: Any, default: float) -> list[float]:
        values = _listed(default if value is None else value)
        return [float(v) for v in (values * len(kinds) if len(values) == 1 else values)]

    gammas = each(gamma, 1)
    if gain is not None or bias is not None:
        if low is not None or high is not None:
            raise EarthEngineError("Image.visualize: Cannot specify gain or bias with min or max.")
        slopes, starts = each(gain, 1), each(bias, 0)
        lines = [(g / BYTE.max, b / BYTE.max) for g, b in zip(slopes, starts, strict=True)]
    else:
        whole = [(0, 1) if k.dtype.kind == "f" else _limits(k) for k in kinds]
        highs = [top for _, top in whole] if high is None else each(high, 1)
        lows = [bottom for bottom, _ in whole] if low is None and high is None else each(low, 0)
        lines = [(1 / (b - a), -a / (b - a)) for a, b in zip(lows, highs, strict=True)]
    return [_line(s, o, g) for (s, o), g in zip(lines, gammas, strict=True)]


def _limits(kind: PixelType) -> tuple[int, int]:
    limits = np.iinfo(kind.dtype)
    return int(limits.min), int(limits.max)


def _line(slope: float, offset: float, gamma: float) -> Stretch:
    return lambda data: np.clip(data * slope + offset, 0, 1) ** (1 / gamma)


def _shown(band: Band, stretch: Stretch, opacity: float | None) -> Band:
    def bytes_of(data: Array) -> Array:
        return rounded_values(stretch(data) * BYTE.max, BYTE)

    shown = pointwise(band, [band], bytes_of, BYTE)
    return shown if opacity is None else _faded(shown, opacity)


def _faded(band: Band, opacity: float) -> Band:
    def compute(box: PixelBox, read: Reader) -> Pixels:
        data, mask = read(band, box)
        return Pixels(data, mask * np.float32(opacity))

    return band.derived(compute, [band])


def _masked_together(bands: list[Band]) -> list[Band]:
    """Return bands that are valid where all of them are: a colour needs all three."""

    def together(index: int) -> Band:
        def compute(box: PixelBox, read: Reader) -> Pixels:
            pixels = [read(band, box) for band in bands]
            return Pixels(pixels[index].data, combined(p.mask for p in pixels))

        return bands[index].derived(compute, bands)

    return [together(i) for i in range(len(bands))]


def _colours(palette: Any) -> Array:
    return np.array([_colour(text) for text in _listed(palette)])


def _colour(text: str) -> tuple[int, ...]:
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        pass  # hexadecimal digits need no '#' in Earth Engine
    try:
        return ImageColor.getrgb(f"#{text}")[:3]
    except ValueError:
        raise EarthEngineError(f"Image.visualize: Invalid color '{text}'.") from None


def _coloured(band: Band, stretch: Stretch, colours: Array, opacity: float | None) -> list[Band]:
    steps = np.linspace(0, 1, len(colours))

    def channel(index: int) -> Band:
        def colour(data: Array) -> Array:
            return rounded_values(np.interp(stretch(data), steps, colours[:, index]), BYTE)

        coloured = pointwise(band, [band], colour, BYTE).renamed(RGB[index])
        return coloured if opacity is None else _faded(coloured, opacity)

    return [channel(i) for i in range(3)]


@algorithm("Image.randomVisualizer")
def random_visualizer(source: Image) -> Image:
    """Colour every value by bits of its hash."""
    band = first_band("randomVisualizer", source)

    def channel(shift: int) -> Callable[[Array], Array]:
        def colour(data: Array) -> Array:
            bits = data.astype("float64").view("uint64") * KNUTH
            return (bits >> np.uint64(shift)).astype("uint8")

        return colour

    shown = [
        pointwise(band, [band], channel(shift), BYTE).renamed(name)
        for name, shift in zip(RANDOM_RGB, (56, 48, 40), strict=True)
    ]
    return source.with_bands(unique([*shown, *source.bands]))


@algorithm("Collection.draw")
def draw(collection: Collection, color: str, point_radius: int, stroke_width: int) -> Image:
    """Show geometries in one colour: areas filled, lines and points so many pixels wide."""
    shapes = [feature.footprint for feature in collection if feature.footprint is not None]

    def compute(value: int, box: PixelBox, read: Reader) -> Pixels:
        drawn = []
        for geometry in shapes:
            shape = geometry.projected(box.grid.crs)
            is_point = shapely.get_dimensions(shape) == 0
            drawn.append(_widened(shape, 2 * point_radius if is_point else stroke_width, box))
        covered = burnt(shapely.union_all(drawn), box)
        return Pixels(np.full(box.shape, value, np.uint8), covered.astype(np.float32))

    return Image(
        [
            Band(name, BYTE, DEFAULT_GRID, functools.partial(compute, value))
            for name, value in zip(RGB, _colour(color), strict=True)
        ]
    )


@algorithm("Image.paint")
def paint(source: Image, collection: Collection, color: Any, width: Any) -> Image:
    """Put numbers where geometries cover pixels' centres, or their outlines do; masked or not."""
    shapes = [(f.footprint, _number(f, color), _number(f, width)) for f in collection]
    kinds = [number_type(value) for _, value, _ in shapes]

    def painted(band: Band) -> Band:
        kind = union(band.pixel_type, *kinds)

        def compute(box: PixelBox, read: Reader) -> Pixels:
            data, mask = read(band, box)
            drawn = [(_drawn(s, w, box), v) for s, v, w in shapes]
            drawn = [(shape, value) for shape, value in drawn if not shape.is_empty]
            if not drawn:
                return Pixels(data.astype(kind.dtype), mask)
            fill = {"out_shape": box.shape, "transform": box.affine}
            values = rasterize(drawn, dtype="float64", **fill)
            covered = rasterize([shape for shape, _ in drawn], dtype="uint8", **fill) > 0
            data = np.where(covered, values, data).astype(kind.dtype)
            return Pixels(data, np.where(covered, np.float32(1), mask))

        return band.derived(compute, [band], kind)

    return source.with_bands([painted(band) for band in source.bands])


def _number(feature: Feature, value: Any) -> Any:
    """Return a number that is given, or that a feature has under the given name."""
    number = feature.properties.get(value) if isinstance(value, str) else value
    if number is None and value is None:
        return None
    if not isinstance(number, int | float):
        raise EarthEngineError(f"Image.paint: Property '{value}' is not a number.")
    return number


def _drawn(geometry: Geometry, width: float | None, box: PixelBox) -> shapely.Geometry:
    """Return a geometry, or its outline so many pixels wide, in the box's projection."""
    shape = geometry.projected(box.grid.crs)
    if width is None:
        return shape
    lines = shapely.boundary(shape) if shapely.get_dimensions(shape) == 2 else shape
    return _widened(lines, width, box)


def _widened(shape: shapely.Geometry, width: float, box: PixelBox) -> shapely.Geometry:
    """Return a shape with half a width, in a box's pixels, around it."""
    side = math.sqrt(abs(box.grid.affine.determinant))
    return shapely.buffer(shape, width * side / 2)
