"""Cut-offs of the probability of cloud, chosen for what a mask is used for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from model.samples import Array
from shared.errors import InvalidConfiguration

#: What a missed cloud costs, in clear pixels lost. Vegetation in time series: a haze that is
#: missed bends the curve, a clear date lost has neighbours. A composite of many dates: what is
#: missed shows, what is lost is replaced. Balanced: the least errors.
COST_RATIOS = {"vegetation": 1.5, "composite": 4.0, "balanced": 1.0}

#: Cut-offs that are compared, in whole per cents as masks have them.
CUTOFFS = np.arange(5, 96) / 100


@dataclass(frozen=True)
class Purpose:
    """What a mask is for; `cost_ratio` clear pixels lost are as bad as one cloud missed."""

    name: str = "vegetation"
    cost_ratio: float = COST_RATIOS["vegetation"]


class Point(NamedTuple):
    """What a cut-off does to judged pixels; `cost` is per pixel, in clear pixels lost."""

    cutoff: float
    precision: float
    recall: float
    false_cloud: float
    cost: float


def purpose_of(name: str, cost_ratio: float | None = None) -> Purpose:
    """Return a purpose by name, or the one of a stated cost ratio."""
    if cost_ratio is not None:
        if not 0 < cost_ratio < float("inf"):
            raise InvalidConfiguration([f"--cost-ratio is {cost_ratio}, expected a number above 0"])
        return Purpose("stated cost ratio", cost_ratio)
    if name not in COST_RATIOS:
        raise InvalidConfiguration([f"--purpose is {name!r}, expected {', '.join(COST_RATIOS)}"])
    return Purpose(name, COST_RATIOS[name])


def curve(probability: Array, cloudy: Array, cost_ratio: float) -> list[Point]:
    """Return what each of CUTOFFS does; both arrays (n) are of pixels judged by other scenes."""
    return [_point(float(cut), probability >= cut, cloudy, cost_ratio) for cut in CUTOFFS]


def _point(cutoff: float, flagged: Array, cloudy: Array, cost_ratio: float) -> Point:
    hits, lost = int((flagged & cloudy).sum()), int((flagged & ~cloudy).sum())
    clouds, pixels = int(cloudy.sum()), len(cloudy)
    return Point(
        cutoff,
        precision=hits / max(hits + lost, 1),
        recall=hits / clouds,
        false_cloud=lost / (pixels - clouds),
        cost=(cost_ratio * (clouds - hits) + lost) / pixels,
    )


def cheapest(points: Sequence[Point]) -> float:
    """Return the cut-off of the least cost; of equal ones the lowest, which misses least."""
    return min(points, key=lambda point: (point.cost, point.cutoff)).cutoff
