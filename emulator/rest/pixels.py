"""Pixels as computePixels, thumbnails and tiles send them: NPY, GeoTIFF, PNG, JPEG, zip."""

import io
import zipfile
from collections.abc import Sequence

import numpy as np
import PIL.Image
from affine import Affine
from rasterio.io import MemoryFile

from emulator import fields, grids, raster
from emulator.errors import EarthEngineError
from emulator.fields import Json
from emulator.functions.geometry import Geometry
from emulator.functions.visualisation import visualize
from emulator.rest.server import Content

#: Bytes of an uncompressed answer; limit and text are Earth Engine's.
MAX_BYTES = 48 * 2**20
#: Pixels on a side and bands (reference/rest/v1/projects.image/computePixels).
MAX_SIDE = 32_768
MAX_BANDS = 1024

MEDIA_TYPES = {
    "NPY": "application/octet-stream",
    "GEO_TIFF": "image/tiff",
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "ZIPPED_GEO_TIFF": "application/zip",
    "ZIPPED_GEO_TIFF_PER_BAND": "application/zip",
}
AUTOMATIC = "AUTO_JPEG_PNG"
UNSPECIFIED = "IMAGE_FILE_FORMAT_UNSPECIFIED"
EXPORT_ONLY = "TF_RECORD_IMAGE"
#: Formats of thumbnails only.
ZIPPED = ("ZIPPED_GEO_TIFF", "ZIPPED_GEO_TIFF_PER_BAND")
#: Bands of an opaque picture: grey or red, green, blue.
PICTURE_BANDS = (1, 3)
#: What files are called that have no name of their own.
DOWNLOAD = "download"


def file_format(request: Json, zipped: bool = False) -> str:
    """Return a request's ImageFileFormat; only thumbnails may be `zipped`."""
    known = [*MEDIA_TYPES, AUTOMATIC, UNSPECIFIED, EXPORT_ONLY]
    chosen = fields.choice(request, "fileFormat", known, AUTOMATIC)
    if chosen == EXPORT_ONLY or (chosen in ZIPPED and not zipped):
        raise EarthEngineError(f"The file format {chosen} is not supported here.")
    return AUTOMATIC if chosen == UNSPECIFIED else chosen


def prepared(image: raster.Image, request: Json) -> raster.Image:
    """Return an image with the bands and the visualization that a request asks for."""
    chosen = fields.texts(request, "bandIds")
    if chosen:
        image = image.with_bands([_band(image, name) for name in chosen])
    options = fields.mapping(request, "visualizationOptions")
    return _visualized(image, options) if options else image


def requested_box(
    image: raster.Image, grid: Json, region: Geometry | None = None
) -> grids.PixelBox:
    """Return the pixels of a REST PixelGrid; what it leaves out is the image's own.

    With a region it is the pixels that the region's bounds touch; these, or the image's, are
    rescaled where only their number is given.
    """
    transform = fields.transform(grid, "affineTransform")
    wanted = _projection(image, grid, transform)
    size = fields.mapping(grid, "dimensions")
    width, height = fields.whole(size, "width"), fields.whole(size, "height")
    _check_sides(*((width, height) if size else (1, 1)))
    if size and transform and region is None:
        return grids.PixelBox(wanted, width, height)
    box = _touched(image, wanted, region)
    if size:
        stretched = box.grid.affine @ Affine.translation(box.x, box.y)
        stretched = stretched @ Affine.scale(box.width / width, box.height / height)
        box = grids.PixelBox(grids.Grid(wanted.crs, tuple(stretched)[:6]), width, height)
    return box


def _projection(image: raster.Image, grid: Json, transform: tuple[float, ...] | None) -> grids.Grid:
    if not image.bands:
        raise EarthEngineError("Image has no bands.")
    own = image.bands[0].grid
    crs = fields.text(grid, "crsCode") or fields.text(grid, "crsWkt") or own.crs
    grids.spatial_reference(crs)
    if transform is None:
        return own if crs == own.crs else grids.Grid(crs).at_scale(own.scale)
    affine = Affine(*transform)
    if affine.determinant == 0 or not np.isfinite(~affine).all():
        raise EarthEngineError("The affine transform of the pixel grid cannot be inverted.")
    return grids.Grid(crs, transform)


def _touched(image: raster.Image, grid: grids.Grid, region: Geometry | None) -> grids.PixelBox:
    try:
        if region is not None:
            return grids.PixelBox.around(grid, region.projected(grid.crs).bounds)
        extent = raster.export_grid(image)
        if grid == extent.grid:
            return extent
        return raster.export_grid(image.with_bands([image.bands[0].on_grid(grid)]))
    except (OverflowError, ValueError):  # bounds that are infinite or not a number
        raise EarthEngineError("The pixel grid does not cover the image or region.") from None


