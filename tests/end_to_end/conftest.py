"""The `verdure` command as a user runs it: processes, files, exit codes."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from emulator.scenes.synthetic import write_region

ROOT = Path(__file__).parents[2]
REAL_SCENES = ROOT.parent / "shared" / "data" / "slovenia-s2-l1c"
IMAGES = 40
#: Of the region in which a run is stopped and started again.
FEW_IMAGES = 12

needs_real_scenes = pytest.mark.skipif(
    not REAL_SCENES.exists(), reason=f"the real scenes are not at {REAL_SCENES}"
)


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self):
        return json.loads(self.out)


def command(*arguments):
    return [sys.executable, "-m", "cli.main", *map(str, arguments)]


def verdure(*arguments, **environment):
    # Another test's Firestore and Pub/Sub are not this command's.
    inherited = {k: v for k, v in os.environ.items() if not k.endswith("_EMULATOR_HOST")}
    done = subprocess.run(
        command(*arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        env={**inherited, "COLUMNS": "300", **environment},
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A synthetic region of 40 images, small enough to be masked in seconds."""
    return write_region(tmp_path_factory.mktemp("region"), images=IMAGES, size=64)


@pytest.fixture(scope="session")
def few_scenes(tmp_path_factory):
    """A synthetic region of 12 images."""
    return write_region(tmp_path_factory.mktemp("few"), images=FEW_IMAGES, size=64)


@pytest.fixture
def out(tmp_path, publish_models):
    """A folder for a run's results, which need not publish the cloud models first."""
    publish_models(tmp_path / "out" / "earth-engine")
    return tmp_path / "out"


@pytest.fixture
def write_run(tmp_path):
    """A function that writes a run configuration over the region, with changes."""

    def write(**changes):
        content = {
            "name": "test",
            "region": {
                "type": "Polygon",
                "coordinates": [[[14, 45], [15, 45], [15, 46], [14, 46], [14, 45]]],
            },
            "start": "2018-03-01",
            "end": "2018-11-01",
            "destination": "projects/demo-project/assets/verdure/masks",
            "mask": {"background_images": 3},
        }
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump({**content, **changes}))
        return path

    return write
