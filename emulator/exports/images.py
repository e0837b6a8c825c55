"""Export.image: to an asset, one file a band, or as GeoTIFFs with all bands."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from emulator import band_files, engine, fields, grids, raster
from emulator.assets.store import Asset
from emulator.catalogue import Catalogue
from emulator.clock import timestamp
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.exports.destinations import (
    AssetName,
    Destinations,
    Files,
    NewAsset,
    NewFiles,
    new_files,
)
from emulator.fields import Json
from emulator.stored import (
    PYRAMIDING,
    UNSPECIFIED_POLICY,
    UNSUPPORTED_POLICIES,
    Pyramiding,
    StoredBand,
)
from emulator.tasks import Output, Progress, Task

#: Pixels of an export that does not say (https://developers.google.com/earth-engine/apidocs/export-image-toasset).
MAX_PIXELS = 10**8
#: Pixels along a side of a GeoTIFF's tiles (apidocs/export-image-tocloudstorage: shardSize).
SHARD_SIZE = 256
#: Pixels along a side of a file that does not say; Earth Engine's own limit is not published.
FILE_SIDE = 32_768
#: TIFF 6.0: the sides of tiles are multiples of it, in pixels.
TIFF_TILE_STEP = 16
#: GDAL's names of types, which Earth Engine's message has.
GDAL_NAMES = {"uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16"} | {
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}

# The model of exports that compute no pixels on a clock of its own: a task needs some time to
# start, then goes on at a pace. Of the right order for a mask of a Sentinel-2 tile; no promise.
START_SECONDS = 30.0
SECONDS_PER_PIXEL = 2e-6  # and band
EECU_SECONDS_PER_PIXEL = 1e-5  # and band
#: Steps in which such a task reports progress.
STEPS = 20


@dataclass(frozen=True)
class GeoTiffOptions:
    """How GeoTIFFs are written (REST: GeoTiffImageExportOptions)."""

    cloud_optimized: bool
    skip_empty: bool
    no_data: float | None
    block: int  # pixels
    width: int  # pixels of a file, as is `height`
    height: int

    @classmethod
    def of(cls, request: Json) -> "GeoTiffOptions":
        """Return the options of a request; raise where they are not valid."""
        file_options = fields.mapping(request, "fileExportOptions")
        file_format = fields.text(file_options, "fileFormat")
        if file_format != "GEO_TIFF":
            raise NotImplementedByEmulator(f"Export of images as {file_format!r:.60}")
        options = fields.mapping(file_options, "geoTiffOptions")
        if options.get("metadataKeys"):
            raise NotImplementedByEmulator("metadataKeys")
        block = fields.whole(options, "tileSize", SHARD_SIZE)
        if block <= 0 or block % TIFF_TILE_STEP:
            raise EarthEngineError(
                f"'tileSize' must be a multiple of {TIFF_TILE_STEP}, not {block}."
            )
        dimensions = fields.mapping(options, "tileDimensions")
        sides = [fields.whole(dimensions, key, FILE_SIDE) for key in ("width", "height")]
        if dimensions and any(side <= 0 or side % block for side in sides):
            raise EarthEngineError(f"File dimensions must be multiples of {block}, not {sides}.")
        return cls(
            fields.flag(options, "cloudOptimized"),
            fields.flag(options, "skipEmptyFiles"),
            _no_data(options),
            block,
            *sides,
        )


def _no_data(options: Json) -> float | None:
    """Return the value for masked pixels; what is not finite comes as text."""
    if options.get("noData") in ("NaN", "Infinity", "-Infinity"):
        return float(options["noData"])
    return fields.number(options, "noData") if "noData" in options else None


def _max_pixels(request: Json) -> int:
    return fields.whole(request, "maxPixels", MAX_PIXELS, fields.MAX_INT64)


class ImageExports:
    """Checks and runs image exports; with `metadata_only` all but the pixels is computed."""

    def __init__(
        self,
        catalogue: Catalogue,
        destinations: Destinations,
        metadata_only: bool,
        simulated: bool,
        size_factor: int,
    ) -> None:
        self._catalogue = catalogue
        self._destinations = destinations
        self._metadata_only = metadata_only
        self._simulated = simulated  # these take the time of the model
        self._size_factor = size_factor

    def check(self, request: Json) -> None:
        """Raise unless the request can become a task."""
        fields.expression(request)
        _max_pixels(request)
        if isinstance(self._destinations.of(request), AssetName):
            _pyramiding(request)
        else:
            GeoTiffOptions.of(request)

    def run(self, task: Task) -> Output:
        """Compute the image of a task."""
        image = engine.evaluate(task.request["expression"], self._catalogue)
        if not isinstance(image, raster.Image):
            raise EarthEngineError("Invalid export: the expression is not an image.")
        box = raster.export_grid(image)
        _check_size(box, task.request)
        image = _reporting(image, box, task.progress)
        destination = self._destinations.of(task.request)
        if isinstance(destination, AssetName):
            return self._asset(destination, image, box, task)
        return _files(destination, image, box, GeoTiffOptions.of(task.request))

    def _asset(
        self, destination: AssetName, image: raster.Image, box: grids.PixelBox, task: Task
    ) -> NewAsset:
        store = self._destinations.store
        asset = Asset(
            destination.name,
            "IMAGE",
            timestamp(),
            engine.to_json(dict(image.properties)),
            footprint=grids.footprint(box),
        )
        store.check_insertable(asset, destination.overwrite)  # before the long part
        policies = _pyramiding(task.request)
        if self._metadata_only:
            bands = tuple(_unwritten(band, box, policies) for band in image.bands)
            if self._simulated:
                _simulate(box.width * box.height * len(bands), task.progress)
            size = self._size_factor * sum(map(_raw_bytes, bands))
            asset = replace(asset, bands=bands, size_bytes=size)
        else:
            with store.new_folder() as folder:
                written = band_files.write_bands(image, box, folder, policies)
                asset = asset.with_files(folder, written)
        return NewAsset(asset, destination.overwrite, store)


def _check_size(box: grids.PixelBox, request: Json) -> None:
    pixels = box.width * box.height
    limit = _max_pixels(request)
    if pixels > limit:
        raise EarthEngineError(
            f"Export too large: specified {pixels} pixels (max: {limit}). Specify higher "
            "maxPixels value if you intend to export a large area."
        )


def _reporting(image: raster.Image, box: grids.PixelBox, progress: Progress) -> raster.Image:
    """Return an image that reports progress with every tile of its first band."""
    first, *others = image.bands
    total, done = box.width * box.height, 0

    def compute(tile: grids.PixelBox, read: raster.Reader) -> raster.Pixels:
        nonlocal done
        done += tile.width * tile.height
        progress.report(min(done / total, 1.0))
        return read(first, tile)

    return image.with_bands([first.derived(compute, [first]), *others])


def _simulate(pixels: int, progress: Progress) -> None:
    """Let the time pass that the model says computing so many pixels takes."""
    progress.eecu_seconds += pixels * EECU_SECONDS_PER_PIXEL
    seconds = START_SECONDS + pixels * SECONDS_PER_PIXEL
    for step in range(STEPS):
        progress.report(step / STEPS)
        progress.wait(seconds / STEPS)


def _pyramiding(request: Json) -> dict[str, Pyramiding]:
    options = fields.mapping(request, "assetExportOptions")
    policies: dict[str, Pyramiding] = {".default": options.get("pyramidingPolicy", "MEAN")}
    policies.update(fields.mapping(options, "pyramidingPolicyOverrides"))
    for band, policy in policies.items():
        if policy in UNSUPPORTED_POLICIES:
            raise NotImplementedByEmulator(f"Pyramiding policy {policy}")
        if policy == UNSPECIFIED_POLICY:
            policies[band] = "MEAN"
        elif policy not in PYRAMIDING:
            raise EarthEngineError(f"Invalid pyramiding policy {policy!r:.60}.")
    return policies


def _unwritten(
    band: raster.Band, box: grids.PixelBox, policies: Mapping[str, Pyramiding]
) -> StoredBand:
    return StoredBand(
        band.name,
        band.pixel_type.dtype.name,
        box.grid.crs,
        box.transform,
        box.width,
        box.height,
        pyramiding=policies.get(band.name, policies[".default"]),
    )


def _raw_bytes(band: StoredBand) -> int:
    return band.width * band.height * np.dtype(band.dtype).itemsize


# GeoTIFFs.


def _files(
    files: Files, image: raster.Image, box: grids.PixelBox, options: GeoTiffOptions
) -> NewFiles:
    dtype = _common_type(image)
    fill = _fill(dtype, options.no_data)
    files.check_space(0)  # before the long part: a service account has no room for anything
    with new_files(files) as new:
        for shard, part_of_box in _shards(box, options):
            path = new.draft / f"{len(new.written)}.tif"
            has_pixels = _write_geotiff(image.bands, part_of_box, path, dtype, fill, options)
            if has_pixels or not options.skip_empty:
                new.written.append((path, shard, ".tif"))
    return new


def _common_type(image: raster.Image) -> np.dtype[Any]:
    types = list(dict.fromkeys(band.pixel_type.dtype for band in image.bands))
    if len(types) > 1:
        names = [GDAL_NAMES.get(dtype.name, dtype.name) for dtype in types]
        raise EarthEngineError(
            "Exported bands must have compatible data types; found inconsistent types: "
            f"{names[0]} and {names[1]}."
        )
    if types[0].name not in GDAL_NAMES or any(b.pixel_type.dimensions for b in image.bands):
        raise EarthEngineError(f"Bands of type {types[0].name} cannot be exported as GeoTIFF.")
    return types[0]


def _fill(dtype: np.dtype[Any], no_data: float | None) -> float:
    """Return the value of masked pixels."""
    if no_data is None:
        return float("nan") if dtype.kind == "f" else 0
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    is_value = limits.min <= no_data <= limits.max and (dtype.kind == "f" or no_data % 1 == 0)
    if not is_value and not (dtype.kind == "f" and not math.isfinite(no_data)):
        raise EarthEngineError(
            f"The no-data value {no_data} is no value of the type {GDAL_NAMES[dtype.name]}."
        )
    return no_data


def _shards(box: grids.PixelBox, options: GeoTiffOptions) -> Iterator[tuple[str, grids.PixelBox]]:
    """Yield the files' boxes; where there are several, with first row and column, as EE names."""
    if box.width <= options.width and box.height <= options.height:
        yield "", box
        return
    rows, columns = range(0, box.height, options.height), range(0, box.width, options.width)
    for row, column in product(rows, columns):
        width = min(options.width, box.width - column)
        height = min(options.height, box.height - row)
        shard = grids.PixelBox(box.grid, width, height, box.x + column, box.y + row)
        yield f"{row:010d}-{column:010d}", shard


