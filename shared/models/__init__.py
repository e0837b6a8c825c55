"""The trained cloud models, as files.

`<name>.json` says what a mask's graph needs and what the model was trained on; `<name>.trees.gz`
holds the forest as text, which only publishing reads.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.errors import InvalidModel

FOLDER = Path(__file__).parent

#: Version of the file format; another one is refused.
FORMAT = 1

#: Folder of published classifiers, below a project's assets.
PUBLISHED = "verdure-models"

#: Models in the order of preference: the first whose bands an image has is used.
NAMES = ("cloud-13", "cloud-6")


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


def for_bands(bands: Iterable[str]) -> CloudModel | None:
    """Return the first model whose bands an image has, if any."""
    known = set(bands)
    return next((model for name in NAMES if known >= set((model := load(name)).bands)), None)


@cache
def load(name: str, folder: Path = FOLDER) -> CloudModel:
    """Return a model, or raise InvalidModel with what is wrong with its file."""
    path = folder / f"{name}.json"
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
