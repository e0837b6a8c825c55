"""Images as lazy bands: a band computes the pixels of any box, from other bands or a file.

Nodes pull: the box that is wanted travels from an image to its inputs, pixels travel back.
Nothing is resampled on the way, except where a band has a grid of its own (a file, or
`reproject`); there the nearest pixel is taken, as Earth Engine does by default
(https://developers.google.com/earth-engine/guides/scale, .../guides/resample).
"""

import contextvars
import functools
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, Self

import numpy as np
import rasterio

from emulator.array_pixels import BlockFunction, aligned, is_ragged, over_arrays
from emulator.errors import EarthEngineError
from emulator.graph import on_deep_stack
from emulator.grids import DEFAULT_GRID, Array, Grid, PixelBox, pixel_positions, source_box, within

TILE = 512  # pixels on a side; what is held in memory at once
LEAST_TILE = 64  # the same where a pixel holds many numbers
#: Of a pixel of 0, 1, 2 and more dimensions, where it is not known: lengths of 100.
NUMBERS = (1, 100, 100**2)
TILE_NUMBERS = NUMBERS[2] * LEAST_TILE**2  # of one band that a tile may hold: 330 MB
MOST_TILES = 4  # computed side by side, on a machine with so many processors
OPEN_FILES = 64  # datasets one reader keeps open, well below the usual limit of 1024


@dataclass(frozen=True, slots=True)
class PixelType:
    """The values a band can hold: an integer range, float (32 bits) or double."""

    precision: str  # int, float, double
    min: float | None = None
    max: float | None = None
    dimensions: int = 0

    type_name = "PixelType"

    @property
    def dtype(self) -> np.dtype:
        """The smallest numpy type that holds the values."""
        return _dtype(self.precision, self.min, self.max)

    @classmethod
    def of(cls, dtype: str) -> "PixelType":
        """Return the pixel type of a numpy type."""
        kind = np.dtype(dtype)
        if kind.kind == "f":
            return FLOAT if kind.itemsize == 4 else DOUBLE
        limits = np.iinfo(kind)
        return cls("int", int(limits.min), int(limits.max))

    @classmethod
    def of_range(cls, low: float, high: float) -> "PixelType":
        """Return the integer type of a range, or double where 64 bits can't hold it."""
        if low < INT64.min or high > INT64.max:
            return DOUBLE
        return cls("int", low, high)


INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")


@functools.cache
def _dtype(precision: str, low: float | None, high: float | None) -> np.dtype:
    if precision == "double":
        return np.dtype("float64")
    if precision == "float":
        return np.dtype("float32")
    if low is not None and high is not None:
        for name in INTEGERS:
            limits = np.iinfo(name)
            if limits.min <= low and high <= limits.max:
                return np.dtype(name)
    return np.dtype("int64")


FLOAT = PixelType("float")
DOUBLE = PixelType("double")
INT64 = PixelType("int", -(2**63), 2**63 - 1)
BYTE = PixelType("int", 0, 255)
BOOLEAN = PixelType("int", 0, 1)
INDEX = PixelType("int", 0, 2**31 - 1)  # of counts, positions and lengths
VECTOR = PixelType("double", dimensions=1)
MATRIX = PixelType("double", dimensions=2)


class Pixels(NamedTuple):
    """A box of one band: values, and masks from 0 (invalid) to 1."""

    data: Array  # (rows, columns), or arrays per pixel: see array_pixels
    mask: Array  # float32


def ones(shape: tuple[int, ...]) -> Array:
    """Return a mask that is valid everywhere, in no more memory than one pixel."""
    return np.broadcast_to(np.float32(1), shape)


def is_uniform(values: Array) -> bool:
    """Tell cheaply whether an array is one value broadcast to a box."""
    return values.size > 0 and not any(values.strides) and values.ndim == 2


def is_valid_everywhere(mask: Array) -> bool:
    """Tell cheaply whether a mask was made by `ones`."""
    return mask.size > 0 and not any(mask.strides) and mask.flat[0] == 1


def joined_strips(strips: Iterable[Sequence[Pixels]]) -> list[Pixels]:
    """Return the bands of a box from those of its strips, from the first row on."""
    return [
        Pixels(*(np.concatenate(parts) for parts in zip(*band, strict=True)))
        for band in zip(*strips, strict=True)
    ]


def combined(masks: Iterable[Array]) -> Array:
    """Return the product's mask for several inputs: the least of theirs."""
    first, *others = masks
    for mask in others:
        if is_valid_everywhere(first):
            first = mask
        elif not is_valid_everywhere(mask):
            first = np.minimum(first, mask)
    return first


