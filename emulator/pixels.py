"""Pixels as computePixels and thumbnails send them: NPY, GeoTIFF, PNG, JPEG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from affine import Affine
from rasterio.io import MemoryFile

from emulator import raster
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.resources import AFFINE_KEYS
from emulator.server import Content

#: Bytes of an uncompressed answer; limit and text are Earth Engine's.
MAX_BYTES = 48 * 2**20

DRIVERS = {"GEO_TIFF": "GTiff", "PNG": "PNG", "JPEG": "JPEG"}
MEDIA_TYPES = {
    "NPY": "application/octet-stream",
    "GEO_TIFF": "image/tiff",
    "PNG": "image/png",
    "JPEG": "image/jpeg",
}
#: Bands of an opaque picture: grey or red, green, blue.
PICTURE_BANDS = (1, 3)


def requested_box(grid: Mapping[str, Any]) -> raster.PixelBox:
    """Return the box of a REST PixelGrid; absent numbers are 0."""
    affine = grid.get("affineTransform", {})
    a, b, c, d, e, f = (float(affine.get(key, 0)) for key in AFFINE_KEYS)
    size = grid.get("dimensions", {})
    if "crsCode" not in grid or not (size.get("width") and size.get("height")):
        raise NotImplementedByEmulator("A grid without crsCode, affineTransform and dimensions")
    return raster.PixelBox(
        raster.Grid(grid["crsCode"], (a, b, c, d, e, f)), size["width"], size["height"]
    )


def render(
    image: raster.Image, box: raster.PixelBox, band_ids: Sequence[str], file_format: str
) -> Content:
    """Return an image's pixels in a file format; masked pixels are 0."""
    if band_ids:
        image = image.with_bands([_band(image, name) for name in band_ids])
    if file_format == "AUTO_JPEG_PNG":
        file_format = "PNG"
    if file_format not in MEDIA_TYPES:
        raise NotImplementedByEmulator(f"The file format {file_format}")
    _check_size(image, box)
    pixels = raster.read(image, box)
    encode = _npy if file_format == "NPY" else _raster_file
    return Content(encode(image.names, pixels, box, file_format), MEDIA_TYPES[file_format])


def _band(image: raster.Image, name: str) -> raster.Band:
    for band in image.bands:
        if band.name == name:
            return band
    raise EarthEngineError(f"Band '{name}' not found. Available bands: {image.names}.")


def _check_size(image: raster.Image, box: raster.PixelBox) -> None:
    size = box.width * box.height * sum(band.pixel_type.dtype.itemsize for band in image.bands)
    if size > MAX_BYTES:
        raise EarthEngineError(
            f"Total request size ({size} bytes) must be less than or equal to {MAX_BYTES} bytes."
        )


def _filled(pixels: raster.Pixels) -> np.ndarray:
    return np.where(pixels.mask > 0, pixels.data, pixels.data.dtype.type(0))


def _npy(
    names: Sequence[str], pixels: Sequence[raster.Pixels], box: raster.PixelBox, _: str
) -> bytes:
    """Return a structured array with a field per band, rows from the north (REST NPY)."""
    fields = [(name, band.data.dtype) for name, band in zip(names, pixels, strict=True)]
    array = np.zeros(box.shape, fields)
    for name, band in zip(names, pixels, strict=True):
        array[name] = _filled(band)
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _raster_file(
    names: Sequence[str], pixels: Sequence[raster.Pixels], box: raster.PixelBox, file_format: str
) -> bytes:
    data = np.stack([_filled(band) for band in pixels])  # of the type that holds all bands
    if file_format != "GEO_TIFF":
        data = _picture(data, pixels, file_format)
    profile = {"driver": DRIVERS[file_format], "dtype": data.dtype.name, "count": len(data)}
    if file_format == "GEO_TIFF":
        profile |= {"crs": box.grid.crs, "transform": Affine(*box.transform)}
    with MemoryFile() as file:
        with file.open(height=box.height, width=box.width, **profile) as dataset:
            dataset.write(data)
            if file_format == "GEO_TIFF":
                dataset.descriptions = tuple(names)
        return bytes(file.read())


def _picture(data: np.ndarray, pixels: Sequence[raster.Pixels], file_format: str) -> np.ndarray:
    """Return 8-bit grey or colour bands; in a PNG, masked pixels are transparent."""
    if data.dtype != np.uint8 or len(data) not in PICTURE_BANDS:
        raise EarthEngineError(
            f"{file_format} needs 1 or 3 bands of bytes: visualize the image first."
        )
    if file_format == "JPEG":
        return data
    opacity = np.minimum.reduce([band.mask for band in pixels])
    return np.concatenate([data, np.rint(255 * opacity).astype(np.uint8)[None]])
