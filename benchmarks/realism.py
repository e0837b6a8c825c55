"""Are real pixels among the simulated ones? `python -m benchmarks.realism`.

Results: docs/simulated-light.md.

For each set of real pixels: how far the nearest of many simulated pixels of the same classes is, as
the root mean square over bands of the difference of logarithms (0.05 is about 5 %); and where the
real medians of ratios lie among the simulated ones (percentile). Real data is only compared with.
"""

from pathlib import Path

import numpy as np
import rasterio
from scipy.spatial import cKDTree

from emulator.scenes.sentinel2 import BANDS
from model.simulate import simulate
from shared.domain.classes import CLEAR, CLOUD, THIN

DATA = Path(__file__).parents[2] / "shared" / "data"
SIMULATED, REAL = 400_000, 3_000
NAMES = list(BANDS)
#: Bands of the Australian stack; its second date is × 1000.
STACK = ["B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"]
CLOUDY_DATES = (0, 2, 3, 4, 5, 9, 13, 17, 18, 21, 25, 29)
RATIOS = {
    "B2/B4": ("B2", "B4"), "B8/B4": ("B8", "B4"), "B8/B8A": ("B8", "B8A"), "B9/B8A": ("B9", "B8A"),
    "B11/B8A": ("B11", "B8A"), "B12/B11": ("B12", "B11"), "B10": ("B10", None),
}  # fmt: skip
VEILED = (CLOUD, THIN)


def real():
    """Yield name, classes it should be, bands and pixels of each set."""
    slovenia = sorted((DATA / "slovenia-s2-l1c").glob("*.tif"))
    for name, dates, classes in (
        ("Slovenia, clear", ("20150711", "20150830", "20150909"), (CLEAR,)),
        ("Slovenia, haze 2015-07-31", ("20150731",), VEILED),
        ("Slovenia, cloud 2015-08-20", ("20150820",), VEILED),
    ):
        files = [path for path in slovenia if path.name.startswith(dates)]
        yield name, classes, NAMES, np.hstack([_read(path).reshape(13, -1) for path in files]).T
    sides = [_read(next((DATA / "pyrenees-l1c-jp2").glob(f"*_B{b[1:]:0>2}.jp2")))[0] for b in NAMES]
    size = max(len(side) for side in sides)
    cirrus = [side.repeat(size // len(side), 0).repeat(size // len(side), 1) for side in sides]
    yield "Pyrenees, cirrus", VEILED, NAMES, np.stack(cirrus, -1).reshape(-1, 13)
    stack = np.load(DATA / "australia-stack" / "stack_wright_30dates.npz")["dn"] / 1e4
    stack[1] *= 10
    cloudy = np.isin(np.arange(len(stack)), CLOUDY_DATES)
    yield "Australia, clear", (CLEAR,), STACK, stack[~cloudy].reshape(-1, len(STACK))
    yield "Australia, cloud", VEILED, STACK, stack[cloudy].reshape(-1, len(STACK))


def _read(path):
    with rasterio.open(path) as dataset:
        return dataset.read() / 1e4


def main():
    rng = np.random.default_rng(0)
    pixels = simulate(SIMULATED, seed=20)
    print("| pixels | nearest: median | 90 % | 99 % |", *(f"{name} |" for name in RATIOS))
    print("|---" * (4 + len(RATIOS)) + "|")
    for name, classes, bands, values in real():
        values = np.maximum(values[rng.choice(len(values), REAL)], 1e-4)
        places = [NAMES.index(band) for band in bands]
        alike = pixels.reflectance[np.isin(pixels.classes, classes)]
        near, _ = cKDTree(np.log(alike[:, places])).query(np.log(values), workers=2)
        distances = np.quantile(near / np.sqrt(len(places)), (0.5, 0.9, 0.99))
        cells = [f"{distance:.3f}" for distance in distances]
        for above, below in RATIOS.values():
            if above not in bands or (below or above) not in bands:
                cells.append("–")
                continue
            here = values[:, bands.index(above)]
            there = alike[:, NAMES.index(above)]
            if below:
                here = here / values[:, bands.index(below)]
                there = there / alike[:, NAMES.index(below)]
            middle = np.median(here)
            cells.append(f"{middle:.3g} ({(there < middle).mean() * 100:.0f})")
        print("|", name, "|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
