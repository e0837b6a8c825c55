"""Scores of masks as tables for people."""

import math
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from model.compare import Comparison
from model.evaluate import Evaluation
from model.intervals import MEASURES, Difference

#: Columns of a table of scores: measure, and heading.
COLUMNS = {
    "cloud_precision": "cloud precision",
    "cloud_recall": "recall",
    "cloud_f1": "F1",
    "false_cloud": "false cloud",
    "shadow_f1": "shadow F1",
    "snow_f1": "snow F1",
}

#: Columns of text that a table needs where it is not shown on a wide terminal.
WIDTH = 120


def number(value: float | None) -> str:
    """Return a score with three digits, a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def interval(difference: Difference) -> str:
    """Return a difference with its interval, a dash where there is none."""
    if math.isnan(difference.value):
        return "–"
    if math.isnan(difference.low):
        return f"{difference.value:+.3f}"
    return f"{difference.value:+.3f} ({difference.low:+.3f} … {difference.high:+.3f})"


def evaluation_table(found: Evaluation) -> Table:
    """Return an evaluation's scores, each image's and all."""
    table = Table("Image", *COLUMNS.values())
    rows: dict[str, Mapping[str, float | None]] = {**found.by_image, "all": found.scores}
    for name, scores in rows.items():
        table.add_row(name, *(number(scores[measure]) for measure in COLUMNS))
    return table


def comparison_table(found: Comparison) -> Table:
    """Return every mask's scores, and how much better the default is."""
    table = Table("Mask", *COLUMNS.values(), "better in cloud F1 by")
    places = [MEASURES.index(name) for name in COLUMNS]
    cloud = MEASURES.index("cloud_f1")
    for i, name in enumerate(found.names):
        better = interval(found.differences[i][cloud]) if i else ""
        table.add_row(name, *(number(found.measures[i, j]) for j in places), better)
    return table


def show(table: Table) -> None:
    """Print a table on standard output."""
    console = Console()
    console.print(table, width=max(WIDTH, console.width), no_wrap=True, crop=False)
