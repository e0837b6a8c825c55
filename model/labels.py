"""Labelled pixels from files."""

import csv
from pathlib import Path

import numpy as np

from model.build import UnusableSamples
from model.samples import Samples
from shared.earth.features import ALL_BANDS, COMPARED, SIX_BANDS

#: Columns beside the bands: the scene a pixel is of, and its class (0 to 4).
SCENE, CLASS = "scene", "class"


def read_csv(path: Path) -> Samples:
    """Return the pixels of a table with columns scene, class and the bands (TOA reflectance).

    Columns was_B2, was_B4, was_B8 and was_B11 may hold the background; they may be empty.
    """
    try:
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnusableSamples(f"{path}: cannot be read as a table: {error}") from error
    columns = set(lines[0]) if lines else set()
    if missing := [name for name in (SCENE, CLASS, *SIX_BANDS) if name not in columns]:
        raise UnusableSamples(
            f"{path}: columns missing: {', '.join(missing)}; needed are {SCENE}, {CLASS} and "
            f"{', '.join(SIX_BANDS)} or all of Sentinel-2's bands"
        )
    bands = [band for band in ALL_BANDS if band in columns]

    def numbers(name: str) -> np.ndarray:
        return np.array([_number(path, i, name, line) for i, line in enumerate(lines, 2)])

    background = {
        band: numbers(f"was_{band}") if f"was_{band}" in columns else np.full(len(lines), np.nan)
        for band in COMPARED
    }
    reflectance = {band: numbers(band) for band in bands}
    scenes = np.array([line[SCENE] for line in lines])
    return Samples(reflectance, background, numbers(CLASS).astype(int), scenes)


def _number(path: Path, number: int, name: str, line: dict[str, str]) -> float:
    text = line[name]
    if not text and name.startswith("was_"):
        return float("nan")
    try:
        return float(text)
    except (TypeError, ValueError):
        raise UnusableSamples(
            f"{path}, line {number}: {name} is {text!r}, expected a number"
        ) from None
