"""Publishing: a forest becomes an Earth Engine classifier asset, once."""

import re
import time
from typing import Any

import ee

from shared.domain import ids
from shared.errors import PermanentError
from shared.models import PUBLISHED, CloudModel

#: Seconds between two looks at the export, which takes seconds to a minute.
POLL_SECONDS = 0.5


def asset_id(root: str, model: CloudModel) -> str:
    """Return the id of a model's classifier: another forest has another id."""
    return f"{root}/{PUBLISHED}/{model.asset_name}"


def publish(model: CloudModel, root: str) -> str:
    """Export a model's classifier below an asset root, unless it is there; return its id.

    Of two that publish at once one starts the export, and both wait for it: its request id is
    the model's. Raises PermanentError if the export fails; the next call then tries again.
    """
    name = asset_id(root, model)
    if _exists(name):
        return name
    _create_folder(f"{root}/{PUBLISHED}")
    operation = _ended(_start(model, name))
    if "error" in operation and not _exists(name):
        raise PermanentError(f"{name} was not published: {operation['error']['message']}")
    return name


def _start(model: CloudModel, name: str) -> dict[str, Any]:
    """Start the export, or return the one that somebody else has just started."""
    classifier = ee.Classifier.decisionTreeEnsemble(model.trees())
    task = ee.batch.Export.classifier.toAsset(classifier, model.asset_name, name)
    attempt = 1
    while True:
        request_id = ids.request_id(f"model-{ids.digest(name)}", attempt)
        operation: dict[str, Any] = ee.data.exportClassifier(request_id, dict(task.config))
        if not operation.get("done") or _exists(name):
            return operation
        # A repeated id gives the first operation: that failed, or its asset has been deleted.
        attempt += 1


def _ended(operation: dict[str, Any]) -> dict[str, Any]:
    while not operation.get("done"):
        time.sleep(POLL_SECONDS)
        operation = ee.data.getOperation(operation["name"])
    return operation


def _create_folder(name: str) -> None:
    try:
        ee.data.createAsset({"type": "FOLDER"}, name)
    except ee.EEException as error:
        if not re.search("overwrite|already exists", str(error), re.IGNORECASE):
            raise


def _exists(name: str) -> bool:
    try:
        ee.data.getAsset(name)
    except ee.EEException as error:
        if re.search("not found|does not exist", str(error), re.IGNORECASE):
            return False
        raise
    return True
