"""Bands at rest: read from files at the fitting pyramid level, and written as GeoTIFFs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from emulator.assets.buckets import check_generation
from emulator.graph import on_deep_stack
from emulator.grids import Grid, PixelBox, pixel_positions, pyramid_factor, within
from emulator.raster import (
    TILE,
    Array,
    Band,
    Image,
    Pixels,
    PixelType,
    Reader,
    is_valid_everywhere,
    ones,
    read_tiles,
    require_scalars,
)
from emulator.stored import StoredBand

STRIP = 2**22  # pixels of a file that are aggregated at once into a coarser level
OPAQUE = 255  # a mask of 1 in a file
OVERVIEWS = {"MEAN": "AVERAGE", "MODE": "MODE", "SAMPLE": "NEAREST"}  # GDAL's names


def stored_band(stored: StoredBand) -> Band:
    """Return the band of a file, read at the nearest pixel of the fitting pyramid level."""
    grid, file_grid = (Grid(stored.crs, t) for t in (stored.own_transform, stored.transform))
    pixel_type = PixelType.of(stored.dtype)

    def compute(box: PixelBox, read: Reader) -> Pixels:
        factor = _stored_factor(box.grid, grid, stored)
        columns, rows = pixel_positions(box, file_grid)
        valid = within(columns, stored.width) & within(rows, stored.height)
        if stored.path is None or not valid.any():
            valid = valid & (stored.nodata != 0)
            zeros = np.broadcast_to(pixel_type.dtype.type(0), box.shape)
            return Pixels(zeros, np.broadcast_to(valid, box.shape).astype(np.float32))
        if stored.uri:
            check_generation(stored.uri, stored.path)
        if stored.make and not stored.path.exists():
            stored.make()
        columns = np.clip(columns, 0, stored.width - 1).astype(np.int64) // factor
        rows = np.clip(rows, 0, stored.height - 1).astype(np.int64) // factor
        left, top = int(columns.min()), int(rows.min())
        window = Window(left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1)
        level = _read_level(read, stored, factor, window)
        pixels = _take(level, rows - top, columns - left)
        if valid.all():
            return pixels
        return Pixels(pixels.data, pixels.mask * valid.astype(np.float32))

    return Band(stored.name, pixel_type, grid, compute, (), PixelBox(grid, *stored.own_size))


def _take(pixels: Pixels, rows: Array, columns: Array) -> Pixels:
    """Return pixels at rows and columns, without copying when they are all in order."""
    if rows.shape[1] == 1 and columns.shape[0] == 1:
        shape = rows.shape[0], columns.shape[1]
        if shape == pixels.data.shape and _consecutive(rows) and _consecutive(columns):
            return pixels
        data = _crossed(pixels.data, rows, columns)
        if is_valid_everywhere(pixels.mask):
            return Pixels(data, ones(shape))
        return Pixels(data, _crossed(pixels.mask, rows, columns))
    return Pixels(pixels.data[rows, columns], pixels.mask[rows, columns])


def _crossed(values: Array, rows: Array, columns: Array) -> Array:
    """Return values where rows and columns cross, in a tenth of the time of indexing by both."""
    return values.take(columns.ravel(), axis=1).take(rows.ravel(), axis=0)


def _consecutive(indices: Array) -> bool:
    return bool(np.all(np.diff(indices.ravel()) == 1))


def _stored_factor(wanted: Grid, grid: Grid, stored: StoredBand) -> int:
    """Return the side, in the file's pixels, of a pixel of the level to read."""
    if wanted.scale * (1 + 1e-9) < grid.scale:
        return 1
    coarsest = int(2 ** math.floor(math.log2(min(stored.own_size))))
    return stored.oversampled * min(pyramid_factor(wanted, grid), coarsest)


