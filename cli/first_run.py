"""`verdure first-run`: ask the live service what its documentation leaves open; keep the answers.

Each question is an experiment of seconds with exports of one pixel, which it deletes again. The
answers are kept in the ledger's settings, with the time they were given. Run again after some days,
the first question's answer grows: the same request id is used as the first time.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ee

from cli.doctor import Deployment
from shared.domain import ids
from shared.services import Ledger

#: Seconds to wait for exports of one pixel; a queue with others' tasks in it takes longer.
PATIENCE = 600.0
#: Seconds between two looks at tasks.
PAUSE = 1.0
#: Exports at once, of which as many run as the plan allows.
EXPORTS = 12
#: Filter of infra/audit.tf, for the entries of an operation's end.
AUDIT_FILTER = (
    'protoPayload.serviceName="earthengine.googleapis.com" AND '
    'protoPayload.methodName=~"\\.EarthEngine\\.ExportImage$" AND operation.last=true'
)


@dataclass(frozen=True)
class Answer:
    """What an experiment found: values for programs, and a sentence."""

    name: str
    values: dict[str, Any]
    sentence: str


@dataclass(frozen=True)
class Scene:
    """What experiments work with: a folder of their own in Earth Engine, and the ledger."""

    deployment: Deployment
    ledger: Ledger
    bucket: str | None  # for the question of COG-backed assets
    moment: datetime

    @property
    def folder(self) -> str:
        """The folder of the experiments' assets."""
        return f"projects/{self.deployment.project}/assets/verdure-first-run"


def ask(scene: Scene) -> Iterator[Answer]:
    """Carry out the experiments; `ee` is initialised. Answers are kept as they come."""
    questions: tuple[Callable[[Scene], Answer | None], ...] = (
        _request_ids,
        _concurrency,
        _expressions,
        _audit_log,
        _cog_backed,
    )
    _delete(scene.folder)
    ee.data.createAsset({"type": "FOLDER"}, scene.folder)
    try:
        for question in questions:
            answer = question(scene)
            if answer is not None:
                kept = {**answer.values, "asked": scene.moment.isoformat(timespec="seconds")}
                scene.ledger.keep_setting(answer.name, json.dumps(kept))
                yield answer
    finally:
        _delete(scene.folder)


def _request_ids(scene: Scene) -> Answer:
    """Ask for how long Earth Engine answers a repeated request id with the first task."""
    known = json.loads(scene.ledger.settings().get("request-ids", "null"))
    first = known or {"first": scene.moment.isoformat(timespec="seconds")}
    request_id = f"first-run-{ids.digest([scene.deployment.project, first['first']])[:20]}"
    before = first.get("operation") or _export(scene, "request-id", request_id)
    again = _export(scene, "request-id-again", request_id)
    age = scene.moment.replace(microsecond=0) - datetime.fromisoformat(first["first"])
    same = before == again
    remembered = {"remembered_hours": age / timedelta(hours=1)} if same else {}
    values = {**first, "operation": before, "same": same, **remembered}
    words = "the first task" if same else "a new task, so that repeats are only safe for less long"
    _wait(scene, [before, again])
    return Answer("request-ids", values, f"a request id is answered, {age} later, with {words}")


def _concurrency(scene: Scene) -> Answer:
    """Ask how many exports of this project run at once."""
    config = ee.data.getProjectConfig()
    names = [_export(scene, f"concurrency-{i}", _new_id(scene, i)) for i in range(EXPORTS)]
    most = _wait(scene, names)
    allowed = config.get("maxConcurrentExports")
    return Answer(
        "concurrency",
        {"configured": allowed, "seen": most, "exports": EXPORTS},
        f"{allowed} exports may run at once; of {EXPORTS}, {most} were seen to",
    )


def _expressions(scene: Scene) -> Answer:
    """Ask whether an expression of numbers knows functions of two, as the sun's place needs."""
    expected = math.atan2(4, 3)  # Earth Engine's takes x before y
    try:
        found, said = ee.Number.expression("atan2(3, 4)").getInfo(), ""
    except ee.EEException as error:
        found, said = None, str(error)
    fine = found is not None and math.isclose(found, expected)
    words = "as shadows count on" if fine else f"expected {expected:.4f}; {said}"
    return Answer(
        "expressions",
        {"fine": fine, "found": found, "error": said},
        f"atan2(3, 4) of an expression is {found}, {words}",
    )


