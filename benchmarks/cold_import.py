"""How long a new instance of a function takes to load our code, beside the SDKs alone."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.result import Result

ROOT = Path(__file__).parent.parent
ROUNDS = 7

#: What every function needs before it can answer its first message: main, and the adapters that
#: shared.bootstrap imports when it is first asked.
OURS = (
    "import main, shared.adapters.earth_engine, shared.adapters.earth_engine_assets, "
    "shared.adapters.firestore, shared.adapters.firestore_assets, shared.adapters.pubsub, "
    "shared.adapters.storage"
)
#: The same SDKs, by those modules of theirs that our code names.
SDKS = (
    "import ee, functions_framework, google.auth, httplib2, msgspec, pyproj, shapely, "
    "shapely.validation, yaml, google.cloud.firestore, google.cloud.pubsub_v1, "
    "google.cloud.storage, cloudevents.http, flask, werkzeug"
)
MEASURE = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"


def cold_import() -> dict[str, Result]:
    """Measure seconds from a started interpreter to everything imported, in new processes."""
    for statement in (OURS, SDKS):  # compiles what is not yet, and warms the disk
        _seconds(statement)
    rounds = [(_seconds(OURS), _seconds(SDKS)) for _ in range(ROUNDS)]
    ours, sdks = (statistics.median(x) for x in zip(*rounds, strict=True))
    return {"cold_import": Result(ours, "s", 1.3, "at most", sdks, "s, the SDKs alone")}


def _seconds(statement: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(statement)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)