def _write_geotiff(
    bands: Sequence[raster.Band],
    box: grids.PixelBox,
    path: Path,
    dtype: np.dtype[Any],
    fill: float,
    options: GeoTiffOptions,
) -> bool:
    """Write a box tile by tile; return whether it has a valid pixel."""
    has_pixels = False
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=dtype.name,
        count=len(bands),
        width=box.width,
        height=box.height,
        crs=box.grid.crs,
        transform=box.affine,
        nodata=options.no_data,
        tiled=True,
        blockxsize=options.block,
        blockysize=options.block,
        compress="LZW",
        BIGTIFF="IF_SAFER",
        photometric="MINISBLACK",  # else the fourth of four bands of bytes masks the others
    ) as target:
        target.descriptions = [band.name for band in bands]
        for tile, tile_pixels in raster.read_tiles(bands, box):
            window = Window(tile.x - box.x, tile.y - box.y, tile.width, tile.height)
            for position, pixels in enumerate(tile_pixels, 1):
                valid = pixels.mask > 0
                has_pixels = has_pixels or bool(valid.any())
                data = np.where(valid, pixels.data, dtype.type(fill))
                target.write(data, position, window=window)
    if options.cloud_optimized:
        _cloud_optimise(path)
    return has_pixels


def _cloud_optimise(path: Path) -> None:
    finished = path.with_suffix(".cog")
    rasterio.shutil.copy(
        path,
        finished,
        driver="COG",
        compress="LZW",
        overview_resampling="AVERAGE",
        BIGTIFF="IF_SAFER",
    )
    finished.replace(path)
