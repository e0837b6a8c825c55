"""Diagrams of the model card; needs matplotlib (extra `card`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from model.compare import Compared
from model.pixels import Array
from shared.domain.classes import CLOUDY, NODATA

#: Size of a diagram (inches), and its resolution: pictures of some 30 kB.
SIZE, DPI = (4.2, 3.4), 80

#: Bins of a calibration curve.
BINS = 10


@dataclass(frozen=True)
class Probability:
    """Probabilities of cloud (per cent) beside what is so, both (n,)."""

    percent: Array
    cloudy: Array

    @property
    def area(self) -> float:
        """Area under the ROC curve."""
        return float(roc_auc_score(self.cloudy, self.percent))

    @property
    def average_precision(self) -> float:
        """Mean precision over recall."""
        return float(average_precision_score(self.cloudy, self.percent))


def probability(scenes: Sequence[Compared], band: str) -> Probability | None:
    """Return a band's probabilities of all known pixels, None where a scene has not the band."""
    if not all(band in scene.bands for scene in scenes):
        return None
    known = [(scene.truth != NODATA) & (scene.bands[band] != NODATA) for scene in scenes]
    if not any(places.any() for places in known):
        return None
    percent = [scene.bands[band][k] for scene, k in zip(scenes, known, strict=True)]
    cloudy = [np.isin(scene.truth[k], CLOUDY) for scene, k in zip(scenes, known, strict=True)]
    return Probability(np.concatenate(percent), np.concatenate(cloudy))


def calibration(one: Probability) -> list[tuple[float, float, int]]:
    """Return mean probability, share of cloud and pixels of each of BINS bins that has any."""
    bins = np.minimum(one.percent.astype(int) * BINS // 100, BINS - 1)
    rows = []
    for place in range(BINS):
        inside = bins == place
        if inside.any():
            mean = float(one.percent[inside].mean()) / 100
            rows.append((mean, float(one.cloudy[inside].mean()), int(inside.sum())))
    return rows


def draw_roc(known: Mapping[str, Probability], path: Path) -> None:
    """Draw ROC and precision–recall curves side by side."""
    figure, (left, right) = _figure(2)
    for name, one in known.items():
        wrong, right_found, _ = roc_curve(one.cloudy, one.percent)
        left.plot(wrong, right_found, label=f"{name} ({one.area:.3f})")
        precision, recall, _ = precision_recall_curve(one.cloudy, one.percent)
        right.plot(recall, precision, label=f"{name} ({one.average_precision:.3f})")
    _label(left, "clear taken for cloud", "cloud found", "ROC (area)")
    _label(right, "recall", "precision", "precision–recall (mean)")
    _save(figure, path)


def draw_calibration(known: Mapping[str, Probability], path: Path) -> None:
    """Draw the share of cloud against the probability that masks say."""
    figure, (axes,) = _figure(1)
    axes.plot((0, 1), (0, 1), color="0.7", linewidth=1)
    for name, one in known.items():
        means, shares, _ = zip(*calibration(one), strict=True)
        axes.plot(means, shares, marker="o", markersize=3, label=name)
    _label(axes, "probability of cloud", "share that is cloud", "calibration")
    _save(figure, path)


def draw_size(studies: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw accuracy against the number of trees and of features."""
    figure, panels = _figure(2)
    for axes, by, counted in zip(
        panels, ("by_trees", "by_features"), ("trees", "features"), strict=True
    ):
        for name, found in studies.items():
            counts = [row[counted] for row in found[by]]
            for kind, style in (("cloud", "-"), ("classes", "--")):
                values = [row[kind] for row in found[by]]
                axes.plot(counts, values, style, marker="o", markersize=3, label=f"{name}, {kind}")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        _label(axes, f"number of {counted}", "accuracy", "")
    _save(figure, path)


def _figure(number: int) -> tuple[Any, Any]:
    # Imported here: a second, and an extra that only the card needs.
    from matplotlib.figure import Figure

    figure = Figure((SIZE[0] * number, SIZE[1]), dpi=DPI, layout="constrained")
    return figure, figure.subplots(1, number, squeeze=False)[0]


def _label(axes: Any, x: str, y: str, title: str) -> None:
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without matplotlib's version in it the same curves are the same file.
    figure.savefig(path, metadata={"Software": None})
