"""What no one should send: an answer in Earth Engine's words, and nothing else happens."""

import json
import string
import time

import ee
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROJECT = "projects/demo-project"
ROOT = f"{PROJECT}/assets"
#: Requests that each fuzz test makes.
EXAMPLES = 200
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

CONSTANT = {"result": "0", "values": {"0": {"constantValue": 1}}}
METHODS = [
    ("POST", f"{PROJECT}/value:compute"),
    ("POST", f"{PROJECT}/image:computePixels"),
    ("POST", f"{PROJECT}/table:computeFeatures"),
    ("POST", f"{PROJECT}/imageCollection:computeImages"),
    ("POST", f"{PROJECT}/image:export"),
    ("POST", f"{PROJECT}/table:export"),
    ("POST", f"{PROJECT}/classifier:export"),
    ("POST", f"{PROJECT}/image:import"),
    ("POST", f"{PROJECT}/table:import"),
    ("POST", f"{PROJECT}/image:importExternal"),
    ("POST", f"{PROJECT}/thumbnails"),
    ("POST", f"{PROJECT}/maps"),
    ("POST", f"{PROJECT}/tables"),
    ("POST", f"{PROJECT}/assets"),
    ("PATCH", f"{PROJECT}/config"),
    ("GET", f"{PROJECT}/operations"),
    ("POST", f"{PROJECT}/operations/x:wait"),
    ("POST", f"{PROJECT}/operations/x:cancel"),
    ("GET", f"{PROJECT}:listAssets"),
    ("POST", f"{ROOT}/x:copy"),
    ("POST", f"{ROOT}/x:move"),
    ("POST", f"{ROOT}/x:getPixels"),
    ("POST", f"{ROOT}/x:setIamPolicy"),
    ("POST", f"{ROOT}/x:testIamPermissions"),
    ("GET", f"{ROOT}/x:listFeatures"),
    ("PATCH", f"{ROOT}/x"),
]
FIELDS = [
    *("expression", "fileFormat", "grid", "bandIds", "visualizationOptions", "pageSize"),
    *("pageToken", "workloadTag", "imageManifest", "tableManifest", "overwrite", "requestId"),
    *("description", "priority", "maxPixels", "assetExportOptions", "fileExportOptions"),
    *("earthEngineDestination", "cloudStorageDestination", "driveDestination", "selectors"),
    *("name", "tilesets", "sources", "uris", "bands", "id", "tilesetId", "tilesetBandIndex"),
    *("missingData", "values", "maskBands", "footprint", "points", "x", "y", "properties"),
    *("startTime", "endTime", "pyramidingPolicy", "uriPrefix", "affineTransform", "crs"),
    *("crsCode", "dimensions", "width", "height", "scaleX", "scaleY", "ranges", "gamma"),
    *("destinationName", "asset", "updateMask", "paths", "policy", "bindings", "role"),
    *("type", "cloudStorageLocation", "permissions", "timeout", "maxConcurrentExports"),
    *("region", "coordinates", "result", "bucket", "filenamePrefix", "folder", "columns"),
]
ODD_TEXT = ["", "..", "../../x", "/etc/passwd", "gs://b/../x", "\0", "a" * 300, "é", "%2e%2e", "1"]
ODD_TEXT += ["gs://b/a.tif", f"{ROOT}/a", "IMAGE", "FOLDER", "MEAN", "NPY", "EPSG:4326", "0"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(ODD_TEXT)
    | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
        | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=20,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)


@pytest.fixture(scope="module")
def session(ee_emulator):
    """A connection to the emulator."""
    with requests.Session() as session:
        session.url = ee_emulator.url
        yield session


def check(answer):
    """Raise unless an answer is one that Earth Engine could give."""
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert set(error) == {"code", "message", "status"}
        assert error["code"] == answer.status_code


def files(folder):
    """Return what is in a folder and beside it, but for the database and the log."""
    skipped = ("emulator.sqlite", "requests.jsonl", "lock")
    found = [*folder.parent.iterdir(), *(folder.rglob("*"))]
    return {path for path in found if not path.name.startswith(skipped)}


def encode(body):
    """Write JSON as lenient senders do, infinities among the numbers as 1e999."""
    return json.dumps(body).replace("-Infinity", "-1e999").replace("Infinity", "1e999").encode()


@FUZZ
@given(method=st.sampled_from(METHODS), body=BODIES)
def test_random_bodies(session, method, body):
    verb, path = method
    check(session.request(verb, f"{session.url}/v1/{path}", data=encode(body)))


