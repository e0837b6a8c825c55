"""The methods of https://developers.google.com/earth-engine/reference/rest/v1/projects.assets."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emulator import engine, fields
from emulator.assets.patch import patched_properties
from emulator.assets.store import CONTAINERS, AssetStore, AssetType
from emulator.catalogue import PUBLIC_ROOT, Catalogue
from emulator.errors import EarthEngineError
from emulator.exports.tables import geojson
from emulator.fields import Json
from emulator.functions.geometry import Geometry
from emulator.ingest.ingestion import Ingestion
from emulator.rest import pixels
from emulator.rest.asset_filter import intersects, parse_filter, parse_region
from emulator.rest.resources import asset_resource
from emulator.rest.server import Call, Content, Method, custom

#: Assets per page, by view (reference/rest/v1/EarthEngineAssetView), and features per page.
MAX_BASIC_LISTED = 10_000
MAX_LISTED = 1000
MAX_FEATURES = 1000
VIEWS = ("EARTH_ENGINE_ASSET_VIEW_UNSPECIFIED", "FULL", "BASIC")
ASSET_TYPES = (*CONTAINERS, "IMAGE", "TABLE", "CLASSIFIER", "FEATURE_VIEW")
#: Everyone may read public assets.
PUBLIC_POLICY = {"bindings": [{"role": "roles/viewer", "members": ["allUsers"]}]}


@dataclass(frozen=True)
class Row:
    """A feature as filters see it."""

    properties: Json
    footprint: Json | None


class AssetMethods:
    """What the REST API does with assets."""

    def __init__(self, catalogue: Catalogue, assets: AssetStore, ingestion: Ingestion) -> None:
        self._catalogue = catalogue
        self._assets = assets
        self._ingestion = ingestion

    def methods(self) -> list[Method]:
        """Return the methods; of two paths that fit a request, the first is taken."""
        project = "/v1/projects/{project}"
        asset = "/v1/projects/{owner}/assets/{asset:path}"
        return [
            custom(project, "projects.listAssets", self._list_root, "GET"),
            custom(asset, "assets.listAssets", self._list_children, "GET"),
            custom(asset, "assets.listFeatures", self._list_features, "GET", heavy=True),
            custom(asset, "assets.getPixels", self._get_pixels, heavy=True, reads=True),
            Method("assets.create", "POST", f"{project}/assets", self._create),
            custom(asset, "assets.copy", self._copy),
            custom(asset, "assets.move", self._move),
            custom(asset, "assets.getIamPolicy", self._policy, reads=True),
            custom(asset, "assets.setIamPolicy", self._set_policy),
            custom(asset, "assets.testIamPermissions", self._test_permissions),
            Method("assets.get", "GET", asset, self._get),
            Method("assets.patch", "PATCH", asset, self._patch),
            Method("assets.delete", "DELETE", asset, self._delete),
        ]

    # Reading.

    def _get(self, call: Call) -> Json:
        name = _asset_name(call).rstrip("/")
        resource = asset_resource(self._catalogue.asset(name))
        if name == self._assets.root:
            resource["quota"] = self._assets.quota()
        elif resource["type"] == "TABLE":
            resource["featureCount"] = str(len(self._catalogue.table(name) or ()))
        return resource

    def _list_root(self, call: Call) -> Json:
        return self._list(self._assets.root, call)

    def _list_children(self, call: Call) -> Json:
        return self._list(_asset_name(call).rstrip("/"), call)

    def _list(self, parent: str, call: Call) -> Json:
        kind = self._catalogue.asset(parent).type
        if kind not in CONTAINERS:
            raise EarthEngineError(f"Asset '{parent}' is not a folder or a collection.")
        passes = parse_filter(call.query.get("filter", ""))
        # Folders are always listed in the basic view, and without a filter.
        of_images = kind == "IMAGE_COLLECTION"
        basic = fields.choice(call.query, "view", VIEWS, "FULL") == "BASIC" or not of_images
        size = page_size(call.query, MAX_BASIC_LISTED if basic else MAX_LISTED)
        after = call.query.get("pageToken", "")
        if after and not after.startswith(f"{parent}/"):
            raise invalid_token(after)
        children = self._catalogue.children(parent, after)
        chosen = filter(passes, children) if of_images else children
        found = list(itertools.islice(chosen, size + 1))
        page: dict[str, Any] = {"assets": [asset_resource(child, basic) for child in found[:size]]}
        if len(found) > size:
            page["nextPageToken"] = found[size - 1].name
        return page

    def _list_features(self, call: Call) -> Json:
        name = self._checked(call, "TABLE")
        region = parse_region(call.query["region"]) if call.query.get("region") else None
        passes = parse_filter(call.query.get("filter", ""), {})
        table = engine.evaluate(_invocation("Collection.loadTable", tableId=name), self._catalogue)

        def chosen() -> Iterator[Json]:
            for feature in table:
                row = geojson(feature)
                subject = Row(row["properties"], row["geometry"])
                if passes(subject) and (region is None or intersects(subject, region)):
                    yield row

        return feature_page(chosen(), call.query)

    def _get_pixels(self, call: Call) -> Content:
        name = self._checked(call, "IMAGE")
        asset_id = name.removeprefix(PUBLIC_ROOT)
        loaded = engine.evaluate(_invocation("Image.load", id=asset_id), self._catalogue)
        region = fields.mapping(call.body, "region")
        shape = Geometry(parse_region(json.dumps(region)), geodesic=False) if region else None
        image = pixels.prepared(loaded, call.body)
        box = pixels.requested_box(image, fields.mapping(call.body, "grid"), shape)
        return pixels.render(image, box, pixels.file_format(call.body))

    def _checked(self, call: Call, kind: AssetType) -> str:
        """Return the name of an asset that must be of a type."""
        name = _asset_name(call)
        if self._catalogue.asset(name).type != kind:
            raise EarthEngineError(f"Asset '{name}' is not of type {kind}.")
        return name

    # Changing.

    def _create(self, call: Call) -> Json:
        name = f"{self._assets.root}/{call.query.get('assetId', '')}"
        kind = fields.choice(call.body, "type", ASSET_TYPES, "")
        if kind == "IMAGE":
            overwrite = call.query.get("overwrite") == "true"
            return asset_resource(self._ingestion.create_external(name, call.body, overwrite))
        if kind not in CONTAINERS:
            raise EarthEngineError(f"Assets of type {kind} cannot be created without data.")
        properties = patched_properties({}, call.body, ())
        return asset_resource(self._assets.create(name, kind, properties))

    def _patch(self, call: Call) -> Json:
        changes = fields.mapping(call.body, "asset")
        return asset_resource(self._assets.update(_asset_name(call), changes, _mask(call.body)))

    def _delete(self, call: Call) -> Json:
        self._assets.delete(_asset_name(call))
        return {}

    def _copy(self, call: Call) -> Json:
        overwrite = fields.flag(call.body, "overwrite")
        return asset_resource(self._assets.copy(_asset_name(call), _destination(call), overwrite))

    def _move(self, call: Call) -> Json:
        return asset_resource(self._assets.move(_asset_name(call), _destination(call)))

    # Who may do what: remembered, never enforced.

    def _policy(self, call: Call) -> Json:
        name = _asset_name(call)
        self._catalogue.asset(name)
        return PUBLIC_POLICY if name.startswith(PUBLIC_ROOT) else self._assets.policy(name)

    def _set_policy(self, call: Call) -> Json:
        policy = fields.mapping(call.body, "policy")
        for binding in fields.messages(policy, "bindings"):
            fields.text(binding, "role")
            fields.texts(binding, "members")
        self._assets.set_policy(_asset_name(call), policy)
        return policy

    def _test_permissions(self, call: Call) -> Json:
        self._catalogue.asset(_asset_name(call))
        return {"permissions": fields.texts(call.body, "permissions")}


def page_size(request: Json, most: int) -> int:
    """Return how many items a page may have."""
    size = fields.whole(request, "pageSize")
    if size < 0:
        raise EarthEngineError(f"The page size must not be negative: {size}.")
    return min(size or most, most)


def invalid_token(token: str) -> EarthEngineError:
    """Return the error for a page token that no answer had."""
    return EarthEngineError(f"Invalid page token '{token}'.")


def feature_page(rows: Iterator[Json], request: Json) -> Json:
    """Return the page of GeoJSON features that a request asks for; its token is a position."""
    page, token = numbered_page(rows, request)
    answer: dict[str, Any] = {"type": "FeatureCollection", "features": page}
    return answer | token


def numbered_page(items: Iterator[Any], request: Json) -> tuple[list[Any], Json]:
    """Return the items of a page, and the next page's token: how many are before it."""
    size = page_size(request, MAX_FEATURES)
    first = fields.whole(request, "pageToken") if request.get("pageToken") else 0
    if first < 0:
        raise invalid_token(str(first))
    for _ in range(first):
        if next(items, None) is None:
            raise invalid_token(str(first))
    found = list(itertools.islice(items, size + 1))
    token = {"nextPageToken": str(first + size)} if len(found) > size else {}
    return found[:size], token


def _asset_name(call: Call) -> str:
    return f"projects/{call.path['owner']}/assets/{call.path['asset']}"


def _destination(call: Call) -> str:
    fields.required(call.body, "destinationName")
    return fields.text(call.body, "destinationName")


def _mask(body: Json) -> list[str]:
    """Return the paths of an update mask: as JSON has it, or as the client sends it."""
    mask = body.get("updateMask")
    if isinstance(mask, str):
        return [path.strip() for path in mask.split(",") if path.strip()]
    return fields.texts(fields.mapping(body, "updateMask"), "paths")


def _invocation(function: str, **arguments: Any) -> Json:
    """Return an expression that calls one function."""
    constants = {name: {"constantValue": value} for name, value in arguments.items()}
    call = {"functionName": function, "arguments": constants}
    return {"result": "0", "values": {"0": {"functionInvocationValue": call}}}
