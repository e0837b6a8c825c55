"""Images of features: their properties reduced in every pixel, and the distance to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from rasterio.features import rasterize

from emulator.errors import NotImplementedByEmulator
from emulator.functions.geometry import equidistant, followed_boundary
from emulator.functions.reducers import Reducer
from emulator.functions.values import Collection, property_of
from emulator.raster import (
    DEFAULT_GRID,
    DOUBLE,
    Affine,
    Array,
    Band,
    Image,
    PixelBox,
    Pixels,
    Reader,
    coordinates,
)
from emulator.registry import algorithm, coerce

#: Feature-pixels that are in memory at once.
CHUNK = 2**23


@algorithm("Collection.reduceToImage")
def reduce_to_image(source: Collection, names: list[str], reducer: Reducer) -> Image:
    """Reduce in every pixel the properties of the features that touch it."""
    if reducer.objects:
        raise NotImplementedByEmulator(f"Reducing to '{reducer.outputs[0]}' in an image")
    features = [feature for feature in source if feature.footprint]
    rows = [[_number(property_of(feature, name)) for name in names] for feature in features]

    def compute(box: PixelBox, read: Reader) -> Pixels:
        shapes = [feature.footprint.projected(box.grid.crs) for feature in features]
        outline = shapely.box(*_bounds(box))
        near = [i for i, shape in enumerate(shapes) if shape.intersects(outline)]
        step = max(CHUNK // max(len(near) * box.width, 1), 1)
        strips = [
            _reduced(_strip(box, top, step), [shapes[i] for i in near], [rows[i] for i in near])
            for top in range(0, box.height, step)
        ]
        values = [np.concatenate([strip[i][0] for strip in strips]) for i in range(count)]
        valid = [np.concatenate([strip[i][1] for strip in strips]) for i in range(count)]
        return Pixels(list(zip(values, valid, strict=True)), None)

    def _reduced(box: PixelBox, shapes: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        if not shapes:
            return [(np.zeros(box.shape), np.zeros(box.shape, bool))] * count
        touched = np.stack([_touched(shape, box) for shape in shapes])
        inputs, weights = [], []
        for column in zip(*values, strict=True):
            known = np.array([value is not None for value in column])
            numbers = np.array([0.0 if value is None else value for value in column])
            inputs.append(np.broadcast_to(numbers[:, None, None], touched.shape))
            weights.append(touched * known[:, None, None].astype(np.float32))
        return reducer.compute(inputs, weights)

    count = len(reducer.outputs)
    together = Band("", DOUBLE, DEFAULT_GRID, compute)

    def output(index: int, name: str) -> Band:
        kind = reducer.types[index] or DOUBLE

        def pick(box: PixelBox, read: Reader) -> Pixels:
            values, valid = read(together, box).data[index]
            return Pixels(values.astype(kind.dtype), valid.astype(np.float32))

        return Band(name, kind, DEFAULT_GRID, pick, [together])

    return Image([output(i, name) for i, name in enumerate(reducer.outputs)])


def _number(value: Any) -> float | None:
    return None if value is None else coerce("Number", value)


def _strip(box: PixelBox, top: int, rows: int) -> PixelBox:
    return PixelBox(box.grid, box.width, min(rows, box.height - top), box.x, box.y + top)


def _bounds(box: PixelBox) -> tuple[float, float, float, float]:
    corners = [(x, y) for x in (0, box.width) for y in (0, box.height)]
    x, y = zip(*(Affine(*box.transform) @ corner for corner in corners), strict=True)
    return min(x), min(y), max(x), max(y)


def _touched(shape: Any, box: PixelBox) -> Array:
    transform = Affine(*box.transform)
    return rasterize(
        [shape], box.shape, transform=transform, all_touched=True, dtype="uint8"
    ).astype(np.float32)


@algorithm("Collection.distance")
def distance(source: Collection, radius: float, error: float) -> Image:
    """Return metres to the nearest point, line or boundary, measured on a plane at each tile."""
    boundaries = [followed_boundary(feature.footprint) for feature in source if feature.footprint]

    def compute(box: PixelBox, read: Reader) -> Pixels:
        longitude, latitude = np.broadcast_arrays(*coordinates(box, "EPSG:4326"))
        middle = box.height // 2, box.width // 2
        plane = equidistant((longitude[middle], latitude[middle]))
        x, y = np.broadcast_arrays(*coordinates(box, plane))
        near = shapely.STRtree([boundary.projected(plane) for boundary in boundaries])
        points = shapely.points(x.ravel(), y.ravel())
        (found, _), metres = near.query_nearest(
            points, max_distance=radius, return_distance=True, all_matches=False
        )
        data, mask = np.zeros(points.shape), np.zeros(points.shape, np.float32)
        data[found], mask[found] = metres, 1
        return Pixels(data.reshape(box.shape), mask.reshape(box.shape))

    return Image([Band("distance", DOUBLE, DEFAULT_GRID, compute)])