@FUZZ
@given(
    method=st.sampled_from(METHODS),
    field=st.sampled_from(FIELDS),
    value=VALUES,
    inner=st.sampled_from(FIELDS),
)
def test_one_wrong_field(session, method, field, value, inner):
    """Valid bodies but for one field, at the top or one level down."""
    verb, path = method
    body = VALID.get(path, {"expression": CONSTANT})
    body = {**body, field: value}
    for name, content in body.items():
        if isinstance(content, dict) and name != "expression":
            body = {**body, name: {**content, inner: value}}
    check(session.request(verb, f"{session.url}/v1/{path}", data=encode(body)))


@FUZZ
@given(
    path=st.text(st.sampled_from(string.ascii_letters + "/.:%{}~\\ 0é\0"), max_size=60),
    verb=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
)
def test_random_paths(session, path, verb):
    quoted = requests.utils.quote(path, safe="/:")
    check(session.request(verb, f"{session.url}/v1/{PROJECT}/assets/{quoted}", json={}))
    check(session.request(verb, f"{session.url}/v1/{quoted}", json={}))


@FUZZ
@given(
    query=st.dictionaries(
        st.sampled_from(["pageSize", "pageToken", "filter", "view", "fields", "region", "assetId"]),
        st.text(max_size=30) | st.sampled_from(ODD_TEXT),
    )
)
def test_random_queries(session, query):
    for path in (f"{PROJECT}:listAssets", f"{PROJECT}/operations", f"{ROOT}/x:listFeatures"):
        check(session.get(f"{session.url}/v1/{path}", params=query))
    check(session.post(f"{session.url}/v1/{PROJECT}/assets", params=query, json={"type": "FOLDER"}))


@FUZZ
@given(
    st.text(
        st.sampled_from("properties.n \"'()*:<>=!-\\1ANDORNOT{}[],intersectsstartTime"), max_size=60
    )
)
def test_random_filters(session, text):
    check(session.get(f"{session.url}/v1/{PROJECT}:listAssets", params={"filter": text}))


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b'{"a": "\xed\xa0\x80"}',
        b'{"type": "FOLDER", "properties": {"k": "\\ud800"}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"priority": ' + b"9" * 10_000 + b"}",
        b'{"expression": NaN}',
        b"null",
        b'"text"',
    ],
)
@pytest.mark.parametrize("method", METHODS[:15])
def test_malformed_json(session, method, body):
    verb, path = method
    answer = session.request(verb, f"{session.url}/v1/{path}", data=body)
    check(answer)
    assert answer.status_code == 400


TRICKS = [
    "..",
    "../../x",
    "a/../../../x",
    "/etc/passwd",
    "%2e%2e/x",
    "a%2f..%2f..",
    "a\0b",
    "a" * 5000,
]


@pytest.mark.parametrize("trick", TRICKS)
def test_names_that_are_paths_lead_nowhere(session, ee_emulator, trick):
    before = files(ee_emulator.data)
    base = f"{session.url}/v1"
    name = f"{ROOT}/{trick}"
    manifest = {"name": name, "tilesets": [{"sources": [{"uris": ["gs://bucket/a.tif"]}]}]}
    destination = {"assetExportOptions": {"earthEngineDestination": {"name": name}}}
    for verb, path, options in [
        ("GET", name, {}),
        ("DELETE", name, {}),
        ("PATCH", name, {"json": {}}),
        ("POST", f"{PROJECT}/assets?assetId={trick}", {"json": {"type": "FOLDER"}}),
        ("POST", f"{ROOT}/x:copy", {"json": {"destinationName": name}}),
        ("POST", f"{ROOT}/x:move", {"json": {"destinationName": name}}),
        ("POST", f"{PROJECT}/image:import", {"json": {"imageManifest": manifest}}),
        ("POST", f"{PROJECT}/image:importExternal", {"json": {"imageManifest": manifest}}),
        ("POST", f"{PROJECT}/image:export", {"json": {"expression": CONSTANT} | destination}),
    ]:
        # Prepared by hand: the library would tidy the path up.
        request = requests.Request(verb, f"{base}/", **options).prepare()
        request.url = f"{base}/{path}".replace("\0", "%00")
        answer = session.send(request)
        check(answer)
        assert answer.status_code in (400, 403, 404)
    assert files(ee_emulator.data) == before


