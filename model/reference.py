"""Reference rasters: what the pixels of an image really are."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from model.build import UnusableSamples
from model.pixels import Array, Grid
from shared.domain.classes import CLASS_NAMES, NODATA

#: Corners of two grids may differ by so much of a pixel: files round their coordinates.
PIXEL_TOLERANCE = 0.01


def references(folder: Path, image_ids: Collection[str]) -> dict[str, Path]:
    """Return the rasters of images that a folder has: <image id>.tif or <image id>_*.tif.

    A file whose name begins with several ids is of the longest. Raises UnusableSamples if an
    image has more than one.
    """
    if not folder.is_dir():
        raise UnusableSamples(f"{folder}: is no folder, expected one of reference rasters")
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.tif")):
        named = [x for x in image_ids if path.stem == x or path.stem.startswith(f"{x}_")]
        if not named:
            continue
        image_id = max(named, key=len)
        if image_id in found:
            raise UnusableSamples(
                f"{folder}: {found[image_id].name} and {path.name} are both named after "
                f"{image_id}, expected one"
            )
        found[image_id] = path
    return found


def read_reference(path: Path, grid: Grid) -> Array:
    """Return the classes (int, rows × columns) of a raster's first band; NODATA where unknown.

    Unknown are 255 and the raster's own value of no data. Raises UnusableSamples if the raster
    cannot be read, lies on another grid than the image, or has other values.
    """
    try:
        with rasterio.open(path) as raster:
            _check_grid(path, raster, grid)
            values, nodata = raster.read(1), raster.nodata
    except RasterioError as error:
        raise UnusableSamples(f"{path}: cannot be read as a raster: {error}") from error
    known = values != NODATA
    if nodata is not None:
        known &= ~np.isnan(values) if np.isnan(nodata) else values != nodata
    others = sorted(set(np.unique(values[known]).tolist()) - set(range(len(CLASS_NAMES))))
    if others:
        meanings = ", ".join(f"{i} {name}" for i, name in enumerate(CLASS_NAMES))
        raise UnusableSamples(
            f"{path}: classes are {', '.join(map(str, others[:5]))}, expected {meanings}, or "
            f"{NODATA} for no data"
        )
    return np.where(known, values, NODATA).astype(int)


def _check_grid(path: Path, raster: rasterio.DatasetReader, grid: Grid) -> None:
    if raster.shape != (grid.height, grid.width):
        raise UnusableSamples(
            f"{path}: {raster.height} rows × {raster.width} columns, expected those of the "
            f"image: {grid.height} × {grid.width}"
        )
    if raster.crs != rasterio.CRS.from_user_input(grid.crs):
        raise UnusableSamples(f"{path}: CRS is {raster.crs}, expected the image's: {grid.crs}")
    pixel = abs(grid.transform[0])
    apart = np.abs(np.subtract(tuple(raster.transform)[:6], grid.transform))
    if apart.max() > PIXEL_TOLERANCE * pixel:
        raise UnusableSamples(
            f"{path}: transform is {tuple(raster.transform)[:6]}, expected the image's: "
            f"{grid.transform}"
        )
