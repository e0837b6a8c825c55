"""Models from a folder, held against what this version of Verdure computes."""

from itertools import pairwise
from pathlib import Path

from shared.earth.features import names
from shared.errors import InvalidModel
from shared.models import FOLDER, NAMES, CloudModel, load


def usable_models(folder: Path = FOLDER) -> tuple[CloudModel, ...]:
    """Return the models of a folder, in the order of preference; one of the two is enough.

    Raises InvalidModel if there is none, or one has other features, classes or cut-offs than the
    project's own, or damaged trees.
    """
    found = [name for name in NAMES if (folder / f"{name}.json").exists()]
    if not found:
        expected = " or ".join(f"{name}.json" for name in NAMES)
        raise InvalidModel(f"{folder}: has no model, expected {expected}")
    models = tuple(load(name, folder) for name in found)
    for model in models:
        _check(model)
    return models


def _check(model: CloudModel) -> None:
    path, own = model.folder / f"{model.name}.json", load(model.name)
    for field, found, expected in (
        ("bands", model.bands, own.bands),
        ("features", model.features, names(own.bands)),
        ("classes", model.classes, own.classes),
        ("cutoffs", tuple(model.cutoffs), tuple(own.cutoffs)),
    ):
        if sorted(found) != sorted(expected):
            unlike = ", ".join(map(str, sorted({*found} ^ {*expected})))
            raise InvalidModel(
                f"{path}: {field} differ from this version's in {unlike}: made by another version "
                "of Verdure; build the model anew"
            )
    for name, cutoff in model.cutoffs.items():
        if not 0 <= cutoff <= 1:
            raise InvalidModel(f"{path}: cutoff {name} is {cutoff}, expected a share from 0 to 1")
    axes = list(zip(*model.calibration, strict=True))
    if not axes or not all(0 <= a <= b <= 1 for axis in axes for a, b in pairwise(axis)):
        raise InvalidModel(f"{path}: calibration does not rise from 0 to 1, point by point")
    model.trees()