class Band:
    """One band: metadata, and how to compute the pixels of a box.

    `inputs` lists the bands that `compute` reads, each as often as it reads it.
    `extent` is the box of `grid` outside which the band is masked; None: unbounded.
    """

    __slots__ = ("compute", "extent", "grid", "inputs", "name", "pixel_type")

    def __init__(
        self,
        name: str,
        pixel_type: PixelType,
        grid: Grid,
        compute: Callable[[PixelBox, "Reader"], Pixels],
        inputs: Sequence["Band"] = (),
        extent: PixelBox | None = None,
    ) -> None:
        self.name = name
        self.pixel_type = pixel_type
        self.grid = grid
        self.compute = compute
        self.inputs = inputs
        self.extent = extent

    def renamed(self, name: str) -> "Band":
        """Return the band under another name."""
        if name == self.name:
            return self
        return Band(name, self.pixel_type, self.grid, self.compute, self.inputs, self.extent)

    def within(self, extent: PixelBox) -> "Band":
        """Return the band with another extent."""
        return Band(self.name, self.pixel_type, self.grid, self.compute, self.inputs, extent)

    def on_grid(self, grid: Grid) -> "Band":
        """Return the band with another default grid."""
        extent = self.extent and PixelBox.around(grid, self.extent.bounds(grid.crs))
        return Band(self.name, self.pixel_type, grid, self.compute, self.inputs, extent)

    def derived(
        self,
        compute: Callable[[PixelBox, "Reader"], Pixels],
        inputs: Sequence["Band"],
        pixel_type: PixelType | None = None,
    ) -> "Band":
        """Return a band with this one's name, grid and extent and other pixels."""
        kind = pixel_type or self.pixel_type
        return Band(self.name, kind, self.grid, compute, inputs, self.extent)


class Image:
    """Bands and properties; what is stored is turned into bands when they are asked for."""

    __slots__ = ("_bands", "footprint", "id", "properties")

    type_name = "Image"

    def __init__(
        self,
        bands: Sequence[Band] | Callable[[], Sequence[Band]],
        properties: Mapping[str, Any] | None = None,
        footprint: Any = None,
        asset_id: str | None = None,
    ) -> None:
        self._bands = bands
        self.properties = properties or {}
        self.footprint = footprint  # a Geometry; None: unbounded
        self.id = asset_id

    @property
    def bands(self) -> Sequence[Band]:
        """The bands in order."""
        if callable(self._bands):
            self._bands = self._bands()
        return self._bands

    @property
    def names(self) -> list[str]:
        """The bands' names in order."""
        return [band.name for band in self.bands]

    def with_bands(self, bands: Sequence[Band]) -> "Image":
        """Return an image with this one's metadata and other bands."""
        return Image(bands, self.properties, self.footprint, self.id)

    def with_properties(self, properties: Mapping[str, Any]) -> "Image":
        """Return an image with this one's bands and other properties."""
        return Image(self._bands, properties, self.footprint, self.id)


class Reader:
    """Reads boxes of bands; within a tile, a band with several users is computed once."""

    def __init__(self, bands: Sequence[Band]) -> None:
        self._uses = _uses(bands)
        self._left: Counter[int] = Counter()
        self._pixels: dict[int, dict[PixelBox, Pixels]] = {}
        self._datasets: OrderedDict[Path, rasterio.DatasetReader] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for dataset in self._datasets.values():
            dataset.close()

    def tile(self, bands: Sequence[Band], box: PixelBox) -> Iterator[Pixels]:
        """Yield the pixels of one tile, band by band."""
        self._left = self._uses.copy()
        self._pixels = {}
        for band in bands:
            yield self(band, box)

    def __call__(self, band: Band, box: PixelBox) -> Pixels:
        """Return a band's pixels, whether computed before or now."""
        key = id(band)
        kept = self._pixels.setdefault(key, {})
        pixels = kept.get(box) or band.compute(box, self)
        kept[box] = pixels
        self._left[key] -= 1
        if self._left[key] <= 0:  # its last user has it now
            del self._pixels[key]
        return pixels

    def dataset(self, path: Path) -> rasterio.DatasetReader:
        """Return an open dataset, opened at most once while it is in use."""
        if path not in self._datasets:
            if len(self._datasets) == OPEN_FILES:
                self._datasets.popitem(last=False)[1].close()
            self._datasets[path] = rasterio.open(path)
        self._datasets.move_to_end(path)
        return self._datasets[path]


def _uses(bands: Sequence[Band]) -> Counter[int]:
    """Count for every band how often one tile reads it."""
    uses = Counter(id(band) for band in bands)
    for reader in _tree(bands):
        uses.update(id(band) for band in reader.inputs)
    return uses


