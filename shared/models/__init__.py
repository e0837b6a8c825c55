"""The trained cloud models, as files.

`<name>.json` says what a mask's graph needs and what the model was trained on; `<name>.trees.gz`
holds the forest as text, which only publishing reads. `original.json` is preset `original` whole.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from shared.domain import ids
from shared.errors import InvalidModel

FOLDER = Path(__file__).parent

#: Version of the file format; another one is refused.
FORMAT = 1

#: Name of the 2019 system's preset, and of its model.
ORIGINAL = "original"

#: Folder of published classifiers, below a project's assets.
PUBLISHED = "verdure-models"

#: Models in the order of preference: the first whose bands an image has is used.
NAMES = ("cloud-13", "cloud-6")

#: Digits of a version: it tells the few models of a project apart.
VERSION_DIGITS = 8


@dataclass(frozen=True)
class CloudModel:
    """What is known of a trained forest without its trees.

    `calibration` is (forest's share, probability) points, to be joined by straight lines;
    `cutoffs` say from which probability on a pixel is cloud, shadow or snow.
    """

    name: str
    bands: tuple[str, ...]
    features: tuple[str, ...]
    classes: tuple[int, ...]
    calibration: tuple[tuple[float, float], ...]
    cutoffs: dict[str, float]
    trained_on: str
    sha256: str  # of the trees' text
    folder: Path = FOLDER

    @property
    def asset_name(self) -> str:
        """Name of the published classifier: another forest has another name."""
        return f"{self.name}-{self.sha256[:8]}"

    @cached_property
    def version(self) -> str:
        """Name of all that decides a pixel: the forest, its calibration, the cut-offs."""
        return _version(self.name, asdict(self))

    def trees(self) -> list[str]:
        """Return the trees in rpart's text format, checked against the model's hash."""
        path = self.folder / f"{self.name}.trees.gz"
        try:
            text = gzip.decompress(path.read_bytes()).decode()
        except (OSError, EOFError, ValueError) as error:
            raise InvalidModel(f"{path}: cannot be read: {error}; build the model anew") from error
        if (found := hashlib.sha256(text.encode()).hexdigest()) != self.sha256:
            raise InvalidModel(
                f"{path}: sha256 is {found}, expected {self.sha256}: the file was changed or "
                "belongs to another version; build the model anew"
            )
        return text.split("\n\n")


@dataclass(frozen=True)
class OriginalModel:
    """The 2019 system's forest of four binary methods, as the table that it amounts to.

    `probabilities` are those of cloud (0 to 1) for each combination of `methods`, the first one
    being the lowest bit; `without_background` those of the first two methods alone, where the
    others have nothing to compare with. Cloud is what has at least `cutoff`.
    """

    bands: tuple[str, ...]
    methods: tuple[str, ...]
    probabilities: tuple[float, ...]
    without_background: tuple[float, ...]
    cutoff: float
    trained_on: str

    @cached_property
    def version(self) -> str:
        """Name of all that decides a pixel."""
        return _version(ORIGINAL, asdict(self))


Model = CloudModel | OriginalModel


def for_preset(preset: str, bands: Iterable[str]) -> Model | None:
    """Return the model of a preset (see shared.domain.runs) for images with some bands, if any."""
    if preset == ORIGINAL:
        model = load_original()
        return model if set(bands) >= set(model.bands) else None
    return for_bands(bands)


def needed_bands(preset: str) -> tuple[str, ...]:
    """Return the bands without which a preset has no model for an image."""
    return load_original().bands if preset == ORIGINAL else load(NAMES[-1]).bands


def by_version() -> dict[str, Model]:
    """Return all models by their versions."""
    every: list[Model] = [*map(load, NAMES), load_original()]
    return {model.version: model for model in every}


def _version(name: str, content: dict[str, Any]) -> str:
    # Where the file is and what its author says of it decide no pixel.
    deciding = {k: v for k, v in content.items() if k not in ("folder", "trained_on")}
    return f"{name}-{ids.digest(deciding)[:VERSION_DIGITS]}"


def for_bands(bands: Iterable[str]) -> CloudModel | None:
    """Return the first model whose bands an image has, if any."""
    known = set(bands)
    return next((model for name in NAMES if known >= set((model := load(name)).bands)), None)


@cache
def load(name: str, folder: Path = FOLDER) -> CloudModel:
    """Return a model, or raise InvalidModel with what is wrong with its file."""
    path = folder / f"{name}.json"
    content = _content(path)
    try:
        return CloudModel(
            name=name,
            bands=tuple(content["bands"]),
            features=tuple(content["features"]),
            classes=tuple(content["classes"]),
            calibration=tuple((float(x), float(y)) for x, y in content["calibration"]),
            cutoffs={key: float(value) for key, value in content["cutoffs"].items()},
            trained_on=content["trained_on"],
            sha256=content["sha256"],
            folder=folder,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(f"{path}: field {error} is missing or wrong") from error


@cache
def load_original(path: Path = FOLDER / f"{ORIGINAL}.json") -> OriginalModel:
    """Return the model of preset `original`, or raise InvalidModel with what is wrong."""
    content = _content(path)
    try:
        model = OriginalModel(
            bands=tuple(content["bands"]),
            methods=tuple(content["methods"]),
            probabilities=tuple(map(float, content["probabilities"])),
            without_background=tuple(map(float, content["without_background"])),
            cutoff=float(content["cutoff"]),
            trained_on=content["trained_on"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(f"{path}: field {error} is missing or wrong") from error
    if len(model.probabilities) != 2 ** len(model.methods):
        raise InvalidModel(
            f"{path}: probabilities are {len(model.probabilities)}, expected one for each "
            f"combination of {len(model.methods)} methods"
        )
    return model


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidModel(f"{path}: cannot be read as a model: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise InvalidModel(
            f"{path}: format is {found!r:.80}, expected {FORMAT}: made by another version of "
            "Verdure; build the model anew"
        )
    return content
