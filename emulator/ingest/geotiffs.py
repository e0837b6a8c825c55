"""GeoTIFFs as a manifest puts them together: mosaics of files, stacked as bands.

https://developers.google.com/earth-engine/guides/image_manifest
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from emulator import grids
from emulator.assets.buckets import Buckets, generation
from emulator.errors import EarthEngineError
from emulator.grids import Grid, PixelBox
from emulator.ingest.manifests import BandSource, ImageManifest, Source, Tileset
from emulator.raster import Array, Band, Image, Pixels, PixelType, Reader
from emulator.stored import StoredBand

DRIVER = "GTiff"
#: Sides of the tiles of a file that stays in Cloud Storage
#: (https://developers.google.com/earth-engine/Earth_Engine_asset_from_cloud_geotiff).
TILE_SIDES = (256, 512, 1024, 2048)
#: Pixels by which the grids of two files may differ.
TOLERANCE = 1e-3
#: What can be ingested, by numpy's name.
DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


@dataclass(frozen=True)
class File:
    """A file and the pixels of its tileset's grid that it covers."""

    path: Path
    uri: str
    box: PixelBox


@dataclass(frozen=True)
class Layers:
    """A tileset's files, and the types and names of their bands."""

    files: Sequence[File]
    dtypes: Sequence[str]
    names: Sequence[str]

    @property
    def box(self) -> PixelBox:
        """The rectangle around all files, on a grid that begins there."""
        boxes = [file.box for file in self.files]
        left, top = min(box.x for box in boxes), min(box.y for box in boxes)
        right = max(box.x + box.width for box in boxes)
        bottom = max(box.y + box.height for box in boxes)
        return PixelBox(boxes[0].grid, right - left, bottom - top, left, top)


class GeoTiffs:
    """The files of a manifest, found and compared; pixels are read when they are asked for.

    `bands` are those of the manifest, or of the files where it names none, each with its index.
    """

    def __init__(self, manifest: ImageManifest, buckets: Buckets, external: bool = False) -> None:
        self._manifest = manifest
        self._layers = {
            tileset.id: _layers(tileset, buckets, external)
            for tileset in manifest.tilesets.values()
        }
        self.bands = self._indexed() if manifest.bands else self._all(external)
        self._check()

    def box(self, band_id: str) -> PixelBox:
        """Return the pixels of a band."""
        return self._layers[self._band(band_id).tileset].box

    def images(self) -> Iterator[tuple[Image, PixelBox]]:
        """Yield an image for the bands of each tileset, and its pixels."""
        for tileset in dict.fromkeys(band.tileset for band in self.bands):
            bands = [self._pixels(band) for band in self.bands if band.tileset == tileset]
            yield Image(bands), self._layers[tileset].box

    def external_bands(self) -> Iterator[StoredBand]:
        """Yield bands that are read from the files themselves."""
        for band in self.bands:
            layers = self._layers[band.tileset]
            [file] = layers.files
            yield StoredBand(
                band.id,
                layers.dtypes[_index(band)],
                file.box.grid.crs,
                file.box.transform,
                file.box.width,
                file.box.height,
                file.path,
                _index(band) + 1,
                band.pyramiding,
                uri=file.uri,
            )

    def _all(self, external: bool) -> list[BandSource]:
        """Return every band of every tileset but the one that is a mask."""
        sources = [
            (tileset, index, name)
            for tileset, layers in self._layers.items()
            for index, name in enumerate(layers.names)
            if not self._is_mask(tileset, index)
        ]
        default = self._manifest.missing, self._manifest.pyramiding
        return [
            BandSource((external and name) or f"b{number}", tileset, index, *default)
            for number, (tileset, index, name) in enumerate(sources, 1)
        ]

    def _indexed(self) -> list[BandSource]:
        """Give an index to bands without one: in a tileset where none has, they are in order."""
        given = {band.tileset for band in self._manifest.bands if band.index is not None}
        count = dict.fromkeys(self._layers, 0)
        bands = []
        for band in self._manifest.bands:
            if band.index is None:
                index = 0 if band.tileset in given else count[band.tileset]
                band = replace(band, index=index)
            count[band.tileset] += 1
            bands.append(band)
        return bands

    def _is_mask(self, tileset: str, index: int) -> bool:
        mask = self._manifest.mask
        return (
            mask is not None
            and mask.tileset == tileset
            and index == len(self._layers[tileset].dtypes) - 1
        )

    def _check(self) -> None:
        if not self.bands:
            raise EarthEngineError("The image has no bands.")
        if len({band.id for band in self.bands}) < len(self.bands):
            raise EarthEngineError("The bands of an image must have different IDs.")
        for band in self.bands:
            count = len(self._layers[band.tileset].dtypes)
            if _index(band) >= count:
                raise EarthEngineError(
                    f"Band '{band.id}' has tilesetBandIndex {band.index}, but the tileset "
                    f"'{band.tileset}' has {count} bands."
                )
        footprint, mask = self._manifest.footprint, self._manifest.mask
        for band_id in [footprint.band if footprint else None, *(mask.bands if mask else ())]:
            if band_id:
                self._band(band_id)
        if mask:
            for band in self.bands:
                same = self._layers[band.tileset].box == self._layers[mask.tileset].box
                if self._masks(band) and not same:
                    raise EarthEngineError(
                        f"The mask of band '{band.id}' must have the same pixel grid as the band."
                    )

    def _band(self, band_id: str) -> BandSource:
        for band in self.bands:
            if band.id == band_id:
                return band
        raise EarthEngineError(f"There is no band with ID '{band_id}'.")

    def _masks(self, band: BandSource) -> bool:
        mask = self._manifest.mask
        return mask is not None and (not mask.bands or band.id in mask.bands)

    def _pixels(self, band: BandSource) -> Band:
        layers = self._layers[band.tileset]
        masked = self._masks(band)
        data = _mosaic(layers, band, _validity(band.missing, masked))
        if not masked or self._manifest.mask is None:
            return data
        layers = self._layers[self._manifest.mask.tileset]
        last = BandSource("mask", "", len(layers.dtypes) - 1, [], "SAMPLE")
        return _masked(data, _mosaic(layers, last, _everywhere))


