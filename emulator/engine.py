"""The evaluation engine: a REST Expression in, a value or JSON out."""

from collections.abc import Mapping
from typing import Any

from emulator.functions import encoding
from emulator.functions.values import CATALOGUE, Catalogue
from emulator.graph import Graph, on_deep_stack

__all__ = ["Catalogue", "evaluate", "to_json"]


def evaluate(expression: Mapping[str, Any], catalogue: Catalogue) -> Any:
    """Evaluate a REST Expression, `{result, values}`, against a catalogue of assets.

    Collections load their elements when they are asked for, so `to_json` and the functions
    of `raster` belong in the same context (thread or task) as the evaluation.
    """
    CATALOGUE.set(catalogue)
    return on_deep_stack(Graph(expression).evaluate)()


@on_deep_stack
def to_json(value: Any) -> Any:
    """Return what `value:compute` answers for a value."""
    return encoding.to_json(encoding.within_size(value))
