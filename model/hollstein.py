"""The database of manually classified Sentinel-2 spectra of Hollstein et al. 2016.

doi 10.3390/rs8080666; https://git.gfz-potsdam.de/EnMAP/sentinel2_manual_classification_clouds.
An HDF5 file: of n pixels `spectra` (n, 13) as TOA reflectance, `classes` (n) and `product_id` (n);
`band` names the spectra's columns, `class_ids` and `class_names` the classes.
"""

from pathlib import Path
from typing import Any

import numpy as np

from model.build import UnusableSamples
from model.samples import GREATEST, Array, Samples
from shared.domain.classes import CLEAR, CLOUD, SHADOW, SNOW, THIN
from shared.earth.features import ALL_BANDS, COMPARED
from shared.errors import InvalidConfiguration

#: The file's names of classes, in small letters, as classes of ours: water is clear ground.
CLASSES = {
    "clear": CLEAR,
    "clear sky": CLEAR,
    "clear-sky": CLEAR,
    "water": CLEAR,
    "shadow": SHADOW,
    "cirrus": THIN,
    "cloud": CLOUD,
    "snow": SNOW,
    "snow/ice": SNOW,
}

DATASETS = ("spectra", "band", "classes", "class_ids", "class_names", "product_id")


def read_hollstein(path: Path) -> Samples:
    """Return the pixels of the database; a scene is a product, and there is no background."""
    content = _read(path)
    spectra, names = content["spectra"], [_band(name) for name in _texts(content["band"])]
    _check_shapes(path, content, names)
    _check_spectra(path, spectra)
    pixels = len(spectra)
    return Samples(
        {band: spectra[:, names.index(band)].astype(float) for band in ALL_BANDS},
        {band: np.full(pixels, np.nan) for band in COMPARED},
        _classes(path, content),
        np.array(_texts(content["product_id"])),
    )


def _read(path: Path) -> dict[str, Array]:
    try:
        import h5py
    except ImportError as error:
        raise InvalidConfiguration(
            [f"{path}: reading HDF5 needs h5py: pip install 'verdure[labels]'"]
        ) from error
    try:
        with h5py.File(path) as file:
            if missing := [name for name in DATASETS if name not in file]:
                raise UnusableSamples(
                    f"{path}: datasets missing: {', '.join(missing)}; needed are "
                    f"{', '.join(DATASETS)}, as in the database of Hollstein et al. 2016"
                )
            return {name: np.asarray(file[name]) for name in DATASETS}
    except OSError as error:
        raise UnusableSamples(f"{path}: cannot be read as HDF5: {error}") from error


def _check_shapes(path: Path, content: dict[str, Array], names: list[str]) -> None:
    if missing := [band for band in ALL_BANDS if band not in names]:
        raise UnusableSamples(f"{path}: band has no {', '.join(missing)}, but {', '.join(names)}")
    pixels = len(content["classes"])
    expected = {"spectra": (pixels, len(names)), "product_id": (pixels,)}
    expected["class_names"] = content["class_ids"].shape
    for name, shape in expected.items():
        if content[name].shape != shape:
            raise UnusableSamples(
                f"{path}: {name} has shape {content[name].shape}, expected {shape}, "
                f"which fits the other datasets"
            )


def _check_spectra(path: Path, spectra: Array) -> None:
    bad = ~np.isfinite(spectra).all(axis=1)
    if bad.any():
        raise UnusableSamples(
            f"{path}: spectra of {bad.sum()} pixels are not finite, the first in row "
            f"{bad.argmax()}; leave these pixels out"
        )
    if len(spectra) and spectra.max() > GREATEST:
        raise UnusableSamples(
            f"{path}: spectra reach {spectra.max():g}, expected TOA reflectances up to "
            f"{GREATEST} (DN / 10000)"
        )


def _classes(path: Path, content: dict[str, Array]) -> Array:
    ids, names = content["class_ids"].astype(int).tolist(), _texts(content["class_names"])
    labels = content["classes"].astype(int)
    known = dict(zip(ids, names, strict=True))
    used, places = np.unique(labels, return_inverse=True)
    if unnamed := [number for number in used.tolist() if number not in known]:
        raise UnusableSamples(f"{path}: classes has {unnamed}, of which class_ids knows none")
    found = [known[number] for number in used.tolist()]
    if unknown := [name for name in found if name.lower() not in CLASSES]:
        raise UnusableSamples(
            f"{path}: class_names has {', '.join(unknown)}, expected {', '.join(CLASSES)}"
        )
    return np.array([CLASSES[name.lower()] for name in found], int)[places]


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _band(name: str) -> str:
    """Return a band's name as Earth Engine has it: B1 of 1, 01, B01."""
    return f"B{name.removeprefix('B').lstrip('0')}"
