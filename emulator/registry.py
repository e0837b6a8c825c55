"""The algorithms by their public names, with signatures from the client package's own list."""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar

from emulator.errors import (
    WRONG_ARGUMENT,
    EarthEngineError,
    NotImplementedByEmulator,
    memory_exceeded,
    wrong_argument,
)

#: Elements of a list or dictionary (a choice of ours: Earth Engine publishes none).
MAX_ELEMENTS = 1_000_000
#: Characters of a string (a choice of ours, the size of a request).
MAX_CHARACTERS = 10_485_760
#: The ends of the integers that Earth Engine has.
INT32_MAX = 2**31 - 1
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

F = TypeVar("F", bound=Callable[..., Any])
Coercion = Callable[[Any], Any]

_functions: dict[str, tuple[Callable[..., Any], bool, bool]] = {}
_coercions: dict[str, Coercion] = {}


class InvalidTypeError(TypeError):
    """A value that a coercion does not accept."""


class Long(int):
    """An integer that Earth Engine keeps in 64 bits whatever its size: a computed number."""


def algorithm(*names: str, lazy: bool = False, null_items: bool = False) -> Callable[[F], F]:
    """Register a function under public names; it takes the declared arguments by position.

    A lazy algorithm gets functions without arguments, to call for what it needs. With
    `null_items` its lists may have nulls, and their items stay what they are.
    """

    def register(function: F) -> F:
        for name in names:
            if name in _functions:
                raise ValueError(f"{name} is registered twice.")
            _functions[name] = function, lazy, null_items
        return function

    return register


def coercion(*types: str) -> Callable[[F], F]:
    """Register the function that makes values of the declared types out of arguments."""

    def register(function: F) -> F:
        _coercions.update((name, function) for name in types)
        return function

    return register


def accepts(declared: str, type_: type) -> None:
    """Register a declared type whose arguments are values of it already."""

    @coercion(declared)
    def as_it_is(value: Any) -> Any:
        if isinstance(value, type_):
            return value
        raise InvalidTypeError


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared argument of an algorithm."""

    name: str
    type: str
    coerce: Coercion | None  # None: any value is accepted
    optional: bool
    default: Any

    def value(self, given: Any, algorithm_name: str) -> Any:
        """Return an argument's value as the algorithm wants it."""
        if given is None:
            if not self.optional:
                message = f"Parameter '{self.name}' is required and may not be null."
                raise EarthEngineError(f"{algorithm_name}: {message}")
            return self.default
        if self.coerce is None:
            return given
        try:
            return self.coerce(given)
        except InvalidTypeError:
            raise EarthEngineError(
                f"{algorithm_name}, argument '{self.name}': Invalid type. "
                f"Expected type: {self.type}. Actual type: {type_name(given)}."
            ) from None


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A registered function with its public signature."""

    name: str
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    names: frozenset[str]
    lazy: bool

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Call the function with named arguments, coerced to the declared types.

        What an argument of the wrong kind provokes inside the function is the caller's error:
        this is the place where it becomes one, and `graph.on_deep_stack` is the one for what
        is computed later (elements of collections, pixels).
        """
        try:
            return within_limits(self._call(arguments))
        except WRONG_ARGUMENT as error:
            raise wrong_argument(self.name, error) from error

    def _call(self, arguments: Mapping[str, Any]) -> Any:
        name = self.name
        if not self.names >= arguments.keys():
            unknown = ", ".join(sorted(arguments.keys() - self.names))
            raise EarthEngineError(f"{name}: Unrecognized argument(s): {unknown}.")
        if self.lazy:
            return self.function(*[arguments.get(p.name, _nothing) for p in self.parameters])
        return self.function(*[p.value(arguments.get(p.name), name) for p in self.parameters])


def _nothing() -> None:
    return None