Validity = Callable[[rasterio.DatasetReader, int, Window, Array], Array]


def _mosaic(layers: Layers, band: BandSource, valid: Validity) -> Band:
    """Return a band of all files; where they overlap, the later file is on top."""
    index = _index(band) + 1
    pixel_type = PixelType.of(layers.dtypes[index - 1])

    def compute(box: PixelBox, read: Reader) -> Pixels:
        data = np.zeros(box.shape, pixel_type.dtype)
        mask = np.zeros(box.shape, np.float32)
        for file in layers.files:
            part = box.intersection(file.box)
            if part.width and part.height:
                window = Window(part.x - file.box.x, part.y - file.box.y, part.width, part.height)
                dataset = read.dataset(file.path)
                values = dataset.read(index, window=window)
                good = valid(dataset, index, window, values)
                where = part.slices_in(box)
                data[where] = np.where(good, values, data[where])
                mask[where] = np.where(good, np.float32(1), mask[where])
        return Pixels(data, mask)

    return Band(band.id, pixel_type, layers.box.grid, compute, (), layers.box)


def _masked(band: Band, mask: Band) -> Band:
    """Return a band that is valid where another one is not 0."""

    def compute(box: PixelBox, read: Reader) -> Pixels:
        pixels, shown = read(band, box), read(mask, box)
        return Pixels(pixels.data, pixels.mask * (shown.data != 0).astype(np.float32))

    return band.derived(compute, [band, mask])


def _validity(missing: Sequence[float] | None, masked: bool) -> Validity:
    """Return what tells the valid pixels of a window.

    Values that the manifest calls missing replace the files' nodata value, and a mask band
    replaces their own masks.
    """

    def valid(dataset: rasterio.DatasetReader, index: int, window: Window, values: Array) -> Array:
        good = _everywhere(dataset, index, window, values)
        flags = dataset.mask_flag_enums[index - 1]
        nodata = MaskFlags.nodata in flags
        if not (MaskFlags.all_valid in flags or (missing is not None and nodata) or masked):
            good = dataset.read_masks(index, window=window) > 0
        return good if not missing else good & ~np.isin(values, missing)

    return valid