def _audit_log(scene: Scene) -> Answer | None:
    """Ask whether the audit log says when an export ends."""
    if not scene.deployment.has("logging"):
        return None
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    body = {
        "resourceNames": [f"projects/{scene.deployment.project}"],
        "filter": f'{AUDIT_FILTER} AND timestamp>="{since}"',
        "pageSize": 10,
    }
    status, content = scene.deployment.post("logging", "v2/entries:list", body)
    entries = len(content.get("entries", ()))
    return Answer(
        "audit-log",
        {"entries": entries, "status": status},
        f"the audit log has {entries} entries on the end of these exports"
        + ("" if entries else "; watch_audit_log would have nothing to watch"),
    )


def _cog_backed(scene: Scene) -> Answer | None:
    """Ask what an asset over a file in Cloud Storage counts for in the quota."""
    if scene.bucket is None:
        return None
    prefix = f"verdure-first-run/{_new_id(scene, 'cog')}"
    task = ee.batch.Export.image.toCloudStorage(
        image=_pixel(),
        description="verdure first-run cog",
        bucket=scene.bucket,
        fileNamePrefix=prefix,
        formatOptions={"cloudOptimized": True},
        **_grid(),
    )
    task.start()
    _wait(scene, [task.operation_name])
    before = _usage(scene)
    ee.data.startExternalImageIngestion(
        {
            "name": f"{scene.folder}/cog",
            "tilesets": [{"id": "0", "sources": [{"uris": [f"gs://{scene.bucket}/{prefix}.tif"]}]}],
            "bands": [{"id": "constant", "tilesetId": "0", "tilesetBandIndex": 0}],
        },
    )
    after = _usage(scene)
    counted = {kind: after[kind] - before[kind] for kind in after}
    return Answer(
        "cog-backed",
        counted,
        f"an asset over a file counts {counted['assets']} assets and {counted['bytes']} bytes; "
        f"the file gs://{scene.bucket}/{prefix}.tif may be deleted",
    )


def _usage(scene: Scene) -> dict[str, int]:
    quota = ee.data.getAssetRootQuota(f"projects/{scene.deployment.project}/assets")
    return {"assets": quota["asset_count"]["usage"], "bytes": quota["asset_size"]["usage"]}


def _new_id(scene: Scene, what: object) -> str:
    return f"first-run-{ids.digest([scene.moment.isoformat(), str(what)])[:20]}"


def _pixel() -> ee.Image:
    return ee.Image.constant(1).toByte()


def _grid() -> dict[str, Any]:
    return {
        "region": ee.Geometry.Rectangle([14, 45, 14.001, 45.001], proj="EPSG:4326", geodesic=False),
        "crs": "EPSG:4326",
        "crsTransform": [0.001, 0, 14, 0, -0.001, 45.001],
    }


def _export(scene: Scene, name: str, request_id: str) -> str:
    """Start an export of one pixel under a request id, and return its operation's name."""
    task = ee.batch.Export.image.toAsset(
        image=_pixel(),
        description=f"verdure first-run {name}",
        assetId=f"{scene.folder}/{name}",
        **_grid(),
    )
    return str(ee.data.exportImage(request_id, task.config)["name"])


def _wait(scene: Scene, operations: list[str]) -> int:
    """Wait until operations are over, and return the most that were seen to run at once."""
    most, deadline = 0, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        listed = {x["name"]: x["metadata"]["state"] for x in ee.data.listOperations()}
        states = [listed.get(name, "SUCCEEDED") for name in operations]
        most = max(most, states.count("RUNNING"))
        if not {"PENDING", "RUNNING", "CANCELLING"} & set(states):
            return most
        time.sleep(PAUSE)
    raise TimeoutError(f"exports of one pixel did not end in {PATIENCE:.0f} s: {operations}")


def _delete(folder: str) -> None:
    """Delete a folder and what is in it, if it is there."""
    try:
        children = ee.data.listAssets(folder).get("assets", ())
    except ee.EEException as error:
        if "not found" in str(error).lower() or "does not exist" in str(error).lower():
            return
        raise
    for child in children:
        ee.data.deleteAsset(child["name"])
    ee.data.deleteAsset(folder)
