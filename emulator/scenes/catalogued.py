"""Sentinel-2 images as Earth Engine's catalogue has them: native grids, quality bands, clouds.

A folder may have all bands in one file of 10 m pixels. Their default projections are the native
ones of 10, 20 and 60 m all the same, while whoever reads at 10 m gets the file's pixels: what the
file says is never averaged away, and coarser reads average as Earth Engine's pyramids do.

Quality bands that a folder lacks follow the catalogue: QA10 and QA20 are empty, QA60 is masked
from February 2022 to February 2024, MSK_CLASSI_* are masked before. What is not masked is computed
from the reflectance when it is first read, by rules of the emulator's own (`classify`): ESA's
thresholds are not published. They are as coarse, and miss and invent clouds, as ESA's do.
"""

import functools
import hashlib
import importlib.util
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emulator.band_files import stored_band, write_bands
from emulator.grids import Grid
from emulator.raster import Image, PixelType, pointwise
from emulator.scenes.folder import SceneFolder
from emulator.scenes.sentinel2 import (
    BANDS,
    CLASSI_STARTS,
    COLLECTION,
    QA60_ENDS,
    QUALITY,
    QUANTIFICATION,
    RAW_COLLECTION,
)
from emulator.stored import StoredBand, StoredImage

#: Bits of QA60.
OPAQUE_BIT, CIRRUS_BIT = 1 << 10, 1 << 11
#: What QA60 is made of where ESA's own classification is there.
PACKED = ("MSK_CLASSI_OPAQUE", "MSK_CLASSI_CIRRUS")
#: What is classified otherwise, and from which reflectance: bright in the blue, and at 1.6 µm,
#: where snow is dark; bright at 1.38 µm; NDSI and infrared reflectance of snow (Dozier, 1989).
CLASSIFIED = ("B2", "B3", "B8", "B10", "B11")
OPAQUE_BLUE, OPAQUE_SWIR, CIRRUS_REFLECTANCE = 0.25, 0.15, 0.012
SNOW_NDSI, SNOW_INFRARED = 0.4, 0.11

PROBABILITY_COLLECTION = "COPERNICUS/S2_CLOUD_PROBABILITY"
#: What s2cloudless takes: 10 of the 13 bands as reflectance.
DETECTOR_BANDS = ("B1", "B2", "B4", "B5", "B8", "B8A", "B9", "B10", "B11", "B12")
PERCENT = 100

#: One file is made at a time: a second reader of the same image waits for it.
_making = threading.RLock()


@dataclass(frozen=True)
class Derived:
    """Bands computed from an image's own, kept as files in a folder from their first read on."""

    folder: Path
    inputs: Sequence[StoredBand]
    function: Callable[..., np.ndarray]  # of the inputs' digital numbers

    def band(self, like: StoredBand) -> StoredBand:
        """Return one of them, of the name, type and own grid of another band."""
        size, path = like.own_size, self.folder / f"{like.name}.tif"
        band = StoredBand(like.name, like.dtype, like.crs, like.own_transform, *size)
        return replace(band, path=path, make=functools.partial(self._write, band, path))

    def _write(self, band: StoredBand, path: Path) -> None:
        with _making:
            if path.exists():
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            template = stored_band(band)
            inputs = [stored_band(source) for source in self.inputs]
            function = functools.partial(self.function, band.name)
            computed = pointwise(template, inputs, function, PixelType.of(band.dtype))
            assert template.extent is not None
            write_bands(Image([computed]), template.extent, self.folder, {})


def catalogued(folder: SceneFolder, cache: Path) -> Iterator[tuple[str, list[StoredImage]]]:
    """Yield collections with their images: a folder's, and what is derived from it."""
    collection, images = folder.collection, folder.images
    if collection in (COLLECTION, RAW_COLLECTION):
        images = [replace(image, bands=_bands(image, cache)) for image in images]
    yield collection, images
    if folder.harmonized:
        yield RAW_COLLECTION, [_raw(image) for image in images]
    if collection == COLLECTION and importlib.util.find_spec("s2cloudless"):
        yield PROBABILITY_COLLECTION, list(_probabilities(images, cache))


def _raw(image: StoredImage) -> StoredImage:
    """Return a harmonised image with its file's digital numbers."""
    bands = tuple(replace(band, shift=0) for band in image.bands)
    return replace(image, id=f"{RAW_COLLECTION}/{image.index}", bands=bands)


