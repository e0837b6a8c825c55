"""Labelled pixels from files: a table (CSV), or the database of Hollstein et al. (HDF5)."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model.build import UnusableSamples
from model.hollstein import read_hollstein
from model.samples import GREATEST, LEAST, Samples
from shared.domain.classes import CLASS_NAMES
from shared.earth.features import ALL_BANDS, COMPARED, SIX_BANDS

#: Columns beside the bands: the scene a pixel is of, and its class, 0 to 4 or by name.
SCENE, CLASS = "scene", "class"

#: Faults of a file that are shown one by one.
FAULTS_SHOWN = 20

_CLASSES = {name: number for number, name in enumerate(CLASS_NAMES)}
_CLASSES |= {str(number): number for number in range(len(CLASS_NAMES))}

Line = dict[str, str | None]


def read_labels(path: Path) -> Samples:
    """Return the labelled pixels of a file: HDF5 by its name's end, else CSV."""
    return read_hollstein(path) if path.suffix in (".h5", ".hdf5") else read_csv(path)


def read_csv(path: Path) -> Samples:
    """Return the pixels of a table with columns scene, class and the bands (TOA reflectance).

    Columns was_B2, was_B4, was_B8 and was_B11 may hold the background; they may be empty.
    """
    try:
        with path.open(newline="") as file:
            lines: list[Line] = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnusableSamples(f"{path}: cannot be read as a table: {error}") from error
    if not lines:
        raise UnusableSamples(f"{path}: has no line of a pixel; expected a header and lines")
    columns = [name for name in lines[0] if name]
    if missing := [name for name in (SCENE, CLASS, *SIX_BANDS) if name not in columns]:
        raise UnusableSamples(
            f"{path}: columns missing: {', '.join(missing)}; needed are {SCENE}, {CLASS} and "
            f"{', '.join(SIX_BANDS)} or all of Sentinel-2's bands"
        )
    was = {band: f"was_{band}" for band in COMPARED}
    used = [name for name in (*ALL_BANDS, *was.values()) if name in columns]
    _check(path, lines, used)
    values = {name: np.array([float(line[name] or "nan") for line in lines]) for name in used}
    nothing = np.full(len(lines), np.nan)
    return Samples(
        {band: values[band] for band in ALL_BANDS if band in used},
        {band: values.get(name, nothing) for band, name in was.items()},
        np.array([_class(line[CLASS]) for line in lines]),
        np.array([line[SCENE] for line in lines]),
    )


def _check(path: Path, lines: list[Line], used: list[str]) -> None:
    """Raise UnusableSamples with a sentence for each fault of a table."""
    faults = [
        f"line {number}: {fault}"
        for number, line in enumerate(lines, 2)
        for fault in _faults(line, used)
    ]
    if faults:
        rest = len(faults) - FAULTS_SHOWN
        shown = faults[:FAULTS_SHOWN] + [f"and {rest} more"] * (rest > 0)
        raise UnusableSamples("\n".join([f"{path}: {len(faults)} faults:", *shown]))


def _faults(line: Line, used: list[str]) -> Iterator[str]:
    if not line[SCENE]:
        yield f"{SCENE} is empty, expected the name of the scene that the pixel is of"
    if _class(line[CLASS]) is None:
        known = ", ".join(f"{number} {name}" for number, name in enumerate(CLASS_NAMES))
        yield f"{CLASS} is {line[CLASS]!r}, expected the number or the name of {known}"
    for name in used:
        text = line[name]
        if not text and name not in ALL_BANDS:
            continue
        if not _is_reflectance(text):
            expected = f"expected a TOA reflectance from {LEAST} to {GREATEST} (DN / 10000)"
            yield f"{name} is {text!r}, {expected}"


def _class(text: str | None) -> int | None:
    return _CLASSES.get((text or "").strip().lower())


def _is_reflectance(text: str | None) -> bool:
    try:
        return LEAST <= float(text or "") <= GREATEST
    except ValueError:
        return False