def within_limits(value: Any) -> Any:
    """Return a value, or refuse one that is larger than values may be."""
    if isinstance(value, list | dict) and len(value) > MAX_ELEMENTS:
        raise memory_exceeded()
    if isinstance(value, str) and len(value) > MAX_CHARACTERS:
        raise memory_exceeded()
    return value


def within_count(count: float) -> int:
    """Return the length of a list to be made, or refuse it."""
    if not count <= MAX_ELEMENTS:
        raise memory_exceeded()
    return int(count)


@functools.cache
def signatures() -> dict[str, dict[str, Any]]:
    """Return the published signatures by algorithm name (packaged with the client)."""
    text = resources.files("ee").joinpath("tests/algorithms.json").read_text()
    entries = json.loads(text)["algorithms"]
    return {entry["name"].removeprefix("algorithms/"): entry for entry in entries}


def registered() -> frozenset[str]:
    """Return the names of all algorithms that the emulator has."""
    return frozenset(_functions)


@functools.cache
def lookup(name: str) -> Algorithm:
    """Return the algorithm with a public name."""
    signature = signatures().get(name)
    if signature is None:
        raise EarthEngineError(f"Unknown function '{name}'.")
    if name not in _functions:
        raise NotImplementedByEmulator(f"Algorithm {name}")
    function, lazy, null_items = _functions[name]
    arguments = signature.get("arguments", ())
    parameters = tuple(_parameter(argument, null_items) for argument in arguments)
    return Algorithm(name, function, parameters, frozenset(p.name for p in parameters), lazy)


def _parameter(argument: Mapping[str, Any], null_items: bool) -> Parameter:
    declared = argument["type"].replace("<unknown bands>", "")
    coerce = _coercion(declared.partition("<")[0] if null_items else declared)
    default = argument.get("defaultValue")
    if default is not None and coerce is not None:
        default = coerce(default)
    optional = argument.get("optional", False)
    return Parameter(argument["argumentName"], declared, coerce, optional, default)


def _coercion(declared: str) -> Coercion | None:
    outer, _, inner = declared.removesuffix(">").partition("<")
    if outer not in _coercions:
        return None
    make = _coercions[outer]
    element = _coercion(inner) if outer == "List" and inner else None
    if element is None:
        return make
    return lambda value: [element(item) for item in make(value)]


def coerce(declared: str, value: Any) -> Any:
    """Make a value of a declared type, as an algorithm's argument would be."""
    try:
        return _coercions[declared](value)
    except InvalidTypeError:
        raise EarthEngineError(
            f"Invalid type. Expected type: {declared}. Actual type: {type_name(value)}."
        ) from None
    except WRONG_ARGUMENT as error:
        raise wrong_argument(declared, error) from error


def type_name(value: Any) -> str:
    """Return Earth Engine's name for a value's type."""
    match value:
        case None:
            return "Null"
        case bool():
            return "Boolean"
        case Long():
            return "Long"
        case int():
            return "Integer" if -INT32_MAX - 1 <= value <= INT32_MAX else "Long"
        case float():
            return "Float"
        case str():
            return "String"
        case list():
            return "List"
        case dict():
            return "Dictionary"
        case _:
            return getattr(value, "type_name", type(value).__name__)


@coercion("Number")
def _number(value: Any) -> int | float:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    raise InvalidTypeError


@coercion("Float")
def _float(value: Any) -> float:
    return float(_number(value))


@coercion("Integer", "Long")
def _integer(value: Any) -> int:
    number = _number(value)
    if isinstance(number, float):  # as Java does: NaN is 0, the ends saturate
        return 0 if number != number else int(min(max(number, INT64_MIN), INT64_MAX))
    return number


@coercion("Boolean")
def _boolean(value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return bool(value)
    raise InvalidTypeError


accepts("String", str)
accepts("List", list)
accepts("Dictionary", dict)


@coercion("Algorithm")
def _function(value: Any) -> Callable[..., Any]:
    if callable(value):
        return value
    raise InvalidTypeError