def _tree(bands: Sequence[Band]) -> Iterator[Band]:
    """Yield bands and all that they are computed from, each once."""
    pending = list(bands)
    met = set()
    while pending:
        band = pending.pop()
        if id(band) not in met:
            met.add(id(band))
            pending.extend(band.inputs)
            yield band


def tile_side(bands: Sequence[Band]) -> int:
    """Return the side of the tiles in which bands are computed, so that memory holds them."""
    most = max(map(_numbers, _tree(bands)), default=1)
    side = TILE
    while side > LEAST_TILE and most * side**2 > TILE_NUMBERS:
        side //= 2
    return side


def _numbers(band: Band) -> int:
    """Return about how many numbers a band holds or reads at a pixel."""
    known = band.compute.numbers if isinstance(band.compute, Output) else None
    held = known or NUMBERS[min(band.pixel_type.dimensions, len(NUMBERS) - 1)]
    return max(held, len(band.inputs))


def pointwise(
    template: Band,
    inputs: Sequence[Band],
    function: Callable[..., Array],
    pixel_type: PixelType | None = None,
) -> Band:
    """Return a band whose every value depends on the inputs' values at the same pixel."""
    if dimensions := max((band.pixel_type.dimensions for band in inputs), default=0):
        kind = replace(pixel_type or template.pixel_type, dimensions=dimensions)
        return blockwise(template, inputs, lambda *blocks: function(*aligned(blocks)), kind)

    if all(isinstance(band.compute, Everywhere) for band in inputs):
        one = function(*[band.compute.content[None, None] for band in inputs])
        return template.derived(Everywhere(one[0, 0]), (), pixel_type)

    def compute(box: PixelBox, read: Reader) -> Pixels:
        pixels = [read(band, box) for band in inputs]
        if all(is_uniform(p.data) for p in pixels):
            one = function(*[p.data[:1, :1] for p in pixels])
            data = np.broadcast_to(one, box.shape + one.shape[2:])
        else:
            data = function(*[p.data for p in pixels])
        return Pixels(data, combined(p.mask for p in pixels))

    return template.derived(compute, inputs, pixel_type)


def require_scalars(bands: Sequence[Band]) -> None:
    """Raise if a band's pixels are arrays, where only numbers will do."""
    for band in bands:
        if dimensions := band.pixel_type.dimensions:
            raise EarthEngineError(
                f"Band '{band.name}' has array values of dimension {dimensions}, where scalar "
                "values are needed. Use arrayFlatten() or arrayGet()."
            )


def several(
    bands: Sequence[Band],
    compute: Callable[[PixelBox, Reader], Sequence[Pixels]],
    kinds: Sequence[PixelType],
) -> list[Band]:
    """Return bands that are computed together from bands of numbers, like the first of these."""
    require_scalars(bands)
    return together(bands[0], bands, compute, kinds)


def together(
    template: Band,
    inputs: Sequence[Band],
    compute: Callable[[PixelBox, Reader], Sequence[Pixels]],
    kinds: Sequence[PixelType],
    numbers: int | None = None,
) -> list[Band]:
    """Return bands like a template that are computed together.

    `numbers` is how many a pixel of any of them holds, where that is known.
    """
    # The reader passes pixels on: here a tuple of those of all outputs.
    whole = template.derived(lambda box, read: tuple(compute(box, read)), inputs)

    return [
        template.derived(Output(whole, index, kind, numbers), [whole], kind)
        for index, kind in enumerate(kinds)
    ]


@dataclass(frozen=True, slots=True)
class Output:
    """What computes one of several bands that are computed together."""

    whole: Band
    index: int
    kind: PixelType
    numbers: int | None  # of a pixel, where known

    def __call__(self, box: PixelBox, read: Reader) -> Pixels:
        """Return the band's pixels in a box."""
        data, mask = read(self.whole, box)[self.index]
        return Pixels(typed(data, self.kind), mask)


def blockwise(
    template: Band, inputs: Sequence[Band], function: BlockFunction, pixel_type: PixelType
) -> Band:
    """Return a band whose every array or number depends on the inputs' at the same pixel."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        pixels = [read(band, box) for band in inputs]
        mask = combined(p.mask for p in pixels)
        scalar = not pixel_type.dimensions
        return Pixels(
            *over_arrays(function, [p.data for p in pixels], mask, pixel_type.dtype, scalar)
        )

    return template.derived(compute, inputs, pixel_type)


@dataclass(frozen=True, slots=True, eq=False)
class Everywhere:
    """What computes a band with one number or array everywhere."""

    content: Array

    def __call__(self, box: PixelBox, read: Reader) -> Pixels:
        """Return the band's pixels in a box."""
        data = np.broadcast_to(self.content, box.shape + self.content.shape)
        return Pixels(data, ones(box.shape))


