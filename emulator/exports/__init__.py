"""What export tasks do: evaluate, write, and make the result visible all at once."""

from collections.abc import Callable, Mapping
from typing import Any

from emulator.catalogue import Catalogue
from emulator.exports.classifiers import ClassifierExports
from emulator.exports.destinations import Destinations
from emulator.exports.images import ImageExports
from emulator.exports.tables import TableExports
from emulator.tasks import Output, Task


class Exporter:
    """Checks and runs exports by the type of their tasks."""

    def __init__(
        self,
        catalogue: Catalogue,
        destinations: Destinations,
        metadata_only: bool,
        simulated: bool,
        size_factor: int,
    ) -> None:
        images = ImageExports(catalogue, destinations, metadata_only, simulated, size_factor)
        self._exports = {
            "EXPORT_IMAGE": images,
            "EXPORT_FEATURES": TableExports(catalogue, destinations),
            "EXPORT_CLASSIFIER": ClassifierExports(catalogue, destinations),
        }

    def check(self, kind: str, request: Mapping[str, Any]) -> None:
        """Raise unless a request can become a task."""
        self._exports[kind].check(request)

    def runners(self) -> dict[str, Callable[[Task], Output]]:
        """Return what runs each type of task."""
        return {kind: exports.run for kind, exports in self._exports.items()}
