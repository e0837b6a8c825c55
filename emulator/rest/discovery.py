"""The two documents the client reads first: the API's description and its algorithms.

The client package carries both for its own tests, but its API description is older than the
client (v1alpha of February 2020). The patches below bring it to what the client of today calls;
method names follow https://developers.google.com/earth-engine/reference/rest/v1.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

PROJECT = "^projects/[^/]+$"
ASSET_OR_ROOT = "^projects/[^/]+/assets/.*$"
CONFIG = "^projects/[^/]+/config$"
#: Methods that the description lacks: id below `projects`, path, query parameters.
POSTS = (
    ("image.importExternal", "{+project}/image:importExternal", []),
    ("classifier.export", "{+project}/classifier:export", []),
    ("featureView.create", "{+parent}/featureView", ["fields"]),
    ("tables.create", "{+parent}/tables", ["fields", "workloadTag"]),
)


def algorithms() -> bytes:
    """Return the signatures of Earth Engine's algorithms, as `algorithms.list` answers them."""
    return files("ee").joinpath("tests/algorithms.json").read_bytes()


def discovery_document() -> bytes:
    """Return the API description (https://developers.google.com/discovery) of REST v1."""
    packaged = files("ee").joinpath("tests/cloud_api_discovery_document.json").read_text()
    document = json.loads(packaged.replace("v1alpha", "v1"))
    _patch(document["resources"]["projects"])
    return json.dumps(document, separators=(",", ":")).encode()


def _patch(projects: dict[str, Any]) -> None:
    resources = projects["resources"]
    assets = resources["assets"]["methods"]

    assets["get"]["parameters"]["name"]["pattern"] = ASSET_OR_ROOT
    assets["create"]["parameters"]["overwrite"] = _query("boolean")
    for method in (projects["methods"]["listAssets"], assets["listAssets"]):
        method["parameters"] |= {"filter": _query(), "view": _query()}
    _rename_path_parameter(assets["listFeatures"], "parent", "asset")
    _rename_path_parameter(resources["algorithms"]["methods"]["list"], "project", "parent")
    for name in ("thumbnails", "videoThumbnails", "filmstripThumbnails", "maps"):
        resources[name]["methods"]["create"]["parameters"]["workloadTag"] = _query()

    methods = projects["methods"]
    methods["getConfig"] = _method("projects.getConfig", "GET", "{+name}", CONFIG)
    methods["updateConfig"] = _method(
        "projects.updateConfig", "PATCH", "{+name}", CONFIG, ["updateMask"]
    )
    for name, path, query in POSTS:
        resource, _, action = name.partition(".")
        methods = resources.setdefault(resource, {"methods": {}})["methods"]
        methods[action] = _method(f"projects.{name}", "POST", path, PROJECT, query)


def _query(kind: str = "string") -> dict[str, str]:
    return {"location": "query", "type": kind}


def _method(
    method_id: str, verb: str, path: str, pattern: str, query: Sequence[str] = ()
) -> dict[str, Any]:
    name = path[path.index("+") + 1 : path.index("}")]
    parameter = {"location": "path", "pattern": pattern, "required": True, "type": "string"}
    method: dict[str, Any] = {
        "id": f"earthengine.{method_id}",
        "httpMethod": verb,
        "path": f"v1/{path}",
        "parameters": {name: parameter, **{each: _query() for each in query}},
        "parameterOrder": [name],
        "response": {"type": "any"},
    }
    if verb != "GET":
        method["request"] = {"type": "any"}
    return method


def _rename_path_parameter(method: dict[str, Any], old: str, new: str) -> None:
    method["parameters"][new] = method["parameters"].pop(old)
    method["parameterOrder"] = [new]
    method["path"] = method["path"].replace(f"+{old}", f"+{new}")