def render(
    image: raster.Image, box: grids.PixelBox, file_format: str, name: str = DOWNLOAD
) -> Content:
    """Return an image's pixels in a file format; masked pixels are 0."""
    _check_size(image, box)
    if file_format == "ZIPPED_GEO_TIFF_PER_BAND":
        singles = {band.name: image.with_bands([band]) for band in image.bands}
        files = {f"{name}.{band}.tif": _own_geotiff(single) for band, single in singles.items()}
        return Content(_zip(files), MEDIA_TYPES[file_format])
    pixels = raster.read(image, box)
    if file_format == AUTOMATIC:
        opaque = all(bool((band.mask == 1).all()) for band in pixels)
        file_format = "JPEG" if opaque else "PNG"
    if file_format == "ZIPPED_GEO_TIFF":
        content = _zip({f"{name}.tif": _geotiff(image.names, pixels, box)})
    elif file_format == "GEO_TIFF":
        content = _geotiff(image.names, pixels, box)
    elif file_format == "NPY":
        content = _npy(image.names, pixels, box)
    else:
        content = _picture(pixels, file_format)
    return Content(content, MEDIA_TYPES[file_format])


def _own_geotiff(image: raster.Image) -> bytes:
    box = raster.export_grid(image)
    _check_size(image, box)
    return _geotiff(image.names, raster.read(image, box), box)


def _zip(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return archive.getvalue()


def _band(image: raster.Image, name: str) -> raster.Band:
    for band in image.bands:
        if band.name == name:
            return band
    raise EarthEngineError(f"Band '{name}' not found. Available bands: {image.names}.")


def _visualized(image: raster.Image, options: Json) -> raster.Image:
    """Apply REST VisualizationOptions."""
    ranges = fields.messages(options, "ranges")
    low = [fields.number(each, "min") for each in ranges] or None
    high = [fields.number(each, "max") for each in ranges] or None
    palette = fields.texts(options, "paletteColors") or None
    gamma = fields.number(options, "gamma", 1)
    opacity = fields.number(options, "opacity", 1)
    return visualize(image, None, None, None, low, high, gamma, opacity, palette, False)


def _check_sides(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise EarthEngineError(f"Pixel grid dimensions ({width}x{height}) must be positive.")
    if max(width, height) > MAX_SIDE:
        raise EarthEngineError(
            f"Pixel grid dimensions ({width}x{height}) must be less than or equal to {MAX_SIDE}."
        )


def _check_size(image: raster.Image, box: grids.PixelBox) -> None:
    _check_sides(box.width, box.height)
    if len(image.bands) > MAX_BANDS:
        raise EarthEngineError(f"The image has more than {MAX_BANDS} bands.")
    for band in image.bands:
        if band.pixel_type.dimensions:
            raise EarthEngineError(f"Band '{band.name}' has arrays, which no file format holds.")
    size = box.width * box.height * sum(band.pixel_type.dtype.itemsize for band in image.bands)
    if size > MAX_BYTES:
        raise EarthEngineError(
            f"Total request size ({size} bytes) must be less than or equal to {MAX_BYTES} bytes."
        )


def _filled(pixels: raster.Pixels) -> np.ndarray:
    return np.where(pixels.mask > 0, pixels.data, pixels.data.dtype.type(0))


def _npy(names: Sequence[str], pixels: Sequence[raster.Pixels], box: grids.PixelBox) -> bytes:
    """Return a structured array with a field per band, rows from the north (REST NPY)."""
    kinds = [(name, band.data.dtype) for name, band in zip(names, pixels, strict=True)]
    array = np.zeros(box.shape, kinds)
    for name, band in zip(names, pixels, strict=True):
        array[name] = _filled(band)
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _geotiff(names: Sequence[str], pixels: Sequence[raster.Pixels], box: grids.PixelBox) -> bytes:
    data = np.stack([_filled(band) for band in pixels])  # of the type that holds all bands
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            dtype=data.dtype,
            count=len(data),
            height=box.height,
            width=box.width,
            crs=box.grid.crs,
            transform=box.affine,
        ) as dataset:
            dataset.write(data)
            dataset.descriptions = tuple(names)
        return bytes(file.read())


def _picture(pixels: Sequence[raster.Pixels], kind: str) -> bytes:
    """Return 8-bit grey or colours, clipped; in a PNG, masked pixels are transparent."""
    if len(pixels) not in PICTURE_BANDS:
        raise EarthEngineError(
            f"{kind} needs one band or three, not {len(pixels)}: visualize the image first."
        )
    data = np.nan_to_num(np.stack([_filled(band) for band in pixels], axis=-1))
    shown = np.rint(np.clip(data, 0, 255)).astype(np.uint8)
    if kind == "PNG":
        opacity = np.minimum.reduce([band.mask for band in pixels])
        alpha = np.rint(255 * opacity).astype(np.uint8)
        shown = np.concatenate([shown, alpha[..., None]], axis=-1)
    file = io.BytesIO()
    PIL.Image.fromarray(shown.squeeze(axis=-1) if shown.shape[-1] == 1 else shown).save(file, kind)
    return file.getvalue()
