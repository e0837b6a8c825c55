"""Pixels of Earth Engine images, read in blocks onto the grid of a file."""

from dataclasses import dataclass
from typing import Any

import ee
import numpy as np

Array = np.ndarray[Any, Any]

#: Bytes of one answer, with a margin to Earth Engine's limit of 48 MB (computePixels).
ANSWER_BYTES = 32_000_000

#: Rows and columns of a block at most: what lies around it is computed again for each block.
LARGEST_BLOCK = 1024


@dataclass(frozen=True)
class Grid:
    """Where pixels are: affine transform as rasterio has it (a, b, c, d, e, f)."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int

    def request(self, column: int, row: int, side: int) -> dict[str, Any]:
        """Return a block of the grid as computePixels wants it."""
        a, b, c, d, e, f = self.transform
        x, y = c + a * column + b * row, f + d * column + e * row
        keys = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
        size = {"width": min(side, self.width - column), "height": min(side, self.height - row)}
        affine = dict(zip(keys, (a, b, x, d, e, y), strict=True))
        return {"dimensions": size, "affineTransform": affine, "crsCode": self.crs}


def read(image: ee.Image, grid: Grid, bytes_each: int) -> dict[str, Array]:
    """Return bands by name, on a grid; `bytes_each` is the size of all bands of a pixel."""
    side = min(LARGEST_BLOCK, int((ANSWER_BYTES / bytes_each) ** 0.5))
    found: dict[str, Array] = {}
    for row in range(0, grid.height, side):
        for column in range(0, grid.width, side):
            request = {
                "expression": image,
                "fileFormat": "NUMPY_NDARRAY",
                "grid": grid.request(column, row, side),
            }
            block = ee.data.computePixels(request)
            for name in block.dtype.names:
                whole = found.setdefault(
                    name, np.zeros((grid.height, grid.width), block.dtype[name])
                )
                height, width = block.shape
                whole[row : row + height, column : column + width] = block[name]
    return found
