"""An image whose every pixel is known: rough integers computed from columns and rows."""

import ee
import numpy as np

from conformance.cases import Grid

#: The pixels that are asked for; what is known reaches around them.
GRID = Grid(12, 9)
MARGIN = 8
TOP = 101  # values are below

PROJECTION = {"crs": GRID.crs, "transform": list(GRID.transform)}
#: What the values are multiples of: columns squared, rows squared and columns times rows.
ROUGHNESS = ((7, 13, 5), (3, 29, 11), (17, 2, 23))


def rough(index: int = 0) -> ee.Image:
    """Return the image: one band `v` of integers from 0 to 100 on the grid's pixels."""
    a, b, c = ROUGHNESS[index]
    position = ee.Image.pixelCoordinates(ee.Projection(**PROJECTION)).floor().add(MARGIN * 2)
    x, y = position.select("x"), position.select("y")
    value = x.pow(2).multiply(a).add(y.pow(2).multiply(b)).add(x.multiply(y).multiply(c))
    return value.mod(TOP).toInt16().rename("v")


def known(index: int = 0, margin: int = MARGIN, grid: Grid = GRID) -> np.ndarray:
    """Return the values of the same pixels, with some more on every side."""
    a, b, c = ROUGHNESS[index]
    x = np.arange(-margin, grid.width + margin)[None, :] + MARGIN * 2
    y = np.arange(-margin, grid.height + margin)[:, None] + MARGIN * 2
    return (x**2 * a + y**2 * b + x * y * c) % TOP


def inner(values: np.ndarray, margin: int = MARGIN) -> np.ndarray:
    """Return the pixels that are asked for out of what is known."""
    return values[margin:-margin, margin:-margin]
