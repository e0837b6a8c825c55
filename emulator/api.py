"""The methods of Earth Engine's REST API that the emulator has.

Names, paths and bodies follow https://developers.google.com/earth-engine/reference/rest/v1.
"""

import itertools
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from emulator import discovery, engine, pixels, raster
from emulator.asset_filter import parse_filter
from emulator.asset_patch import patched_properties
from emulator.assets import AssetStore
from emulator.catalogue import Catalogue
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.exports import Exporter
from emulator.graph import on_deep_stack
from emulator.resources import asset_resource
from emulator.server import Call, Content, Method
from emulator.tasks import MAX_INTEGER, TaskQueue, integer

Json = Mapping[str, Any]

#: Assets and operations per page of a list.
MAX_LISTED = 1000
MAX_OPERATIONS = 500
#: Thumbnails that are remembered; Earth Engine forgets them after some hours.
MAX_THUMBNAILS = 1000
#: Seconds that operations.wait waits at most.
MAX_WAIT = 60.0
#: What can be exported, and the types of the tasks that do it.
EXPORTS = {
    "image": "EXPORT_IMAGE",
    "table": "EXPORT_FEATURES",
    "classifier": "EXPORT_CLASSIFIER",
}
#: Types of assets.create that need no pixels.
CREATABLE = ("FOLDER", "IMAGE_COLLECTION")


