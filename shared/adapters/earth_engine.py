"""Earth Engine through its own client: the calls the pipeline makes, and its errors as ours."""

import functools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import ee
import google.auth
import google.auth.credentials
import httplib2
from ee import deprecation

from shared import models
from shared.adapters import credentials
from shared.domain import ids, products
from shared.domain.exports import MASK, Export
from shared.domain.images import FoundImage
from shared.domain.runs import CODE_VERSION, INPUTS, MAPS, MASK_ALGORITHM, Run
from shared.earth.cloud_mask import Publication, mask_of
from shared.earth.listing import PAGE, images_page, maps, outputs
from shared.errors import (
    AccessDenied,
    NotFound,
    PermanentError,
    TaskQueueFull,
    Unavailable,
    VerdureError,
)
from shared.messages import EndedTask
from shared.services import Task

T = TypeVar("T")

SCOPES = [
    "https://www.googleapis.com/auth/earthengine",
    "https://www.googleapis.com/auth/cloud-platform",
]

#: A full 10 m Sentinel-2 tile is 10980² = 1.2e8 pixels, above the default of 1e8.
MAX_PIXELS = 10**9

#: Tasks in one answer: what the client's own listing asks for (ee/data.py).
TASKS_PAGE = 500

#: What an error's text means: the client keeps nothing else of an answer. First match wins.
_MEANINGS: tuple[tuple[str, type[VerdureError]], ...] = (
    (r"too many tasks already in the queue", TaskQueueFull),
    (r"permission|not registered|not signed up|forbidden|unauthorized", AccessDenied),
    (r"quota exceeded|rate limit|too many (concurrent )?(requests|aggregations)", Unavailable),
    (r"internal error|timed out|unavailable|deadline|try again", Unavailable),
    (r"not found|does not exist|did not match any bands", NotFound),
)

#: Our operations' description: `<image id> <request id>`.
_DESCRIPTION = re.compile(rf"\S+ ((?:{'|'.join((MASK, *MAPS))})-[0-9a-f]+(?:-\d+)?)")

#: Names in a request's template, of characters that asset ids and request ids may have.
IMAGE_ID, RUN_KEY, REQUEST_ID = "IMAGE-ID", "RUN-KEY", "REQUEST-ID"

#: What is set into a request's text: nothing that could end a JSON string, or go up a folder.
_HARMLESS = re.compile(r"[A-Za-z0-9_-]+")

#: Properties of the source image that its mask keeps, for those who filter masks.
KEPT_PROPERTIES = ["MGRS_TILE", "SPACECRAFT_NAME", "SENSING_ORBIT_NUMBER"]

_ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


def translated(call: Callable[..., T]) -> Callable[..., T]:
    """Raise what a client's exception means for the work at hand."""

    @functools.wraps(call)
    def wrapper(*args: Any, **kwargs: Any) -> T:
        try:
            return call(*args, **kwargs)
        except ee.EEException as error:
            raise meaning_of(str(error)) from error
        except (ConnectionError, TimeoutError) as error:
            raise Unavailable(f"Earth Engine did not answer: {error}") from error

    return wrapper


def meaning_of(message: str) -> VerdureError:
    """Return what an error's text means for the work at hand."""
    for pattern, kind in _MEANINGS:
        if re.search(pattern, message, re.IGNORECASE):
            return kind(f"Earth Engine: {message}")
    return PermanentError(f"Earth Engine: {message}")