def _everywhere(
    dataset: rasterio.DatasetReader, index: int, window: Window, values: Array
) -> Array:
    return np.ones(values.shape, bool)


def _index(band: BandSource) -> int:
    return band.index or 0


def _layers(tileset: Tileset, buckets: Buckets, external: bool) -> Layers:
    if external and len(tileset.sources) > 1:
        raise EarthEngineError("At most one source is supported per tileset of an external image.")
    first: Layers | None = None
    files: list[File] = []
    for source in tileset.sources:
        layers = _file(tileset, source, buckets, external, files[0].box.grid if files else None)
        if first and layers.dtypes != first.dtypes:
            raise EarthEngineError(
                f"All sources of a tileset must have the same bands: '{source.uri}' differs."
            )
        first = first or layers
        files += layers.files
    if first is None:
        raise EarthEngineError("Every tileset needs a source.")
    return replace(first, files=files)


def _file(
    tileset: Tileset, source: Source, buckets: Buckets, external: bool, grid: Grid | None
) -> Layers:
    """Return the layers of one file, on the grid of the first one."""
    uri, _, wanted = source.uri.partition("#") if external else (source.uri, "", "")
    path = buckets.existing(uri)
    now = str(generation(path))
    if external and wanted not in ("", now):
        raise EarthEngineError(f"Failed to load the GeoTIFF at `{source.uri}`")
    try:
        with rasterio.open(path, driver=DRIVER) as dataset:
            if external:
                _check_cloud_optimised(dataset, uri)
            box = _box(dataset, tileset, source, grid)
            dtypes = [_dtype(name, tileset.dtype, uri) for name in dataset.dtypes]
            names = [description or "" for description in dataset.descriptions]
    except rasterio.errors.RasterioError:
        raise EarthEngineError(f"Failed to load the GeoTIFF at `{uri}#{now}`") from None
    return Layers([File(path, f"{uri}#{now}", box)], dtypes, names)


def _box(dataset: Any, tileset: Tileset, source: Source, grid: Grid | None) -> PixelBox:
    crs = tileset.crs or (dataset.crs and dataset.crs.to_string())
    if not crs:
        raise EarthEngineError(f"'{source.uri}' has no CRS, and its tileset names none.")
    grids.spatial_reference(crs)
    own = Grid(crs, source.transform or tuple(dataset.transform)[:6])
    if own.affine.determinant == 0:
        raise EarthEngineError(f"The affine transform of '{source.uri}' cannot be inverted.")
    if grid is None:
        return PixelBox(own, dataset.width, dataset.height)
    relative = ~grid.affine @ own.affine
    offset = round(relative.c), round(relative.f)
    expected = Affine.translation(*offset)
    far = max(abs(a - b) for a, b in zip(relative[:6], expected[:6], strict=True))
    if crs != grid.crs or far > TOLERANCE:
        raise EarthEngineError(
            "All sources of a tileset must have the same projection and pixel grid: "
            f"'{source.uri}' differs."
        )
    return PixelBox(grid, dataset.width, dataset.height, *offset)


def _dtype(name: str, wanted: str | None, uri: str) -> str:
    if name not in DTYPES or (wanted and wanted != name):
        raise EarthEngineError(f"'{uri}' has bands of type {name}, not {wanted or DTYPES}.")
    return name


def _check_cloud_optimised(dataset: Any, uri: str) -> None:
    """Raise unless a file is tiled as it must be, with all its directories at its beginning."""
    if any(rows != columns or rows not in TILE_SIDES for rows, columns in dataset.block_shapes):
        raise EarthEngineError(
            f"The GeoTIFF at `{uri}` must have tiles of 256, 512, 1024 or 2048 pixels on a side."
        )
    levels = [None, *range(len(dataset.overviews(1)))]

    def offsets(item: str) -> list[int]:
        found = [dataset.get_tag_item(item, "TIFF", bidx=1, ovr=level) for level in levels]
        return [int(offset) for offset in found if offset]

    directories, tiles = offsets("IFD_OFFSET"), offsets("BLOCK_OFFSET_0_0")
    if tiles and max(directories) > min(tiles):
        raise EarthEngineError(f"The GeoTIFF at `{uri}` must have all its IFDs at the beginning.")