class Api:
    """Answers API calls for one project."""

    def __init__(
        self,
        catalogue: Catalogue,
        assets: AssetStore,
        tasks: TaskQueue,
        exporter: Exporter,
        concurrency: int,
    ) -> None:
        self._catalogue = catalogue
        self._assets = assets
        self._tasks = tasks
        self._exporter = exporter
        self._concurrency = concurrency
        self._thumbnails: OrderedDict[str, Json] = OrderedDict()
        self._discovery = Content(discovery.discovery_document())
        self._algorithms = Content(discovery.algorithms())

    def methods(self) -> list[Method]:
        """Return every method; of two paths that fit a request, the first is taken."""
        project = "/v1/projects/{project}"
        asset = "/v1/projects/{owner}/assets/{asset:path}"
        operation = f"{project}/operations/{{id}}"
        return [
            Method("discovery", "GET", "/$discovery/rest", lambda _: self._discovery),
            Method("algorithms.list", "GET", f"{project}/algorithms", lambda _: self._algorithms),
            Method("projects.getConfig", "GET", f"{project}/config", self._get_config),
            Method("value.compute", "POST", f"{project}/value:compute", self._compute, heavy=True),
            Method(
                "image.computePixels",
                "POST",
                f"{project}/image:computePixels",
                self._compute_pixels,
                heavy=True,
            ),
            Method("thumbnails.create", "POST", f"{project}/thumbnails", self._create_thumbnail),
            Method(
                "thumbnails.getPixels",
                "GET",
                f"{project}/thumbnails/{{id}}:getPixels",
                self._get_thumbnail,
                heavy=True,
            ),
            *(
                Method(f"{what}.export", "POST", f"{project}/{what}:export", self._export(kind))
                for what, kind in EXPORTS.items()
            ),
            Method("operations.list", "GET", f"{project}/operations", self._list_operations),
            Method("operations.cancel", "POST", f"{operation}:cancel", self._cancel_operation),
            Method("operations.wait", "POST", f"{operation}:wait", self._wait_for_operation),
            Method("operations.get", "GET", operation, self._get_operation),
            Method("operations.delete", "DELETE", operation, self._delete_operation),
            Method("projects.listAssets", "GET", f"{project}:listAssets", self._list_root),
            Method("assets.listAssets", "GET", f"{asset}:listAssets", self._list_assets),
            Method("assets.create", "POST", f"{project}/assets", self._create_asset),
            Method("assets.copy", "POST", f"{asset}:copy", self._copy_asset),
            Method("assets.move", "POST", f"{asset}:move", self._move_asset),
            Method("assets.get", "GET", asset, self._get_asset),
            Method("assets.patch", "PATCH", asset, self._patch_asset),
            Method("assets.delete", "DELETE", asset, self._delete_asset),
        ]

    # Values and pixels.

    @on_deep_stack
    def _compute(self, call: Call) -> Json:
        value = engine.evaluate(_required(call.body, "expression"), self._catalogue)
        return {"result": engine.to_json(value)}

    @on_deep_stack
    def _compute_pixels(self, call: Call) -> Content:
        image = self._image(call.body)
        box = pixels.requested_box(_required(call.body, "grid"))
        file_format = call.body.get("fileFormat", "AUTO_JPEG_PNG")
        return pixels.render(image, box, call.body.get("bandIds", []), file_format)

    def _create_thumbnail(self, call: Call) -> Json:
        name = f"projects/{call.path['project']}/thumbnails/{uuid.uuid4().hex}"
        self._thumbnails[name] = call.body
        if len(self._thumbnails) > MAX_THUMBNAILS:
            self._thumbnails.popitem(last=False)
        return {"name": name}

    @on_deep_stack
    def _get_thumbnail(self, call: Call) -> Content:
        name = f"projects/{call.path['project']}/thumbnails/{call.path['id']}"
        if name not in self._thumbnails:
            raise EarthEngineError(f"Thumbnail '{name}' was not found.", 404)
        request = self._thumbnails[name]
        image = self._image(request)
        box = raster.export_grid(image)
        return pixels.render(image, box, request.get("bandIds") or [], request["fileFormat"])

    def _image(self, request: Json) -> raster.Image:
        if "visualizationOptions" in request:
            raise NotImplementedByEmulator("visualizationOptions")
        image = engine.evaluate(_required(request, "expression"), self._catalogue)
        if not isinstance(image, raster.Image):
            raise EarthEngineError("The expression is not an image.")
        return image

    # Tasks.

    def _export(self, kind: str) -> Callable[[Call], Json]:
        def submit(call: Call) -> Json:
            self._exporter.check(kind, call.body)
            return self._tasks.submit(kind, call.body, call.user)

        return submit

    def _list_operations(self, call: Call) -> Json:
        before = integer(call.query, "pageToken", MAX_INTEGER)
        return self._tasks.list(_page_size(call, MAX_OPERATIONS), before)

    def _get_operation(self, call: Call) -> Json:
        return self._tasks.get(call.path["id"])

    def _cancel_operation(self, call: Call) -> Json:
        self._tasks.cancel(call.path["id"])
        return {}

    def _delete_operation(self, call: Call) -> Json:
        self._tasks.delete(call.path["id"])
        return {}

    def _wait_for_operation(self, call: Call) -> Json:
        seconds = min(_seconds(call.body.get("timeout", "60s")), MAX_WAIT)
        return self._tasks.wait(call.path["id"], seconds)

    def _get_config(self, call: Call) -> Json:
        return {"maxConcurrentExports": self._concurrency}

    # Assets.

    def _get_asset(self, call: Call) -> Json:
        name = _asset_name(call).rstrip("/")
        resource = asset_resource(self._catalogue.asset(name))
        return resource | {"quota": self._assets.quota()} if name == self._assets.root else resource

    def _list_root(self, call: Call) -> Json:
        return self._list(self._assets.root, call)

    def _list_assets(self, call: Call) -> Json:
        return self._list(_asset_name(call), call)

    def _list(self, parent: str, call: Call) -> Json:
        if self._catalogue.asset(parent).type == "IMAGE":
            raise EarthEngineError(f"Asset '{parent}' is an image: it contains no assets.")
        size = _page_size(call, MAX_LISTED)
        passes = parse_filter(call.query.get("filter", ""))
        basic = call.query.get("view", "").endswith("BASIC")
        children = self._catalogue.children(parent, call.query.get("pageToken", ""))
        found = list(itertools.islice(filter(passes, children), size + 1))
        page: dict[str, Any] = {"assets": [asset_resource(child, basic) for child in found[:size]]}
        if len(found) > size:
            page["nextPageToken"] = found[size - 1].name
        return page

    def _create_asset(self, call: Call) -> Json:
        name = f"{self._assets.root}/{call.query.get('assetId', '')}"
        kind = call.body.get("type")
        if kind not in CREATABLE:
            raise NotImplementedByEmulator(f"Creating an asset of type {kind}")
        properties = patched_properties({}, call.body, ())
        return asset_resource(self._assets.create(name, kind, properties))

    def _patch_asset(self, call: Call) -> Json:
        changes = call.body.get("asset", {})
        paths = call.body.get("updateMask", {}).get("paths", [])
        return asset_resource(self._assets.update(_asset_name(call), changes, paths))

    def _delete_asset(self, call: Call) -> Json:
        self._assets.delete(_asset_name(call))
        return {}

    def _copy_asset(self, call: Call) -> Json:
        destination = _required(call.body, "destinationName")
        overwrite = call.body.get("overwrite", False)
        return asset_resource(self._assets.copy(_asset_name(call), destination, overwrite))

    def _move_asset(self, call: Call) -> Json:
        destination = _required(call.body, "destinationName")
        return asset_resource(self._assets.move(_asset_name(call), destination))


def _asset_name(call: Call) -> str:
    return f"projects/{call.path['owner']}/assets/{call.path['asset']}"


def _page_size(call: Call, most: int) -> int:
    size = integer(call.query, "pageSize", 0)
    return min(size, most) if size > 0 else most


def _seconds(duration: str) -> float:
    """Return a protobuf Duration, such as `1.5s`."""
    try:
        return float(duration.removesuffix("s"))
    except ValueError:
        raise EarthEngineError(f"Invalid timeout '{duration}'.") from None


def _required(body: Json, key: str) -> Any:
    if key not in body:
        raise EarthEngineError(f"Invalid request: there is no '{key}'.")
    return body[key]
