"""How fast gaps are filled on the emulator, beside the same method in vectorised numpy."""

import json
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import ee
import numpy as np

from benchmarks.result import Result
from cli import series as series_file
from shared.earth import gap_filling, season
from shared.earth.curves import EPOCH, Period
from tests.earth import numpy_curves

PERIOD = Period(date(2018, 1, 1), date(2019, 3, 1))  # a year and some weeks on both sides
EVERY = 5  # days between images
SIDE = 32  # pixels
CLOUDY = 0.4
ROUNDS = 3
#: Series a second, as a share of numpy's (issue 6).
MIN_RATIO = 0.5


def gap_filling_speed() -> dict[str, Result]:
    """Fill 1,024 series of 85 images at 43 regular steps, with standard deviations.

    The emulator reads the series from files and answers over HTTP; numpy has them in memory.
    """
    generator = np.random.default_rng(0)
    first, after = ((day - EPOCH).days for day in (PERIOD.first, PERIOD.after))
    days = np.arange(first, after, EVERY, dtype=float)
    wave = 0.4 + 0.3 * np.cos(2 * np.pi * days / 365.25)
    values = wave[:, None] + generator.normal(0, 0.05, (len(days), SIDE**2))
    values[generator.random(values.shape) < CLOUDY] = np.nan
    steps = PERIOD.every(series_file.REGULAR_STEP)
    asked = np.array([(day - EPOCH).days for day in steps], float)
    times = (days * 86_400_000).astype("datetime64[ms]")
    given = series_file.Series(values.reshape(len(days), SIDE, SIDE), times)
    with tempfile.TemporaryDirectory() as folder, series_file.served(Path(folder), given):
        curve = gap_filling.curve_of(series_file.observed(), PERIOD)
        regular = gap_filling.regular_series(
            curve, gap_filling.regular_days(PERIOD, series_file.REGULAR_STEP)
        )
        names = [f"{i:02}" for i in range(len(steps))]
        image = ee.Image.cat(
            *[gap_filling.columns(regular.select(band), names) for band in ("value", "std")]
        )

        def numpy() -> np.ndarray:
            fit = numpy_curves.fit(days, values, first, after)
            return np.concatenate(fit.at(asked))

        def emulator() -> np.ndarray:
            return series_file.read(image, 0, 0, SIDE, SIDE).reshape(2 * len(steps), -1)

        assert np.abs(emulator() - numpy()).max() < 1e-4
        rounds = [(_seconds(emulator), _seconds(numpy)) for _ in range(ROUNDS)]
        graphs = {
            "gapfill_graph_bytes": _bytes(image),
            "season_graph_bytes": _bytes(season.seasons(curve, PERIOD, 2018)),
        }
    ours, theirs = sorted(rounds, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    speed = Result(
        SIDE**2 / ours, "series/s", MIN_RATIO, "at least", SIDE**2 / theirs, "series/s, numpy"
    )
    sizes = {name: Result(size, "bytes", None, "at most") for name, size in graphs.items()}
    return {"gapfill_series_per_second": speed, **sizes}


def _bytes(image: ee.Image) -> int:
    return len(json.dumps(ee.serializer.encode(image)))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
