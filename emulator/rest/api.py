"""The methods of Earth Engine's REST API that the emulator has.

Names, paths and bodies follow https://developers.google.com/earth-engine/reference/rest/v1.
"""

from collections.abc import Callable

from emulator import engine, fields
from emulator.assets.store import AssetStore
from emulator.catalogue import Catalogue
from emulator.errors import EarthEngineError
from emulator.exports import Exporter
from emulator.exports.tables import geojson
from emulator.fields import Json
from emulator.functions.values import Collection
from emulator.ingest.ingestion import Ingestion
from emulator.rest import discovery, pixels, table_files
from emulator.rest.asset_methods import AssetMethods, feature_page, numbered_page, page_size
from emulator.rest.renderings import Renderings
from emulator.rest.resources import image_resource
from emulator.rest.server import Call, Content, Method, custom
from emulator.tasks import TaskQueue, Workers

#: Operations per page of a list.
MAX_OPERATIONS = 500
#: What can be exported, and the types of the tasks that do it.
EXPORTS = {
    "image": "EXPORT_IMAGE",
    "table": "EXPORT_FEATURES",
    "classifier": "EXPORT_CLASSIFIER",
}
#: Seconds that operations.wait waits at most.
MAX_WAIT = 60.0
#: Exports at once that a project may ask for.
MAX_CONCURRENCY = 500


class Api:
    """Answers API calls for one project."""

    def __init__(
        self,
        catalogue: Catalogue,
        assets: AssetStore,
        tasks: TaskQueue,
        exporter: Exporter,
        ingestion: Ingestion,
        workers: Workers,
    ) -> None:
        self._catalogue = catalogue
        self._assets = AssetMethods(catalogue, assets, ingestion)
        self._renderings = Renderings(catalogue)
        self._ingestion = ingestion
        self._tasks = tasks
        self._exporter = exporter
        self._workers = workers
        self._discovery = Content(discovery.discovery_document())
        self._algorithms = Content(discovery.algorithms())

    def methods(self) -> list[Method]:
        """Return every method; of two paths that fit a request, the first is taken."""
        project = "/v1/projects/{project}"
        operation = f"{project}/operations/{{id}}"
        return [
            Method("discovery", "GET", "/$discovery/rest", lambda _: self._discovery),
            Method("algorithms.list", "GET", f"{project}/algorithms", lambda _: self._algorithms),
            Method("projects.getConfig", "GET", f"{project}/config", self._get_config),
            Method("projects.updateConfig", "PATCH", f"{project}/config", self._update_config),
            custom(f"{project}/value", "value.compute", self._compute, heavy=True),
            custom(f"{project}/image", "image.computePixels", self._compute_pixels, heavy=True),
            custom(f"{project}/table", "table.computeFeatures", self._compute_features, heavy=True),
            custom(
                f"{project}/imageCollection",
                "imageCollection.computeImages",
                self._compute_images,
                heavy=True,
            ),
            *self._renderings.methods(),
            custom(f"{project}/image", "image.import", self._import_image),
            custom(f"{project}/table", "table.import", self._import_table),
            custom(f"{project}/image", "image.importExternal", self._import_external),
            *(
                custom(f"{project}/{what}", f"{what}.export", self._export(kind))
                for what, kind in EXPORTS.items()
            ),
            Method("operations.list", "GET", f"{project}/operations", self._list_operations),
            custom(operation, "operations.cancel", self._cancel_operation),
            custom(operation, "operations.wait", self._wait_for_operation),
            Method("operations.get", "GET", operation, self._get_operation),
            Method("operations.delete", "DELETE", operation, self._delete_operation),
            *self._assets.methods(),
        ]

    # Values and pixels.

    def _compute(self, call: Call) -> Json:
        value = engine.evaluate(fields.expression(call.body), self._catalogue)
        return {"result": engine.to_json(value)}

    def _compute_pixels(self, call: Call) -> Content:
        file_format = pixels.file_format(call.body)
        image = self._renderings.image(call.body)
        box = pixels.requested_box(image, fields.mapping(call.body, "grid"))
        return pixels.render(image, box, file_format)

    def _compute_features(self, call: Call) -> Json:
        table = engine.evaluate(fields.expression(call.body), self._catalogue)
        return feature_page(map(geojson, table_files.features(table)), call.body)

    def _compute_images(self, call: Call) -> Json:
        images = engine.evaluate(fields.expression(call.body), self._catalogue)
        if not isinstance(images, Collection) or not images.of_images:
            raise EarthEngineError("The expression is not a collection of images.")
        page, token = numbered_page(map(image_resource, images), call.body)
        return {"images": page, **token}

    # Tasks.

    def _export(self, kind: str) -> Callable[[Call], Json]:
        def submit(call: Call) -> Json:
            self._exporter.check(kind, call.body)
            return self._tasks.submit(kind, call.body, call.user)

        return submit

    def _import_image(self, call: Call) -> Json:
        return self._tasks.submit(
            "INGEST_IMAGE", self._ingestion.image_request(call.body), call.user
        )

    def _import_table(self, call: Call) -> Json:
        return self._tasks.submit(
            "INGEST_TABLE", self._ingestion.table_request(call.body), call.user
        )

    def _import_external(self, call: Call) -> Json:
        return {"name": self._ingestion.import_external(call.body).name}

    def _list_operations(self, call: Call) -> Json:
        before = fields.whole(call.query, "pageToken", fields.MAX_INT64, fields.MAX_INT64)
        return self._tasks.list(page_size(call.query, MAX_OPERATIONS), before)

    def _get_operation(self, call: Call) -> Json:
        return self._tasks.get(call.path["id"])

    def _cancel_operation(self, call: Call) -> Json:
        self._tasks.cancel(call.path["id"])
        return {}

    def _delete_operation(self, call: Call) -> Json:
        self._tasks.delete(call.path["id"])
        return {}

    def _wait_for_operation(self, call: Call) -> Json:
        seconds = min(_seconds(fields.text(call.body, "timeout", f"{MAX_WAIT}s")), MAX_WAIT)
        return self._tasks.wait(call.path["id"], seconds)

    def _get_config(self, call: Call) -> Json:
        name = f"projects/{call.path['project']}/config"
        return {"name": name, "maxConcurrentExports": self._workers.concurrency}

    def _update_config(self, call: Call) -> Json:
        concurrency = fields.whole(call.body, "maxConcurrentExports")
        if not 0 < concurrency <= MAX_CONCURRENCY:
            raise EarthEngineError(f"maxConcurrentExports must be 1 to {MAX_CONCURRENCY}.")
        self._workers.resize(concurrency)
        return self._get_config(call)


def _seconds(duration: str) -> float:
    """Return a protobuf Duration, such as `1.5s`."""
    try:
        seconds = float(duration.removesuffix("s"))
    except ValueError:
        raise EarthEngineError(f"Invalid timeout '{duration}'.") from None
    if not seconds >= 0:  # nor NaN
        raise EarthEngineError(f"Invalid timeout '{duration}'.")
    return seconds