def constant_band(name: str, value: float | Array, pixel_type: PixelType) -> Band:
    """Return an unbounded band with one number or array everywhere."""
    return Band(name, pixel_type, DEFAULT_GRID, Everywhere(np.asarray(value, pixel_type.dtype)))


#: The template of bands without an extent or a grid of their own.
UNBOUNDED = constant_band("", 0, DOUBLE)


def reprojected(band: Band, grid: Grid) -> Band:
    """Return a band that is computed in a grid of its own, then read at the nearest pixel."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        if box.grid == grid:
            return read(band, box)
        columns, rows = (np.floor(p).astype(np.int64) for p in pixel_positions(box, grid))
        source = source_box(grid, columns, rows)
        pixels = read(band, source)
        where = rows - source.y, columns - source.x
        return Pixels(pixels.data[where], pixels.mask[where])

    moved = band.on_grid(grid)
    return moved.derived(compute, [band])


def masked_outside(band: Band, extent: PixelBox) -> Band:
    """Return a band that is valid only inside a box, which becomes its extent."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        pixels = read(band, box)
        columns, rows = pixel_positions(box, extent.grid)
        inside = within(columns - extent.x, extent.width) & within(rows - extent.y, extent.height)
        if inside.all():
            return pixels
        return Pixels(pixels.data, pixels.mask * inside.astype(np.float32))

    return Band(band.name, band.pixel_type, extent.grid, compute, [band], extent)


def export_grid(image: Image) -> PixelBox:
    """Return the box an image covers: its first band's, as the client's calls have set it."""
    if not image.bands:
        raise EarthEngineError("Image has no bands.")
    extent = image.bands[0].extent
    if extent is None:
        raise EarthEngineError("Unable to export unbounded image.")
    if not extent.width or not extent.height:
        raise EarthEngineError("Unable to export an image without pixels.")
    return extent


@on_deep_stack
def read(image: Image, box: PixelBox) -> list[Pixels]:
    """Return the pixels of every band in a box."""
    require_scalars(image.bands)
    whole = [
        Pixels(np.zeros(box.shape, band.pixel_type.dtype), np.zeros(box.shape, np.float32))
        for band in image.bands
    ]
    for tile, tile_pixels in read_tiles(image.bands, box):
        if tile == box:
            return tile_pixels
        where = tile.slices_in(box)
        for target, pixels in zip(whole, tile_pixels, strict=True):
            target.data[where], target.mask[where] = pixels
    return whole


Tile = tuple[PixelBox, list[Pixels]]


def read_tiles(bands: Sequence[Band], box: PixelBox) -> Iterator[Tile]:
    """Yield tile after tile of a box with the pixels of every band, in the bands' types."""
    side = tile_side(bands)
    tiles = list(box.tiles(side))
    # Tiles of matrices are as much as memory should hold, and use all processors by themselves.
    count = min(len(tiles), os.cpu_count() or 1, MOST_TILES if side == TILE else 1)
    with ExitStack() as exits:
        readers: SimpleQueue[Reader] = SimpleQueue()
        for _ in range(count):
            readers.put(exits.enter_context(Reader(bands)))

        def compute(tile: PixelBox) -> Tile:
            reader = readers.get()
            try:
                pixels = zip(bands, reader.tile(bands, tile), strict=True)
                return tile, [Pixels(typed(x.data, band.pixel_type), x.mask) for band, x in pixels]
            finally:
                readers.put(reader)

        yield from map(compute, tiles) if count <= 1 else _side_by_side(compute, tiles, count)


def _side_by_side(
    compute: Callable[[PixelBox], Tile], tiles: Sequence[PixelBox], count: int
) -> Iterator[Tile]:
    """Yield what is computed of tiles, in order; so many at a time, none far ahead of its user."""
    pool = ThreadPoolExecutor(count)
    pending: deque[Future[Tile]] = deque()
    try:
        for tile in tiles:
            # Each in the caller's context, as if the caller computed it.
            context = contextvars.copy_context()
            pending.append(pool.submit(context.run, on_deep_stack(compute), tile))
            if len(pending) > count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def typed(data: Array, kind: PixelType) -> Array:
    """Return a box's values in the numpy type of a pixel type."""
    return data if is_ragged(data) else data.astype(kind.dtype, copy=False)
