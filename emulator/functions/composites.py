"""Images out of stacks of bands: reductions and mosaics."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from emulator.array_pixels import choose
from emulator.errors import EarthEngineError
from emulator.functions.elementwise import union
from emulator.functions.images import first_band, image, matching
from emulator.functions.reducers import Reducer, check_bands, named
from emulator.functions.values import Collection
from emulator.grids import DEFAULT_GRID, PixelBox
from emulator.raster import (
    DOUBLE,
    UNBOUNDED,
    Array,
    Band,
    Image,
    Pixels,
    PixelType,
    Reader,
    is_uniform,
    is_valid_everywhere,
    ones,
    together,
)
from emulator.registry import algorithm


def stacked(
    bands: Sequence[Sequence[Band]],
    reducer: Reducer,
    names: Sequence[str],
    template: Band = UNBOUNDED,
) -> list[Band]:
    """Return a band for each output of a reducer; `bands` are those of each input."""
    if any(band.pixel_type.dimensions for each in bands for band in each) and _picks(reducer):
        return [_picked(bands[0], reducer, template).renamed(name) for name in names]
    inputs = [band for each in bands for band in each]
    kinds = [union(*[band.pixel_type for band in each]) for each in bands]
    results = reducer.kinds(kinds[0])
    if reducer.elementwise:
        results = [replace(kind, dimensions=kinds[0].dimensions) for kind in results]

    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        values, weights = [], []
        for each, kind in zip(bands, kinds, strict=True):
            pixels = [read(band, box) for band in each]
            values.append(_stacked_data([p.data for p in pixels], kind))
            weights.append(_stacked_masks([p.mask for p in pixels]))
        return reducer.pixels(values, weights)

    outputs = together(template, inputs, compute, results, reducer.numbers)
    return [output.renamed(name) for output, name in zip(outputs, names, strict=True)]


def _picks(reducer: Reducer) -> bool:
    return reducer.outputs[0] in ("first", "firstNonNull", "last", "lastNonNull")


def _picked(bands: Sequence[Band], reducer: Reducer, template: Band) -> Band:
    """Return the first or last valid pixels of bands of arrays."""
    inputs = bands if reducer.outputs[0].startswith("first") else bands[::-1]

    def compute(box: PixelBox, read: Reader) -> Pixels:
        data, mask = read(inputs[0], box)
        for band in inputs[1:]:
            below = read(band, box)
            data = choose(mask > 0, data, below.data)
            mask = np.where(mask > 0, mask, below.mask)
        return Pixels(data, mask)

    return template.derived(compute, inputs, union(*[b.pixel_type for b in bands]))


def _stacked_data(data: Sequence[Array], kind: PixelType) -> Array:
    """Stack images; those of one value each take no more memory than the values."""
    if all(is_uniform(array) for array in data):
        values = np.array([array.flat[0] for array in data], dtype=kind.dtype)
        return np.broadcast_to(values[:, None, None], (len(data), *data[0].shape))
    return np.stack(data, dtype=kind.dtype, casting="unsafe")


def _stacked_masks(masks: Sequence[Array]) -> Array:
    if all(is_valid_everywhere(m) for m in masks):
        return ones((len(masks), *masks[0].shape))
    return np.stack(masks)


@algorithm("Image.reduce")
def reduce_bands(source: Image, reducer: Reducer) -> Image:
    if reducer.inputs != 1:
        raise EarthEngineError("Image.reduce: The reducer must have a single input.")
    first = first_band("reduce", source)
    return source.with_bands(stacked([source.bands], reducer, reducer.outputs, template=first))


def by_name(collection: Collection) -> dict[str, list[Band]]:
    """Return the bands of all images of a collection by their names."""
    bands: dict[str, list[Band]] = {}
    for item in collection:
        for band in image(item).bands:
            bands.setdefault(band.name, []).append(band)
    return bands


def _each_band(
    collection: Collection, reducer: Reducer, names: Callable[[str], Sequence[str]]
) -> Image:
    """Reduce the bands of every name to bands that are named for it."""
    return Image(
        [
            output
            for name, bands in by_name(collection).items()
            for output in stacked([bands], reducer, names(name))
        ]
    )


@algorithm("ImageCollection.reduce")
def reduce_collection(collection: Collection, reducer: Reducer, parallel_scale: float) -> Image:
    if reducer.inputs == 1:
        return _each_band(
            collection, reducer, lambda name: [f"{name}_{output}" for output in reducer.outputs]
        )
    bands = by_name(collection)
    check_bands("ImageCollection.reduce", reducer, len(bands))
    return Image(stacked(list(bands.values()), reducer, reducer.outputs))


def _shortcut(reducer: str) -> Callable[[Collection], Image]:
    """Reduce each band and keep its name, as `ImageCollection.median()` and others do."""
    return lambda collection: _each_band(collection, named(reducer), lambda name: [name])


for _name in ("min", "max", "count", "sum", "product", "mean", "and", "or", "median", "mode"):
    algorithm(f"reduce.{_name}")(_shortcut(_name))
algorithm("ImageCollection.mosaic")(_shortcut("last"))


@algorithm("ImageCollection.qualityMosaic")
def quality_mosaic(collection: Collection, quality: str) -> Image:
    """Take every pixel's bands from the image where the quality is highest."""
    images = [image(item) for item in collection]
    ranks = [matching(item, quality)[0] for item in images]

    def best(box: PixelBox, read: Reader) -> Pixels:
        highest, position = np.full(box.shape, -np.inf), np.full(box.shape, -1)
        for i, band in enumerate(ranks):
            data, mask = read(band, box)
            better = (mask > 0) & ((data > highest) | (position < 0))
            highest, position = np.where(better, data, highest), np.where(better, i, position)
        return Pixels(position, ones(box.shape))

    chosen = Band("", DOUBLE, DEFAULT_GRID, best, ranks)

    def from_best(name: str, bands: dict[int, Band]) -> Band:
        kind = union(*[band.pixel_type for band in bands.values()])

        def compute(box: PixelBox, read: Reader) -> Pixels:
            position = read(chosen, box).data
            data, mask = np.zeros(box.shape, kind.dtype), np.zeros(box.shape, np.float32)
            for i, band in bands.items():
                pixels, here = read(band, box), position == i
                np.copyto(data, pixels.data, where=here, casting="unsafe")
                np.copyto(mask, pixels.mask, where=here)
            return Pixels(data, mask)

        return Band(name, kind, DEFAULT_GRID, compute, [chosen, *bands.values()])

    named_bands: dict[str, dict[int, Band]] = {}
    for i, item in enumerate(images):
        for band in item.bands:
            named_bands.setdefault(band.name, {})[i] = band
    return Image([from_best(name, bands) for name, bands in named_bands.items()])


@algorithm("ImageCollection.toBands")
def to_bands(collection: Collection) -> Image:
    return Image(
        [
            band.renamed(f"{item.properties.get('system:index')}_{band.name}")
            for item in collection
            for band in item.bands
        ]
    )
