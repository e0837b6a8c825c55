"""What archiving costs beside Earth Engine's own work, to a loop that a person would write."""

import json
import tempfile
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import ee

from benchmarks.result import Result
from cli import stacks
from shared import bootstrap
from shared.domain.archive import ArchivePolicy, Quota
from shared.domain.exports import Export, State
from shared.domain.runs import RunConfiguration, register
from shared.messages import RestoreRequested
from shared.services import EarthAssets, Ledger

IMAGES = 100
#: Images of the loop, which takes a second and more for each.
LOOPED = 4
ROUNDS = 3
#: Seconds between two looks of the loop at its task; people write 5 to 60.
POLL = 1.0
BUCKET = "bench-archive"
ROOT = "projects/demo-project/assets"
MASKS = f"{ROOT}/bench"
CRS, SIDE = "EPSG:32633", 20
RUN = register(
    RunConfiguration(
        name="bench",
        region={"type": "Point", "coordinates": [14, 45]},
        start=date(2018, 3, 1),
        end=date(2018, 11, 1),
        destination=MASKS,
        archive=ArchivePolicy(bucket=BUCKET, undo_hours=0, per_call=250, low=0.01),
    )
)


def control_plane() -> dict[str, Result]:
    """Measure seconds an archived image, Earth Engine's own time to answer left out of ours only.

    The baseline exports an image to the bucket, waits for the task, reads the object, deletes the
    asset, then takes the next one.
    """
    rounds = [_round() for _ in range(ROUNDS)]
    ours, requests, back, looped = sorted(rounds, key=lambda x: x[0] / x[3])[ROUNDS // 2]
    baseline = "s/image, export, wait, copy, delete"
    return {
        "archive_control_plane": Result(ours, "s/image", 1 / 20, "at most", looped, baseline),
        "archive_requests_per_image": Result(requests, "requests", 3, "at most"),
        "restore_requests_per_image": Result(back, "requests", 2, "at most"),
    }


def _round() -> tuple[float, float, float, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bucket = folder / "earth-engine" / "buckets" / BUCKET
        bucket.mkdir(parents=True)
        with stacks.start("embedded", folder, [], ["--concurrency", "2"]) as stack:
            services = stack.services
            services.ledger.add_run(RUN)
            services.earth_engine.create_collection(MASKS)
            _make_masks(services.ledger, IMAGES)
            seconds, requests = _archived(stack, folder)
            back = _restored(stack, folder)
            for number in range(LOOPED):  # their names are wanted for other masks
                ee.data.deleteAsset(f"{MASKS}/{_image_id(number)}")
            _make_masks(services.ledger, LOOPED)
            start = time.perf_counter()
            for number in range(LOOPED):
                _loop(f"{MASKS}/{_image_id(number)}", bucket)
            looped = (time.perf_counter() - start) / LOOPED
            return seconds / IMAGES, requests / IMAGES, back / IMAGES, looped


def _archived(stack: stacks.Stack, folder: Path) -> tuple[float, float]:
    """Archive everything; return the seconds beside Earth Engine's, and the requests."""
    log = folder / "earth-engine" / "requests.jsonl"
    services = stack.services
    full = replace(services, earth_assets=_Full(services.earth_assets))
    bootstrap.use(full)
    before, ours = len(log.read_text().splitlines()), 0.0
    waits = 0
    while services.assets.count_by_state("bench") != {"ARCHIVED": IMAGES}:
        answered, start = _answering(log), time.perf_counter()
        stack.tick("watch_assets")
        stack.deliver()
        ours += time.perf_counter() - start - (_answering(log) - answered)
        waits += _wait_for_tasks()
    bootstrap.use(services)
    return ours, len(log.read_text().splitlines()) - before - waits


def _restored(stack: stacks.Stack, folder: Path) -> float:
    """Bring everything back by ingestion; return the requests."""
    log = folder / "earth-engine" / "requests.jsonl"
    services = stack.services
    before, waits = len(log.read_text().splitlines()), 0
    ids = tuple(x.record_id for x in services.assets.of_run("bench"))
    services.bus.publish([RestoreRequested(RUN.run_id, ids)])
    stack.deliver()
    while services.assets.count_by_state("bench") != {"LIVE": IMAGES}:
        waits += _wait_for_tasks()
        stack.tick("watch_assets")
        stack.deliver()
    return len(log.read_text().splitlines()) - before - waits


class _Full:
    """Earth Engine's assets with a quota that is used up."""

    def __init__(self, assets: EarthAssets) -> None:
        self._assets = assets

    def __getattr__(self, name: str) -> object:
        return getattr(self._assets, name)

    def quota(self, root: str) -> Quota:
        self._assets.quota(root)  # which costs what it costs
        return Quota(10_000, 10_000, 0, 10**12)


def _wait_for_tasks() -> int:
    """Let Earth Engine work; return the requests that this took."""
    looks = 1
    while any(not x["done"] for x in ee.data.listOperations()):
        time.sleep(0.05)
        looks += 1
    return looks


def _answering(log: Path) -> float:
    lines = log.read_text().splitlines()
    return sum(json.loads(line)["milliseconds"] for line in lines) / 1000


def _image_id(number: int) -> str:
    return f"{datetime(2018, 3, 1, tzinfo=UTC) + timedelta(days=number):%Y%m%dT%H%M%S}_T33TVL"


def _make_masks(ledger: Ledger, count: int) -> None:
    west, north = 500_000, 5_000_000
    region = ee.Geometry.Rectangle([west, north - 40 * SIDE, west + 40 * SIDE, north], CRS, False)
    for number in range(count):
        key = f"mask-{number}-{count}"
        image = ee.Image.random(number).multiply(5).toByte().rename("class")
        image = image.updateMask(ee.Image.random(number + 1000).gt(0.1)).set("run_key", key)
        ee.batch.Export.image.toAsset(
            image,
            "mask",
            f"{MASKS}/{_image_id(number)}",
            crs=CRS,
            crsTransform=[SIDE, 0, west, 0, -SIDE, north],
            region=region,
        ).start()
        ledger.add([_succeeded(key, number)])
    _wait_for_tasks()


def _succeeded(key: str, number: int) -> Export:
    sensed = datetime(2018, 3, 1, tzinfo=UTC) + timedelta(days=number)
    return Export(
        export_id=key,
        run="bench",
        run_id=RUN.run_id,
        image_id=_image_id(number),
        acquisition="a",
        sensed_at=sensed,
        platform="Sentinel-2A",
        tile="33TVL",
        footprint='{"type": "Point", "coordinates": [14, 45]}',
        grid=(CRS, SIDE),
        queued_at=sensed,
        state=State.SUCCEEDED,
    )


def _loop(asset_id: str, bucket: Path) -> None:
    """Archive one image as a script does."""
    name = asset_id.rpartition("/")[2]
    task = ee.batch.Export.image.toCloudStorage(
        ee.Image(asset_id), "loop", BUCKET, name, formatOptions={"cloudOptimized": True}
    )
    task.start()
    while task.active():
        time.sleep(POLL)
    (bucket / f"{name}.tif").read_bytes()
    ee.data.deleteAsset(asset_id)
