"""A run with an archive on the embedded stack: real ee client, assets with pixels."""

import json
import shutil
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import ee
import numpy as np
import pytest

from cli import stacks
from emulator import launch
from shared import bootstrap
from shared.adapters.embedded import SqliteBus
from shared.adapters.folder import FolderObjects
from shared.config import Settings
from shared.domain.archive import ArchivePolicy
from shared.domain.exports import Export, State
from shared.domain.runs import RunConfiguration, register

ROOT = "projects/demo-project/assets"
MASKS = f"{ROOT}/masks"
BUCKET = "demo-archive"
CRS = "EPSG:32633"
SIDE = 20  # metres
POLICY = ArchivePolicy(bucket=BUCKET, undo_hours=0)
WORLD = {
    "type": "Polygon",
    "coordinates": [[[-20, 30], [40, 30], [40, 70], [-20, 70], [-20, 30]]],
}


def configuration(policy=POLICY, **changes):
    values = {
        "name": "demo",
        "region": WORLD,
        "start": date(2018, 3, 1),
        "end": date(2018, 11, 1),
        "destination": MASKS,
        "archive": policy,
    }
    return RunConfiguration(**{**values, **changes})


def until_done(name):
    while not (operation := ee.data.getOperation(name))["done"]:
        time.sleep(0.02)
    assert "error" not in operation, operation["error"]


class Archive(stacks.EmbeddedStack):
    """An embedded stack with masks that are made without a model, and a clock to turn."""

    def __init__(self, settings, data):
        super().__init__(settings)
        self.data = data
        self.ahead = timedelta()
        now = self.services.now
        self.use(now=lambda: now() + self.ahead, objects=FolderObjects(data / "buckets"))
        self.run = None
        # Earth Engine starts one task for a request id, ever: each test has ids of its own.
        self.key = uuid.uuid4().hex[:8]

    def use(self, **changes):
        self.services = replace(self.services, **changes)
        bootstrap.use(self.services)

    @property
    def bus(self) -> SqliteBus:
        assert isinstance(self.services.bus, SqliteBus)
        return self.services.bus

    def register(self, policy=POLICY, **changes):
        self.run = register(configuration(policy, **changes))
        self.services.ledger.add_run(self.run)
        return self.run

    def bucket(self):
        path = self.data / "buckets" / BUCKET
        path.mkdir(parents=True, exist_ok=True)
        return path

    def empty(self):
        """Leave nothing of an earlier test."""
        self.services.earth_engine.create_collection(MASKS)
        ee.data.setMaxRetries(0)  # the client would ask again for half a minute
        for asset in self.listed():
            ee.data.deleteAsset(asset)
        shutil.rmtree(self.bucket())
        self.bucket()

    def masks(self, count, pixels=(7, 5)):
        """Make masks and record them as a run would have."""
        names = []
        for number in range(count):
            sensed = datetime(2018, 3, 1, 10, 5, 41, 24_000, UTC) + timedelta(days=number)
            image_id = f"{sensed:%Y%m%dT%H%M%S}_T33TVL"
            image = ee.Image(mask_image(number)).set(
                {
                    "run_key": f"mask-{self.key}-{number}",
                    "system:time_start": int(sensed.timestamp() * 1000),
                    "model": "cloud-13",
                    "share": 0.25,
                }
            )
            names.append(self.export(image, f"{MASKS}/{image_id}", pixels))
            self.services.ledger.add([succeeded(f"{self.key}-{number}", image_id, sensed)])
        for name in names:
            until_done(name)

    def export(self, image, asset_id, pixels=(7, 5)):
        west, north = 500_000, 5_000_000
        region = ee.Geometry.Rectangle(
            [west, north - pixels[1] * SIDE, west + pixels[0] * SIDE, north], CRS, False
        )
        task = ee.batch.Export.image.toAsset(
            image,
            "mask",
            asset_id,
            {".default": "mean", "class": "mode"},
            crs=CRS,
            crsTransform=[SIDE, 0, west, 0, -SIDE, north],
            region=region,
        )
        task.start()
        return task.operation_name

    def step(self):
        """Tick the watcher and deliver what follows."""
        counts = self.tick("watch_assets")
        self.deliver()
        return counts

    def until_still(self, limit=60):
        """Go on until no asset is under way."""
        for _ in range(limit):
            self.step()
            self.wait_for_tasks()
            if not set(self.states()) - {"LIVE", "ARCHIVED"}:
                return
        raise AssertionError(self.states(), [x.reason for x in self.records()])

    def wait_for_tasks(self):
        while any(not x["done"] for x in ee.data.listOperations()):
            time.sleep(0.02)

    def states(self):
        return self.services.assets.count_by_state("demo")

    def records(self):
        return self.services.assets.of_run("demo")

    def listed(self):
        return {x["id"] for x in ee.data.listAssets(MASKS).get("assets", ())}


def mask_image(number):
    """Three bands of bytes that no other number has, masked here and there."""
    random = ee.Image.random(number)
    return (
        random.multiply(101)
        .toByte()
        .rename("cloud_probability")
        .addBands(random.multiply(5).toByte().rename("class"))
        .addBands(random.multiply(100).toByte().rename("agreement"))
        .updateMask(ee.Image.random(number + 1000).gt(0.2))
    )


def succeeded(key, image_id, sensed):
    return Export(
        export_id=f"mask-{key}",
        run="demo",
        run_id="demo-1",
        image_id=image_id,
        acquisition="a",
        sensed_at=sensed,
        platform="Sentinel-2A",
        tile="33TVL",
        footprint=json.dumps(WORLD),
        grid=(CRS, SIDE),
        queued_at=sensed,
        state=State.SUCCEEDED,
    )


def values(image, coarser=1):
    """Pixels of all bands of an image on its own grid, and -1 where it is masked.

    Or on one of so many times larger pixels, as pyramids have them.
    """
    image = ee.Image(image)
    grid = image.select(0).getInfo()["bands"][0]
    a, b, c, d, e, f = grid["crs_transform"]
    request = {
        "expression": image.toDouble().unmask(-1, False),
        "fileFormat": "NUMPY_NDARRAY",
        "grid": {
            "crsCode": grid["crs"],
            "dimensions": {
                name: -(-size // coarser)
                for name, size in zip(("width", "height"), grid["dimensions"], strict=True)
            },
            "affineTransform": {
                "scaleX": a * coarser,
                "shearX": b * coarser,
                "translateX": c,
                "shearY": d * coarser,
                "scaleY": e * coarser,
                "translateY": f,
            },
        },
    }
    array = ee.data.computePixels(request)
    return {name: np.asarray(array[name], float) for name in array.dtype.names}


@pytest.fixture(scope="session")
def earth_engine(tmp_path_factory):
    """An Earth Engine for all tests that need none of their own: its folder and URL.

    The account has no storage in Drive, as no service account has; a shared drive is there.
    """
    data = tmp_path_factory.mktemp("earth-engine")
    (data / "shared-drives" / "team").mkdir(parents=True)
    with launch.running(data, [], "--drive-bytes", "0") as url:
        yield data, url


@pytest.fixture
def start_archive(tmp_path, earth_engine):
    """A function that gives a running stack; with options, on an Earth Engine of its own."""

    @contextmanager
    def start(*options):
        with ExitStack() as exits:
            if options:
                data = tmp_path / "earth-engine"
                url = exits.enter_context(launch.running(data, [], *options))
            else:
                data, url = earth_engine
            running = Archive(Settings("embedded", launch.PROJECT, tmp_path, url), data)
            exits.callback(running.close)
            exits.callback(bootstrap.use, None)
            running.empty()
            yield running

    return start
