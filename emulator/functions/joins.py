"""Joins: pairs of elements of two collections that pass a filter."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from emulator.errors import NotImplementedByEmulator
from emulator.functions.filters import Filter
from emulator.functions.values import Collection, Feature, ordered
from emulator.registry import InvalidTypeError, algorithm, coercion


@dataclass(frozen=True, slots=True)
class Join:
    """What a join makes of one primary element and its matches; None: nothing."""

    outputs: Callable[[Any, list[Any]], list[Any]]

    type_name = "Join"


@coercion("Join")
def _join(value: Any) -> Join:
    if isinstance(value, Join):
        return value
    raise InvalidTypeError


@algorithm("Join.simple")
def simple() -> Join:
    return Join(lambda element, matches: [element] if matches else [])


@algorithm("Join.inverted")
def inverted() -> Join:
    return Join(lambda element, matches: [] if matches else [element])


def _without_measure(measure: str | None) -> None:
    if measure is not None:
        raise NotImplementedByEmulator("A join's measureKey")


def _with(element: Any, key: str, value: Any) -> Any:
    return element.with_properties({**element.properties, key: value})


@algorithm("Join.saveAll")
def save_all(
    key: str, ordering: str | None, ascending: bool, measure: str | None, outer: bool
) -> Join:
    _without_measure(measure)

    def outputs(element: Any, matches: list[Any]) -> list[Any]:
        if not matches and not outer:
            return []
        if ordering is not None:
            matches = ordered(matches, ordering, ascending)
        return [_with(element, key, matches)]

    return Join(outputs)


@algorithm("Join.saveFirst")
def save_first(
    key: str, ordering: str | None, ascending: bool, measure: str | None, outer: bool
) -> Join:
    _without_measure(measure)

    def outputs(element: Any, matches: list[Any]) -> list[Any]:
        if not matches:
            return [element] if outer else []
        if ordering is not None:
            matches = ordered(matches, ordering, ascending)
        return [_with(element, key, matches[0])]

    return Join(outputs)


@algorithm("Join.inner")
def inner(primary: str, secondary: str, measure: str | None) -> Join:
    _without_measure(measure)
    return Join(
        lambda element, matches: [
            Feature({primary: element, secondary: match}, None) for match in matches
        ]
    )


@algorithm("Join.apply")
def apply(join: Join, primary: Collection, secondary: Collection, condition: Filter) -> Collection:
    def elements() -> Iterator[Any]:
        for element in primary:
            matches = [other for other in secondary if condition.test(element, other)]
            yield from join.outputs(element, matches)

    return primary.with_elements(elements())