def _read_level(read: Reader, stored: StoredBand, factor: int, window: Window) -> Pixels:
    """Return a window of the level whose pixels are `factor` of the file's on a side."""
    if factor == 1:
        return _read_window(read, stored, window)
    shape = window.height, window.width
    data, mask = np.zeros(shape, stored.dtype), np.zeros(shape, np.float32)
    left = window.col_off * factor
    columns = min(left + window.width * factor, stored.width) - left
    step = max(1, STRIP // (columns * factor))
    for first in range(0, window.height, step):
        count = min(step, window.height - first)
        start = (window.row_off + first) * factor
        rows = min(count * factor, stored.height - start)
        strip = _read_window(read, stored, Window(left, start, columns, rows))
        part = slice(first, first + count)
        data[part], mask[part] = _aggregate(strip, factor, (count, window.width), stored.pyramiding)
    return Pixels(data, mask)


def _read_window(read: Reader, stored: StoredBand, window: Window) -> Pixels:
    dataset = read.dataset(stored.path)
    data = dataset.read(stored.index, window=window)
    mask = _read_mask(read, stored, window, data)
    if stored.shift:
        data = np.maximum(data, stored.shift) - data.dtype.type(stored.shift)
    return Pixels(data, mask)


def _read_mask(read: Reader, stored: StoredBand, window: Window, data: Array) -> Array:
    dataset, index = read.dataset(stored.path), stored.index
    flags = dataset.mask_flag_enums[index - 1]
    nodata = stored.nodata
    if nodata is None and flags == [MaskFlags.nodata] and data.dtype.kind in "iu":
        nodata = dataset.nodatavals[index - 1]
    if stored.fractional:
        mask = read.dataset(mask_path(stored.path)).read(1, window=window)
    elif nodata is not None:
        valid = data != nodata
        return ones(data.shape) if valid.all() else valid.astype(np.float32)
    elif MaskFlags.all_valid in flags:
        return ones(data.shape)
    else:
        mask = dataset.read_masks(index, window=window)
    return ones(data.shape) if mask.min() == OPAQUE else mask / np.float32(OPAQUE)


def _aggregate(
    strip: Pixels, factor: int, shape: tuple[int, int], policy: str
) -> tuple[Array, Array]:
    """Return values and masks of a level's rows, from the strip of pixels they cover."""
    if policy == "SAMPLE":
        return strip.data[::factor, ::factor], strip.mask[::factor, ::factor]
    valid = is_valid_everywhere(strip.mask)
    weighted = strip.data if valid else strip.data * strip.mask
    total = _block_sums(strip.mask, factor, shape)
    share = (total / factor**2).astype(np.float32)
    if policy == "MODE":
        blocks = (_blocks(values, factor, shape) for values in strip)
        return _mode(*blocks), share
    mean = _block_sums(weighted, factor, shape) / np.where(total > 0, total, 1)
    return (np.rint(mean) if strip.data.dtype.kind in "iu" else mean), share


def _block_sums(pixels: Array, factor: int, shape: tuple[int, int]) -> Array:
    """Return the sums of (rows, columns) blocks, whose places are added one after the other."""
    pixels = _padded(pixels, factor, shape)
    rows = sum(pixels[i::factor].astype(np.float64) for i in range(factor))
    return sum(rows[:, j::factor] for j in range(factor))


def _blocks(pixels: Array, factor: int, shape: tuple[int, int]) -> Array:
    """Return (rows, columns, factor²) blocks."""
    pixels = _padded(pixels, factor, shape)
    height, width = shape
    return pixels.reshape(height, factor, width, factor).swapaxes(1, 2).reshape(*shape, -1)


def _padded(pixels: Array, factor: int, shape: tuple[int, int]) -> Array:
    """Return pixels with zeros where blocks reach over the edge."""
    missing = shape[0] * factor - pixels.shape[0], shape[1] * factor - pixels.shape[1]
    return np.pad(pixels, [(0, n) for n in missing]) if any(missing) else pixels


def _mode(values: Array, weights: Array) -> Array:
    """Return the heaviest value of each block, of equals the smallest."""
    kinds = np.unique(values[weights > 0])
    mode = np.zeros(values.shape[:2], values.dtype)
    heaviest = np.zeros(values.shape[:2])
    for kind in kinds:
        weight = ((values == kind) * weights).sum(axis=-1)
        mode = np.where(weight > heaviest, kind, mode)
        heaviest = np.maximum(weight, heaviest)
    return mode


@on_deep_stack
def write_bands(
    image: Image, box: PixelBox, folder: Path, pyramiding: Mapping[str, str]
) -> list[StoredBand]:
    """Write every band of a box as a cloud-optimised GeoTIFF with an internal mask.

    Internal masks have one bit: where a mask is fractional, it is a file of its own beside
    the band's, in 255 steps. `pyramiding` maps band names, and `.default`, to policies. Files
    are complete or absent: they get their names when they are written.
    """
    require_scalars(image.bands)
    default = pyramiding.get(".default", "MEAN")
    stored = [
        StoredBand(
            name=band.name,
            dtype=band.pixel_type.dtype.name,
            crs=box.grid.crs,
            transform=box.transform,
            width=box.width,
            height=box.height,
            path=folder / f"{_safe(band.name)}.tif",
            pyramiding=pyramiding.get(band.name, default),
        )
        for band in image.bands
    ]
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        return _write_tiles(image.bands, box, stored)


def mask_path(path: Path) -> Path:
    """Return the file of a band's fractional mask."""
    return path.with_suffix(".mask.tif")


class _Writer:
    """Writes a band's tiles, and its mask to a second file from the first fraction on."""

    def __init__(self, band: StoredBand) -> None:
        self._band = band
        self._mask_band = replace(band, path=mask_path(band.path), dtype="uint8")
        self._values = _create(band)
        self._shares: rasterio.io.DatasetWriter | None = None
        self._written: list[Window] = []

    def write(self, pixels: Pixels, window: Window) -> None:
        """Write the pixels of a tile."""
        valid = pixels.mask > 0
        self._values.write(pixels.data, 1, window=window)
        self._values.write_mask(valid, window=window)
        if self._shares is None and (valid & (pixels.mask < 1)).any():
            self._shares = _create(self._mask_band)
            for earlier in self._written:
                self._shares.write(self._values.read_masks(1, window=earlier), 1, window=earlier)
        self._written.append(window)
        if self._shares is not None:
            shares = np.rint(pixels.mask * OPAQUE)
            self._shares.write(np.where(valid, np.maximum(shares, 1), 0), 1, window=window)

    def close(self) -> None:
        """Close the files."""
        self._values.close()
        if self._shares is not None:
            self._shares.close()

    def finished(self) -> StoredBand:
        """Make the files cloud-optimised, and return the band they hold."""
        _cloud_optimise(self._band)
        if self._shares is not None:
            _cloud_optimise(self._mask_band)
        return replace(self._band, fractional=self._shares is not None)


def _write_tiles(
    bands: Sequence[Band], box: PixelBox, stored: Sequence[StoredBand]
) -> list[StoredBand]:
    writers = [_Writer(band) for band in stored]
    try:
        for tile, tile_pixels in read_tiles(bands, box):
            window = Window(tile.x - box.x, tile.y - box.y, tile.width, tile.height)
            for writer, pixels in zip(writers, tile_pixels, strict=True):
                writer.write(pixels, window)
    finally:
        for writer in writers:
            writer.close()
    return [writer.finished() for writer in writers]


def _draft(band: StoredBand) -> Path:
    return band.path.with_suffix(".draft.tif")


def _create(band: StoredBand) -> rasterio.io.DatasetWriter:
    return rasterio.open(
        _draft(band),
        "w+",
        driver="GTiff",
        dtype=band.dtype,
        count=1,
        width=band.width,
        height=band.height,
        crs=band.crs,
        transform=Affine(*band.transform),
        tiled=True,
        blockxsize=TILE,
        blockysize=TILE,
        compress="DEFLATE",
        BIGTIFF="IF_SAFER",
    )


def _cloud_optimise(band: StoredBand) -> None:
    finished = band.path.with_suffix(".cog.tif")
    rasterio.shutil.copy(
        _draft(band),
        finished,
        driver="COG",
        compress="DEFLATE",
        overview_resampling=OVERVIEWS[band.pyramiding],
        BIGTIFF="IF_SAFER",
    )
    finished.replace(band.path)
    _draft(band).unlink()


def _safe(name: str) -> str:
    """Return a file name for a band name; names that differ stay different."""
    return quote(name, safe="").replace(".", "%2E")