@translated
def _answer(request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ee.data._execute_cloud_call(request)
    return answer


class EarthEngineClient:
    """Earth Engine for one project (see shared.services.EarthEngine).

    The `ee` client keeps its session in the process, so there is one of these in a process.
    """

    def __init__(self, project: str, url: str | None = None) -> None:
        self._project = project
        self._url = url
        self._transport = LocalTransport()
        self._initialize_once = threading.Lock()
        self._initialized = False
        self._templates: dict[tuple[Any, ...], str] = {}

    @translated
    def find_images(self, run: Run) -> Iterator[FoundImage]:
        """List the images of a run: one request for every 500."""
        self.connect()
        images: list[FoundImage] = []
        page = 0
        while len(images) == page * PAGE:
            features = images_page(run.configuration, page).getInfo()
            images += [_found_image(feature) for feature in features]
            page += 1
        return iter(images)

    @translated
    def create_collection(self, asset_id: str) -> None:
        """Create an image collection and its folders; existing ones are left."""
        self.connect()
        root, path = asset_id.split("/assets/")
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            kind = "IMAGE_COLLECTION" if depth == len(parts) else "FOLDER"
            try:
                ee.data.createAsset({"type": kind}, f"{root}/assets/{'/'.join(parts[:depth])}")
            except ee.EEException as error:
                if not re.search("overwrite|already exists", str(error), re.IGNORECASE):
                    raise

    @translated
    def start_mask(self, run: Run, export: Export) -> str:
        """Start the export of one mask and return its operation's name: one request."""
        self.connect()
        request_id = ids.request_id(export.export_id, export.attempt)
        names = {IMAGE_ID: export.image_id, RUN_KEY: export.export_id, REQUEST_ID: request_id}
        request = self._images.export(project=f"projects/{self._project}", body={})
        # Text already: encoding a graph takes the client longer than all the rest.
        request.body = filled(self._template(run, export), names)
        request.body_size = len(request.body)
        return str(_answer(request)["name"])

    @translated
    def start_map(self, run: Run, export: Export, masks: Any = None) -> str:
        """Start the export of one map of a tile: one request."""
        self.connect()
        task = _map_export(run, export, run.configuration.destination if masks is None else masks)
        request_id = ids.request_id(export.export_id, export.attempt)
        task.config["description"] = f"{export.image_id} {request_id}"
        operation = ee.data.exportImage(request_id, task.config)
        return str(operation["name"])

    def tasks(self) -> Iterator[list[Task]]:
        """List the export tasks that carry an export id, newest first: one request a page."""
        self.connect()
        # The client's own listing reads all pages before it returns the first.
        operations = ee.data._get_cloud_projects().operations()
        request = operations.list(name=f"projects/{self._project}", pageSize=TASKS_PAGE)
        while request is not None:
            answer = _answer(request)
            found = map(_task, answer.get("operations", ()))
            yield [task for task in found if task is not None]
            request = operations.list_next(request, answer)

    @translated
    def describe_outputs(
        self, run: Run, kind: str, image_ids: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """Look at the outputs of one kind themselves: one request, whatever their number."""
        self.connect()
        look = outputs if kind == MASK else maps
        try:
            answer = look(run.collection_of(kind), image_ids).getInfo()
        except ee.EEException as error:
            if isinstance(meaning_of(str(error)), NotFound):
                return {}  # there is no collection, and so no output
            raise
        # Earth Engine leaves "features" out where no image matched.
        facts = [feature["properties"] for feature in answer.get("features", ())]
        # Earth Engine leaves out properties that are null: no valid pixel has no cloud share.
        blank = dict.fromkeys(
            ("run_key", "cloud_share", "valid_share", "background_images", "weather_days")
        )
        return {fact["image_id"]: {**blank, **fact} for fact in facts}

    def close(self) -> None:
        """Close connections to a local server; a later call opens them again."""
        self._transport.close()

    @translated
    def connect(self) -> None:
        """Start the client's session, unless it is there."""
        with self._initialize_once:
            if not self._initialized:
                _initialize(self._project, self._url, self._transport)
                self._initialized = True

    @functools.cached_property
    def _images(self) -> Any:
        """The client's calls for images, which it makes anew, and slowly, for each request."""
        return ee.data._get_cloud_projects().image()

    def _template(self, run: Run, export: Export) -> str:
        """Return the text of the request of exports like this one, with names to fill in.

        Requests of a kind differ only in ids, and building and encoding a graph takes the client
        longer than sending it.
        """
        key = (run.run_id, export.model, export.inputs, bool(export.replaces), export.grid)
        if key not in self._templates:
            self._templates[key] = json.dumps(_export_request(run, export))
        return self._templates[key]


def filled(template: str, names: Mapping[str, str]) -> str:
    """Return a request's text with a value in the place of each name."""
    for name, value in names.items():
        if not _HARMLESS.fullmatch(value):
            raise PermanentError(f"{name} is {value!r}, expected letters, digits, - and _")
        template = template.replace(name, value)
    return template


class LocalTransport:
    """HTTP to a server on this machine: no proxy, and a connection for each thread.

    It takes half the time of the client's own transport, which is made for the internet.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self._all: list[httplib2.Http] = []

    def request(self, *arguments: Any, **options: Any) -> Any:
        """Send a request and return its response and content."""
        if not hasattr(self._of_thread, "http"):
            self._of_thread.http = httplib2.Http(proxy_info=None)
            self._all.append(self._of_thread.http)
        return self._of_thread.http.request(*arguments, **options)

    def close(self) -> None:
        """Close all connections; a later request opens its own again."""
        for http in self._all:
            http.close()


def _initialize(project: str, url: str | None, transport: LocalTransport) -> None:
    if url is None:
        with credentials.needed():
            session, _ = google.auth.default(scopes=SCOPES, quota_project_id=project)
        ee.Initialize(session, project=project)
        return
    # The client would look for a list of deprecated data sets on the web, without a timeout.
    deprecation._FetchDataCatalogStac = dict
    ee.Initialize(
        google.auth.credentials.AnonymousCredentials(),
        project=project,
        url=url,
        http_transport=transport,
    )


def _export_request(run: Run, export: Export) -> dict[str, Any]:
    image = ee.Image(f"{run.configuration.collection}/{IMAGE_ID}")
    crs, scale = export.grid
    # Lists cannot be properties of an asset, so parameters are text, and inputs a number each.
    provenance = {
        "run_key": RUN_KEY,
        "run": run.run_id,
        "algorithm": MASK_ALGORITHM,
        "code_version": CODE_VERSION,
        "preset": run.configuration.mask.preset,
        "parameters": json.dumps(run.configuration.mask.deciding, sort_keys=True),
        "model": export.model,
        "source": f"{run.configuration.collection}/{IMAGE_ID}",
        **{f"{name}_present": 0 for name in INPUTS if name not in export.inputs},
    }
    mask = (
        mask_of(image, run.configuration, _model(run, export.model), export.inputs)
        .copyProperties(image, ["system:time_start", "system:time_end", *KEPT_PROPERTIES])
        .set(ee.Dictionary(provenance))
    )
    task = ee.batch.Export.image.toAsset(
        image=ee.Image(mask),
        description=f"{IMAGE_ID} {REQUEST_ID}",
        assetId=f"{run.configuration.destination}/{IMAGE_ID}",
        pyramidingPolicy={".default": "mean", "class": "mode"},
        region=image.geometry(),
        crs=crs,
        crsTransform=[scale, 0, 0, 0, -scale, 0],
        maxPixels=MAX_PIXELS,
        # Only what is known to be ours. The old mask is readable until the new one is complete.
        overwrite=bool(export.replaces),
    )
    expression = ee.serializer.encode(task.config["expression"], for_cloud_api=True)
    return {**task.config, "expression": expression, "requestId": REQUEST_ID}


def _map_export(run: Run, export: Export, masks: Any) -> ee.batch.Task:
    # Only one of the functions makes maps; the others would start later for it.
    from shared.earth.productivity import chosen_of, map_of

    wanted, year = run.configuration, products.year_of(export)
    assert wanted.products is not None
    scenes, chosen = (chosen_of(x, export.inputs) for x in (wanted.index_collection, masks))
    start, end = (int(datetime(x, 1, 1, tzinfo=UTC).timestamp() * 1000) for x in (year, year + 1))
    provenance = {
        "run_key": export.export_id,
        "run": run.run_id,
        "algorithm": products.ALGORITHM,
        "code_version": CODE_VERSION,
        "parameters": json.dumps(wanted.products.deciding(export.kind), sort_keys=True),
        "source": wanted.index_collection,
        "masks": len(export.inputs),
        "in_season": int(export.in_season),
        "MGRS_TILE": export.tile,
        "system:time_start": start,
        "system:time_end": end,
    }
    crs, scale = export.grid
    image = map_of(export.kind, run, year, scenes, chosen)
    # Dates and flags have no mean.
    whole = [x.name for x in products.bands_of(run, export.kind, year) if x.unit in ("", "YYDOY")]
    return ee.batch.Export.image.toAsset(
        image=image.set(ee.Dictionary(provenance)),
        assetId=run.place_of(export),
        pyramidingPolicy={".default": "mean", **dict.fromkeys(whole, "mode")},
        region=json.loads(export.footprint)["coordinates"],
        crs=crs,
        crsTransform=[scale, 0, 0, 0, -scale, 0],
        maxPixels=MAX_PIXELS,
        overwrite=bool(export.replaces),
    )


def _model(run: Run, version: str) -> Publication | models.OriginalModel:
    """Return the model that an export was recorded with, in the destination's project."""
    known = models.by_version()
    if version not in known:
        raise PermanentError(
            f"the image was recorded for model {version or None}, and this code has "
            f"{', '.join(known)}; find_images records it for one of these"
        )
    model = known[version]
    if isinstance(model, models.OriginalModel):
        return model
    root = run.configuration.destination.split("/assets/")[0]
    return Publication(model, f"{root}/assets/{models.PUBLISHED}/{model.asset_name}")


def _found_image(feature: dict[str, Any]) -> FoundImage:
    facts = feature["properties"]
    return FoundImage(
        image_id=facts["image_id"],
        sensed_ms=int(facts["sensed_ms"]),
        bands=tuple(facts["bands"]),
        crs=facts["crs"],
        footprint=feature["geometry"],
        on_land=bool(facts.get("on_land", True)),
        tile=facts.get("tile") or "",
        platform=facts.get("platform") or "",
        inputs=tuple(name for name in INPUTS if facts.get(name)),
    )


def _task(operation: dict[str, Any]) -> Task | None:
    """Return an operation as a task of ours, or None when it is somebody else's."""
    metadata = operation["metadata"]
    match = _DESCRIPTION.fullmatch(metadata.get("description", ""))
    if match is None:
        return None
    export_id, attempt = ids.split_request_id(match[1])
    ended = None
    if metadata["state"] in _ENDED:
        ended = EndedTask(
            export_id=export_id,
            attempt=attempt,
            state=metadata["state"],
            operation=operation["name"],
            error=operation.get("error", {}).get("message", ""),
            eecu_seconds=float(metadata.get("batchEecuUsageSeconds", 0)),
        )
    return Task(operation["name"], export_id, attempt, ended)