def _bands(image: StoredImage, cache: Path) -> tuple[StoredBand, ...]:
    """Return an image's bands in the catalogue's order, on their native grids."""
    bands = {band.name: _native(band) for band in image.bands}
    finest = min(image.bands, key=lambda band: _metres(band.crs, band.transform))
    function, sources = (_packed, PACKED) if PACKED[0] in bands else (classify, CLASSIFIED)
    inputs = [bands[name] for name in sources if name in bands]
    computable = len(inputs) == len(sources) and finest.path is not None
    sensed = image.properties.get("system:time_start")
    if image.id.startswith(f"{RAW_COLLECTION}/") and sources == CLASSIFIED:
        computable &= _has_pixels("QA60", sensed) and sensed < CLASSI_STARTS  # no shift yet
    for name in QUALITY.keys() - bands.keys():
        dtype, metres = QUALITY[name]
        empty = replace(finest, name=name, dtype=dtype, path=None, nodata=None, shift=0)
        empty = _of_pixel(empty, metres)
        if name in ("QA10", "QA20") or finest.path is None:
            bands[name] = empty
        elif computable and _has_pixels(name, sensed):
            bands[name] = Derived(_folder(cache, inputs), inputs, function).band(empty)
        else:
            bands[name] = replace(empty, nodata=0)
    order = [*BANDS, *QUALITY, *bands]
    return tuple(sorted(bands.values(), key=lambda band: order.index(band.name)))


def _native(band: StoredBand) -> StoredBand:
    _, metres = BANDS.get(band.name) or QUALITY.get(band.name, (None, 0))
    return _of_pixel(band, metres)


def _of_pixel(band: StoredBand, metres: int) -> StoredBand:
    """Return the band with pixels of a size, if these are whole numbers of its file's pixels."""
    times = metres / _metres(band.crs, band.transform)
    return replace(band, oversampled=round(times)) if times > 1 and times == round(times) else band


@functools.lru_cache(maxsize=256)
def _metres(crs: str, transform: tuple[float, float, float, float, float, float]) -> float:
    return Grid(crs, transform).scale


def _has_pixels(name: str, sensed: Any) -> bool:
    if not isinstance(sensed, int | float):
        return False
    return sensed >= CLASSI_STARTS or (name == "QA60" and sensed < QA60_ENDS)


def _folder(cache: Path, inputs: Sequence[StoredBand]) -> Path:
    """Return where to keep what is made of some files, as they are now."""
    files = {(band.path, band.shift): band.path.stat() for band in inputs if band.path}
    state = sorted(
        (str(path), shift, stat.st_mtime_ns, stat.st_size) for (path, shift), stat in files.items()
    )
    return cache / hashlib.sha256(repr(state).encode()).hexdigest()


def classify(band: str, *digital_numbers: np.ndarray) -> np.ndarray:
    """Return QA60 or an MSK_CLASSI band of the bands `CLASSIFIED`, same shape."""
    blue, green, infrared, cirrus, swir = (dn / QUANTIFICATION for dn in digital_numbers)
    opaque = (blue > OPAQUE_BLUE) & (swir > OPAQUE_SWIR)
    thin = (cirrus > CIRRUS_REFLECTANCE) & ~opaque
    if band == "QA60":
        return opaque * OPAQUE_BIT + thin * CIRRUS_BIT
    if band == "MSK_CLASSI_OPAQUE":
        return opaque
    if band == "MSK_CLASSI_CIRRUS":
        return thin
    # NDSI > t, without a division by 0.
    snowy = green - swir > SNOW_NDSI * (green + swir)
    return snowy & (infrared > SNOW_INFRARED)


def _packed(band: str, opaque: np.ndarray, cirrus: np.ndarray) -> np.ndarray:
    """Return QA60 as it is since February 2024."""
    return np.where(opaque > 0, OPAQUE_BIT, np.where(cirrus > 0, CIRRUS_BIT, 0))


def _probabilities(images: Sequence[StoredImage], cache: Path) -> Iterator[StoredImage]:
    """Yield the cloud probability of images that have pixels of all the bands it needs."""
    for image in images:
        bands = {band.name: band for band in image.bands}
        inputs = [bands[name] for name in DETECTOR_BANDS if name in bands]
        if len(inputs) < len(DETECTOR_BANDS) or inputs[0].path is None:
            continue
        derived = Derived(_folder(cache, inputs), inputs, _cloud_probability)
        yield StoredImage(
            f"{PROBABILITY_COLLECTION}/{image.index}",
            (derived.band(replace(bands["B2"], name="probability", dtype="uint8")),),
            _identity(image),
            image.footprint,
            image.update_time,
        )


def _identity(image: StoredImage) -> dict[str, Any]:
    names = ("system:index", "system:time_start", "system:time_end", "system:footprint")
    return {name: image.properties[name] for name in names if name in image.properties}


def _cloud_probability(band: str, *digital_numbers: np.ndarray) -> np.ndarray:
    """Return the probability of cloud in percent, rounded."""
    reflectance = np.stack(digital_numbers, axis=-1) / QUANTIFICATION
    [probability] = _detector().get_cloud_probability_maps(reflectance[None])
    return np.rint(probability * PERCENT)


@functools.cache
def _detector() -> Any:
    # s2cloudless is an extra that not everybody has, and takes a second to import.
    from s2cloudless import S2PixelCloudDetector

    return S2PixelCloudDetector()