@pytest.mark.parametrize(
    "uri",
    [
        *(f"gs://b-fuzz/{trick}" for trick in TRICKS),
        *("gs://../x", "gs://b-fuzz", "gs://", "file:///etc/passwd", "/vsicurl/http://localhost/"),
        *("gs://b-fuzz/link/passwd", "gs://b-fuzz/./x", "gs://b-fuzz//x", "gs://B_/x"),
    ],
)
def test_uris_that_are_paths_lead_nowhere(session, ee_emulator, uri):
    bucket = ee_emulator.data / "buckets" / "b-fuzz"
    bucket.mkdir(parents=True, exist_ok=True)
    if not (bucket / "link").is_symlink():
        (bucket / "link").symlink_to("/etc")
    before = files(ee_emulator.data)
    manifest = {"name": f"{ROOT}/leads_nowhere", "tilesets": [{"sources": [{"uris": [uri]}]}]}
    with pytest.raises(ee.EEException) as refused:
        ee.data.startExternalImageIngestion(manifest)
    assert "Cloud Storage" in str(refused.value)
    assert files(ee_emulator.data) == before


@pytest.mark.parametrize(
    "grid",
    [
        {"dimensions": {"width": 10**9, "height": 1}},
        {"dimensions": {"width": 32_768, "height": 32_768}},
        {"dimensions": {"width": -5, "height": 5}},
        {"dimensions": {"width": 1.5, "height": 5}},
        {"dimensions": "5x5"},
        {"affineTransform": {"scaleX": 1e-300, "scaleY": 1e-300}},
        {"affineTransform": {"scaleX": 1, "shearX": 1, "shearY": 1, "scaleY": 1}},
        {"affineTransform": {"scaleX": "NaN", "scaleY": 1}},
        {"affineTransform": []},
        {"crsCode": "EPSG:999999"},
        {"crsCode": "../../etc/passwd"},
        {"crsCode": 4326},
        {"crsCode": "EPSG:32633", "affineTransform": {"scaleX": 1e-9, "scaleY": 1e-9}},
    ],
)
def test_absurd_grids(session, grid):
    square = ee.Geometry.Rectangle([0, 0, 1, 1])
    image = ee.Image.constant(1).clipToBoundsAndScale(square, scale=1e4)
    body = {"expression": json.loads(ee.serializer.toJSON(image)), "grid": grid}
    answer = session.post(f"{session.url}/v1/{PROJECT}/image:computePixels", json=body)
    check(answer)
    assert answer.status_code == 400


VALID = {
    f"{PROJECT}/image:import": {
        "imageManifest": {
            "name": f"{ROOT}/fuzzed",
            "tilesets": [{"sources": [{"uris": ["gs://bucket/a.tif"]}]}],
        }
    },
    f"{PROJECT}/table:import": {
        "tableManifest": {"name": f"{ROOT}/fuzzed", "sources": [{"uris": ["gs://bucket/a.csv"]}]}
    },
    f"{PROJECT}/image:export": {
        "expression": CONSTANT,
        "assetExportOptions": {"earthEngineDestination": {"name": f"{ROOT}/fuzzed"}},
    },
    f"{PROJECT}/assets": {"type": "FOLDER", "properties": {"k": 1}},
    f"{ROOT}/x:copy": {"destinationName": f"{ROOT}/fuzzed"},
    f"{PROJECT}/config": {},
}
VALID[f"{PROJECT}/image:importExternal"] = VALID[f"{PROJECT}/image:import"]


def test_long_queries_travel_in_the_body(ee_emulator):
    """The client sends a GET of more than 2048 characters as a POST."""
    folder = ee.data.createAsset({"type": "IMAGE_COLLECTION"}, f"{ROOT}/long_query")["name"]
    ring = [[0, 0], *([1, i / 300] for i in range(300)), [0, 1], [0, 0]]
    listing = ee.data.listImages(
        {"parent": folder, "region": {"type": "Polygon", "coordinates": [ring]}}
    )
    assert listing == {"images": []}


def test_no_task_failed_for_an_internal_reason(ee_emulator):
    """What the tests above have started."""
    while not all(operation["done"] for operation in ee.data.listOperations()):
        time.sleep(0.1)
    internal = 13  # https://grpc.github.io/grpc/core/md_doc_statuscodes.html
    errors = [operation.get("error", {}) for operation in ee.data.listOperations()]
    assert [error for error in errors if error.get("code") == internal] == []
