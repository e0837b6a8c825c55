"""Joins: pairs of elements of two collections that pass a filter."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from emulator.errors import EarthEngineError
from emulator.functions.filters import Filter
from emulator.functions.values import Collection, Feature, ordered
from emulator.registry import accepts, algorithm


@dataclass(frozen=True, slots=True)
class Match:
    """A secondary element that goes with a primary one, and the measure of the condition."""

    element: Any
    measure: float | None

    def saved(self, key: str | None) -> Any:
        """Return the element with its measure as a property, if there is a name for it."""
        if key is None:
            return self.element
        if self.measure is None:
            raise EarthEngineError("Join: The condition has no measure that could be saved.")
        return _with(self.element, key, self.measure)


@dataclass(frozen=True, slots=True)
class Join:
    """What a join makes of one primary element and its matches."""

    outputs: Callable[[Any, list[Match]], list[Any]]
    pairs: bool = False  # the outputs are features, not primary elements

    type_name = "Join"


accepts("Join", Join)


@algorithm("Join.simple")
def simple() -> Join:
    return Join(lambda element, matches: [element] if matches else [])


@algorithm("Join.inverted")
def inverted() -> Join:
    return Join(lambda element, matches: [] if matches else [element])


def _with(element: Any, key: str, value: Any) -> Any:
    return element.with_properties({**element.properties, key: value})


def _ordered(elements: list[Any], key: str | None, ascending: bool) -> list[Any]:
    return elements if key is None else ordered(elements, key, ascending)


@algorithm("Join.saveAll")
def save_all(
    key: str, ordering: str | None, ascending: bool, measure: str | None, outer: bool
) -> Join:
    def outputs(element: Any, matches: list[Match]) -> list[Any]:
        if not matches and not outer:
            return []
        saved = [match.saved(measure) for match in matches]
        return [_with(element, key, _ordered(saved, ordering, ascending))]

    return Join(outputs)


@algorithm("Join.saveFirst")
def save_first(
    key: str, ordering: str | None, ascending: bool, measure: str | None, outer: bool
) -> Join:
    def outputs(element: Any, matches: list[Match]) -> list[Any]:
        if not matches:
            return [element] if outer else []
        saved = [match.saved(measure) for match in matches]
        return [_with(element, key, _ordered(saved, ordering, ascending)[0])]

    return Join(outputs)


@algorithm("Join.saveBest")
def save_best(key: str, measure: str, outer: bool) -> Join:
    return save_first(key, measure, True, measure, outer)


@algorithm("Join.inner")
def inner(primary: str, secondary: str, measure: str | None) -> Join:
    def pair(element: Any, match: Match) -> Feature:
        indices = [str(e.properties.get("system:index", "")) for e in (element, match.element)]
        properties = {"system:index": "_".join(indices), primary: element, secondary: match.element}
        if measure is not None:
            properties[measure] = match.saved(measure).properties[measure]
        return Feature(properties, None)

    return Join(lambda element, matches: [pair(element, match) for match in matches], pairs=True)


@algorithm("Join.apply")
def apply(join: Join, primary: Collection, secondary: Collection, condition: Filter) -> Collection:
    def measure(element: Any, other: Any) -> float | None:
        return condition.measure(element, other) if condition.measure else None

    def elements() -> Iterator[Any]:
        for element in primary:
            matches = [
                Match(other, measure(element, other))
                for other in secondary
                if condition.test(element, other)
            ]
            yield from join.outputs(element, matches)

    return Collection(elements(), of_images=primary.of_images and not join.pairs)
