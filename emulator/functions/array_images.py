"""Images whose pixels are arrays: making them, and the operations of `arrays` on them.

https://developers.google.com/earth-engine/guides/arrays_array_images
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emulator.array_pixels import assembled, by_value
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions import arrays
from emulator.functions.arrays import DECOMPOSITIONS, BlockOperation
from emulator.functions.composites import by_name
from emulator.functions.elementwise import cast_image, cast_values, pairs, union
from emulator.functions.images import constant, image, with_each
from emulator.functions.kernels import Kernel
from emulator.functions.values import Collection
from emulator.grids import PixelBox
from emulator.raster import (
    BOOLEAN,
    INDEX,
    INT64,
    MATRIX,
    Array,
    Band,
    Image,
    Pixels,
    PixelType,
    Reader,
    blockwise,
    combined,
    is_valid_everywhere,
    ones,
    require_scalars,
)
from emulator.registry import algorithm

NAME = "array"  # of a band made of others


# --- making arrays of numbers


def _joined(bands: Sequence[Band], axis: int, name: str) -> Band:
    """Return a band with the arrays of others one after the other along an axis."""
    dimensions = {band.pixel_type.dimensions for band in bands}
    if len(dimensions) > 1:
        raise EarthEngineError("Image.toArray: Bands must have the same number of dimensions.")
    kind = union(*[band.pixel_type for band in bands])
    if not 0 <= axis <= kind.dimensions:
        raise EarthEngineError(f"Image.toArray: Axis must be between 0 and {kind.dimensions}.")
    kind = replace(kind, dimensions=max(kind.dimensions, axis + 1))
    joined = blockwise(
        bands[0], bands, lambda *blocks: arrays.concatenated(_typed(blocks, kind), axis), kind
    )
    return joined.renamed(name)


def _typed(blocks: Iterable[Array], kind: PixelType) -> list[Array]:
    return [block.astype(kind.dtype, copy=False) for block in blocks]


@algorithm("Image.toArray")
def to_array(source: Image, axis: int) -> Image:
    if not source.bands:
        raise EarthEngineError("Image.toArray: The image has no bands.")
    return source.with_bands([_joined(source.bands, axis, NAME)])


@algorithm("ImageCollection.toArray")
def collection_to_array(collection: Collection) -> Image:
    """Return images along axis 0, bands along axis 1; without valid images a pixel is masked."""
    rows = [image(item).bands for item in collection]
    if not rows:
        raise EarthEngineError("ImageCollection.toArray: The collection is empty.")
    if len({len(row) for row in rows}) > 1:
        raise EarthEngineError(
            "ImageCollection.toArray: All images must have the same number of bands."
        )
    kind = replace(union(*[band.pixel_type for row in rows for band in row]), dimensions=2)
    return Image([_series(rows, kind, NAME)])


def _series(rows: Sequence[Sequence[Band]], kind: PixelType, name: str) -> Band:
    """Return a band of numbers, images by bands, of the images that are valid at a pixel."""
    for row in rows:
        require_scalars(row)

    def compute(box: PixelBox, read: Reader) -> Pixels:
        values = np.empty((box.height * box.width, len(rows), len(rows[0])), kind.dtype)
        masks = []
        for index, row in enumerate(rows):
            pixels = [read(band, box) for band in row]
            masks.append(combined(p.mask for p in pixels))
            for position, p in enumerate(pixels):
                values[:, index, position] = p.data.ravel()
        if all(is_valid_everywhere(mask) for mask in masks):
            return Pixels(values.reshape(*box.shape, *values.shape[1:]), ones(box.shape))
        found, parts = _valid_rows(values, np.stack(masks, -1).reshape(len(values), -1) > 0)
        data = assembled(found, parts, box.shape, kind.dtype, scalar=False)
        return Pixels(data, np.maximum.reduce(masks))

    inputs = [band for row in rows for band in row]
    return inputs[0].derived(compute, inputs, kind).renamed(name)


def _valid_rows(values: Array, valid: Array) -> tuple[list[Array], list[Array]]:
    """Return the valid rows of (pixels, rows, …) for all pixels that have the same number."""
    counts = valid.sum(axis=1)
    rows = values.reshape(-1, *values.shape[2:])
    found, parts = [], []
    for count in np.unique(counts[counts > 0]):
        pixels = np.flatnonzero(counts == count)
        which, row = np.nonzero(valid[pixels])
        chosen = rows.take(pixels[which] * values.shape[1] + row, axis=0)
        found.append(pixels)
        parts.append(chosen.reshape(len(pixels), count, *values.shape[2:]))
    return found, parts


@algorithm("ImageCollection.toArrayPerBand")
def to_array_per_band(collection: Collection, axis: int, drop_masked: bool) -> Image:
    def joined(name: str, bands: Sequence[Band]) -> Band:
        if not drop_masked:
            return _joined(bands, axis, name)
        if bands[0].pixel_type.dimensions:
            raise NotImplementedByEmulator("ImageCollection.toArrayPerBand of arrays, dropMasked")
        kind = replace(union(*[band.pixel_type for band in bands]), dimensions=2)
        series = _series([[band] for band in bands], kind, name)
        return _operated(arrays.UNARY["project"], series, [series], [0])

    return Image([joined(name, bands) for name, bands in by_name(collection).items()])


@algorithm("Image.bitsToArrayImage")
def bits_to_array_image(source: Image) -> Image:
    require_scalars(source.bands)
    kind = replace(BOOLEAN, dimensions=1)
    return source.with_bands(
        [blockwise(band, [band], arrays.bits_of, kind) for band in source.bands]
    )


@algorithm("Image.matrixIdentity")
def matrix_identity(size: int) -> Image:
    return constant(arrays.identity(size))


@algorithm("Image.neighborhoodToArray")
def neighborhood_to_array(source: Image, kernel: Kernel, default: float) -> Image:
    return source.with_bands([_neighbourhood(band, kernel, default) for band in source.bands])


def _neighbourhood(band: Band, kernel: Kernel, default: float) -> Band:
    require_scalars([band])
    filler = cast_values(np.asarray(default), band.pixel_type)
    if band.pixel_type.min is not None:
        filler = np.clip(filler, band.pixel_type.min, band.pixel_type.max)

    def compute(box: PixelBox, read: Reader) -> Pixels:
        weights = kernel.weights(box.grid.scale)
        if not weights.all():
            raise NotImplementedByEmulator("Image.neighborhoodToArray of a kernel with zeros")
        outer = box.padded(weights.shape[1] // 2, weights.shape[0] // 2)
        around = read(band, outer)
        data = np.where(around.mask > 0, around.data, filler.astype(around.data.dtype))
        windows = np.lib.stride_tricks.sliding_window_view(data, weights.shape)
        return Pixels(windows, around.mask[box.slices_in(outer)])

    return band.derived(compute, [band], replace(band.pixel_type, dimensions=2))


# --- operations on arrays


def _operated(
    operation: BlockOperation, template: Band, inputs: Sequence[Band], *parameters: Any
) -> Band:
    kind = operation.result_type(*[band.pixel_type for band in inputs], *parameters)
    return blockwise(template, inputs, lambda *blocks: operation.apply(*blocks, *parameters), kind)


def _unary(operation: BlockOperation) -> Callable[..., Image]:
    def apply(source: Image, *parameters: Any) -> Image:
        return source.with_bands(
            [_operated(operation, band, [band], *parameters) for band in source.bands]
        )

    return apply


def _binary(name: str, operation: BlockOperation) -> Callable[..., Image]:
    def apply(left: Image, right: Image | None, *parameters: Any) -> Image:
        right = left if right is None else right
        template = right if len(right.bands) > len(left.bands) else left
        return left.with_bands(
            [
                _operated(operation, a, [a, b], *parameters).renamed(named_band.name)
                for named_band, (a, b) in zip(template.bands, pairs(name, left, right), strict=True)
            ]
        )

    return apply


def _concatenated_type(left: PixelType, right: PixelType, axis: int) -> PixelType:
    kind = union(left, right)
    return replace(kind, dimensions=max(kind.dimensions, axis + 1))


CAT = BlockOperation(
    "arrayCat", lambda a, b, axis: arrays.concatenated([a, b], axis), _concatenated_type
)


def _register_operations() -> None:
    for operation in (*arrays.UNARY.values(), arrays.ARGMAX):
        algorithm(f"Image.{operation.image_name}")(_unary(operation))
    for operation in (*arrays.BINARY.values(), CAT):
        algorithm(f"Image.{operation.image_name}")(_binary(operation.image_name, operation))
    for name, (factors, decompose) in DECOMPOSITIONS.items():
        algorithm(f"Image.matrix{name}")(_decomposition(factors, decompose))


def _decomposition(
    factors: Sequence[str], decompose: Callable[[Array], dict[str, Array]]
) -> Callable[[Image], Image]:
    def apply(source: Image) -> Image:
        if len(source.bands) != 1:
            raise EarthEngineError("A matrix decomposition needs an image with a single band.")
        [band] = source.bands
        return source.with_bands(
            [
                blockwise(band, [band], lambda block, f=f: decompose(block)[f], MATRIX).renamed(f)
                for f in factors
            ]
        )

    return apply


_register_operations()


@algorithm("Image.arrayDimensions")
def array_dimensions(source: Image) -> Image:
    def counted(band: Band) -> Band:
        dimensions = band.pixel_type.dimensions
        return blockwise(band, [band], lambda block: np.full(len(block), dimensions), INDEX)

    return source.with_bands([counted(band) for band in source.bands])


@algorithm("Image.arrayLength")
def array_length(source: Image, axis: int) -> Image:
    def measured(band: Band) -> Band:
        if not 0 <= axis < band.pixel_type.dimensions:
            raise EarthEngineError(
                f"Image.arrayLength: Axis {axis} is not one of an array with "
                f"{band.pixel_type.dimensions} dimensions."
            )
        return blockwise(
            band, [band], lambda block: np.full(len(block), block.shape[axis + 1]), INDEX
        )

    return source.with_bands([measured(band) for band in source.bands])


@algorithm("Image.arrayFlatten")
def array_flatten(source: Image, labels: list[list[str]], separator: str) -> Image:
    if len(source.bands) != 1:
        raise EarthEngineError("Image.arrayFlatten: The image must have a single band.")
    [band] = source.bands
    if len(labels) != band.pixel_type.dimensions:
        raise EarthEngineError(
            f"Image.arrayFlatten: Expected labels for {band.pixel_type.dimensions} axes, "
            f"got {len(labels)}."
        )
    shape = tuple(len(axis_labels) for axis_labels in labels)
    kind = replace(band.pixel_type, dimensions=0)

    def picked(index: tuple[int, ...]) -> Callable[[Array], Array]:
        def pick(block: Array) -> Array:
            if block.shape[1:] != shape:
                raise EarthEngineError(
                    f"Image.arrayFlatten: An array has the lengths {list(block.shape[1:])}, "
                    f"the labels {list(shape)}."
                )
            return block[(slice(None), *index)]

        return pick

    return source.with_bands(
        [
            blockwise(band, [band], picked(index), kind).renamed(separator.join(names))
            for index, names in zip(np.ndindex(*shape), itertools.product(*labels), strict=True)
        ]
    )


@algorithm("Image.arrayGet")
def array_get(source: Image, position: Image) -> Image:
    require_scalars(position.bands)

    def picked(band: Band) -> Band:
        if len(position.bands) != band.pixel_type.dimensions:
            raise EarthEngineError(
                f"Image.arrayGet: Expected a position with {band.pixel_type.dimensions} bands, "
                f"got {len(position.bands)}."
            )
        kind = replace(band.pixel_type, dimensions=0)
        return blockwise(
            band,
            [band, *position.bands],
            lambda block, *at: arrays.element(block, np.stack(at, axis=-1)),
            kind,
        )

    return source.with_bands([picked(band) for band in source.bands])


@algorithm("Image.arrayRepeat")
def array_repeat(source: Image, axis: int, copies: Image) -> Image:
    def repeated(band: Band, count: Band) -> Band:
        kind = replace(band.pixel_type, dimensions=max(band.pixel_type.dimensions, axis + 1))
        return blockwise(
            band,
            [band, count],
            lambda block, counts: by_value(
                counts[:, None], lambda row, part: arrays.repeated(part, axis, int(row[0])), block
            ),
            kind,
        )

    require_scalars(copies.bands)
    matched = with_each("arrayRepeat", source, cast_image(copies, INT64))
    return source.with_bands([repeated(band, count) for band, count in matched])


@algorithm("Image.arrayReshape")
def array_reshape(source: Image, lengths: Image, dimensions: int) -> Image:
    def reshaped(block: Array, shapes: Array) -> Array:
        if shapes.ndim != 2 or shapes.shape[1] != dimensions:
            raise EarthEngineError(
                f"Image.arrayReshape: 'lengths' must be 1-D arrays of {dimensions} lengths."
            )
        return by_value(shapes, lambda shape, part: arrays.reshaped(part, shape), block)

    if len(lengths.bands) != 1:
        raise EarthEngineError("Image.arrayReshape: 'lengths' must have a single band.")
    return source.with_bands(
        [
            blockwise(
                band,
                [band, *lengths.bands],
                reshaped,
                replace(band.pixel_type, dimensions=dimensions),
            )
            for band in source.bands
        ]
    )


@algorithm("Image.arraySlice")
def array_slice(
    source: Image, axis: int, start: Image | None, end: Image | None, step: int
) -> Image:
    first = _filled(constant(0) if start is None else start, 0)
    last = _filled(constant(INT64.max) if end is None else end, INT64.max)

    def sliced(band: Band, *ends: Band) -> Band:
        return blockwise(
            band,
            [band, *ends],
            lambda block, *at: by_value(
                np.stack(at, axis=-1),
                lambda row, part: arrays.sliced(part, axis, int(row[0]), int(row[1]), step),
                block,
            ),
            band.pixel_type,
        )

    starts = with_each("arraySlice", source, first)
    ends = with_each("arraySlice", source, last)
    return source.with_bands(
        [sliced(band, a, b) for (band, a), (_, b) in zip(starts, ends, strict=True)]
    )


def _filled(source: Image, value: int) -> Image:
    """Return whole numbers with a value where they are masked."""

    def filled(band: Band) -> Band:
        def compute(box: PixelBox, read: Reader) -> Pixels:
            pixels = read(band, box)
            data = cast_values(pixels.data, INT64)
            if not is_valid_everywhere(pixels.mask):
                data = np.where(pixels.mask > 0, data, value)
            return Pixels(data, ones(box.shape))

        return band.derived(compute, [band], INT64)

    require_scalars(source.bands)
    return source.with_bands([filled(band) for band in source.bands])
