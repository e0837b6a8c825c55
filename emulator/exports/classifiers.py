"""Export.classifier: to an asset."""

from emulator import engine, fields
from emulator.assets import documents
from emulator.assets.store import Asset
from emulator.catalogue import Catalogue
from emulator.clock import timestamp
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.exports.destinations import AssetName, Destinations, NewAsset
from emulator.fields import Json
from emulator.functions.classifiers import Classifier, encode
from emulator.tasks import Task


class ClassifierExports:
    """Checks and runs exports of trained classifiers."""

    def __init__(self, catalogue: Catalogue, destinations: Destinations) -> None:
        self._catalogue = catalogue
        self._destinations = destinations

    def check(self, request: Json) -> None:
        """Raise unless the request can become a task."""
        fields.expression(request)
        self._destination(request)

    def run(self, task: Task) -> NewAsset:
        """Train the classifier of a task."""
        destination = self._destination(task.request)
        store = self._destinations.store
        asset = Asset(destination.name, "CLASSIFIER", timestamp())
        store.check_insertable(asset, destination.overwrite)  # before the long part
        classifier = engine.evaluate(task.request["expression"], self._catalogue)
        if not isinstance(classifier, Classifier):
            raise EarthEngineError("Invalid export: the expression is not a classifier.")
        with store.new_folder() as folder:
            documents.write_classifier(folder, encode(classifier))
            asset = asset.with_files(folder)
        return NewAsset(asset, destination.overwrite, store)

    def _destination(self, request: Json) -> AssetName:
        destination = self._destinations.of(request)
        if not isinstance(destination, AssetName):
            raise NotImplementedByEmulator("Export of a classifier to a file")
        return destination
