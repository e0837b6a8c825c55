"""Publishing: a forest becomes an Earth Engine classifier asset, once."""

import re
import time

import ee

from shared.errors import PermanentError
from shared.models import PUBLISHED, CloudModel

#: Seconds between two looks at the export, which takes seconds to a minute.
POLL_SECONDS = 0.5


def asset_id(root: str, model: CloudModel) -> str:
    """Return the id of a model's classifier: another forest has another id."""
    return f"{root}/{PUBLISHED}/{model.asset_name}"


def publish(model: CloudModel, root: str) -> str:
    """Export a model's classifier below an asset root, unless it is there; return its id."""
    name = asset_id(root, model)
    if _exists(name):
        return name
    if not _exists(f"{root}/{PUBLISHED}"):
        ee.data.createAsset({"type": "FOLDER"}, f"{root}/{PUBLISHED}")
    classifier = ee.Classifier.decisionTreeEnsemble(model.trees())
    task = ee.batch.Export.classifier.toAsset(classifier, model.asset_name, name)
    task.start()
    while task.active():
        time.sleep(POLL_SECONDS)
    status = task.status()
    if status["state"] != "COMPLETED":
        raise PermanentError(f"{name} was not published: {status.get('error_message', status)}")
    return name


def _exists(name: str) -> bool:
    try:
        ee.data.getAsset(name)
    except ee.EEException as error:
        if re.search("not found|does not exist", str(error), re.IGNORECASE):
            return False
        raise
    return True
