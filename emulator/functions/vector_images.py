"""Images of features: their properties reduced in every pixel, and the distance to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from emulator.functions.geometry import burnt, equidistant, followed_boundary
from emulator.functions.reducers import Reducer
from emulator.functions.values import Collection, property_of
from emulator.grids import DEFAULT_GRID, PixelBox, coordinates
from emulator.raster import DOUBLE, UNBOUNDED, Band, Image, Pixels, Reader, joined_strips, together
from emulator.registry import algorithm, coerce

#: Feature-pixels that are in memory at once.
CHUNK = 2**23


@algorithm("Collection.reduceToImage")
def reduce_to_image(source: Collection, names: list[str], reducer: Reducer) -> Image:
    """Reduce in every pixel the properties of the features that touch it."""
    features = [feature for feature in source if feature.footprint]
    rows = [[_number(property_of(feature, name)) for name in names] for feature in features]

    def compute(box: PixelBox, read: Reader) -> list[Pixels]:
        shapes = [feature.footprint.projected(box.grid.crs) for feature in features]
        outline = shapely.box(*box.bounds(box.grid.crs))
        near = [i for i, shape in enumerate(shapes) if shape.intersects(outline)]
        if not near:
            return [Pixels(np.zeros(box.shape), np.zeros(box.shape, np.float32))] * len(kinds)
        there, numbers = [shapes[i] for i in near], [rows[i] for i in near]
        strips = box.strips(max(CHUNK // (len(near) * box.width), 1))
        return joined_strips(_reduced(reducer, strip, there, numbers) for strip in strips)

    kinds = reducer.kinds(DOUBLE)
    outputs = together(UNBOUNDED, [], compute, kinds)
    return Image([o.renamed(name) for o, name in zip(outputs, reducer.outputs, strict=True)])


def _reduced(
    reducer: Reducer,
    box: PixelBox,
    shapes: Sequence[shapely.Geometry],
    rows: Sequence[Sequence[float | None]],
) -> list[Pixels]:
    """Reduce the features' numbers in the pixels that their shapes touch."""
    touched = np.stack([burnt(shape, box, all_touched=True) for shape in shapes])
    touched = touched.astype(np.float32)
    inputs, weights = [], []
    for column in zip(*rows, strict=True):
        known = np.array([value is not None for value in column])
        numbers = np.array([0.0 if value is None else value for value in column])
        inputs.append(np.broadcast_to(numbers[:, None, None], touched.shape))
        weights.append(touched * known[:, None, None])
    return reducer.pixels(inputs, weights)


def _number(value: Any) -> float | None:
    return None if value is None else coerce("Number", value)


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
