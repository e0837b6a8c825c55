"""Assets that are documents: tables and trained classifiers, a file in their asset's folder."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TABLE = "features.ndjson"
CLASSIFIER = "classifier.json"


def write_table(folder: Path, features: Iterable[Mapping[str, Any]]) -> None:
    """Write features (GeoJSON, properties as `value:compute` writes them), one a line."""
    with (folder / TABLE).open("w") as file:
        file.writelines(json.dumps(feature) + "\n" for feature in features)


def read_table(folder: Path) -> list[dict[str, Any]]:
    """Return the features of a table."""
    with (folder / TABLE).open() as file:
        return [json.loads(line) for line in file]


def write_classifier(folder: Path, classifier: Mapping[str, Any]) -> None:
    """Write a trained classifier."""
    (folder / CLASSIFIER).write_text(json.dumps(classifier))


def read_classifier(folder: Path) -> str:
    """Return a trained classifier as JSON text."""
    return (folder / CLASSIFIER).read_text()
