"""Values that are not images: conditions, numbers, strings, lists, dictionaries."""

import decimal
import functools
import json
import math
import re
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.encoding import to_json, within_size
from emulator.functions.filters import Filter
from emulator.functions.geometry import Geometry
from emulator.functions.images import constant
from emulator.functions.reducers import Reducer, reduce_records
from emulator.functions.values import Collection, Feature, number_json, sort_key
from emulator.patterns import compiled, replaced, selects
from emulator.raster import Image
from emulator.registry import algorithm, coerce, type_name, within_count

# --- any object


@algorithm("If", lazy=True)
def if_else(condition: Any, true_case: Any, false_case: Any) -> Any:
    return true_case() if _truth(condition()) else false_case()


def _truth(value: Any) -> bool:
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return bool(value) if isinstance(value, bool | int | str | list | dict | None) else True


@algorithm("IsEqual")
def is_equal(left: Any, right: Any) -> bool:
    return bool(left == right)


@algorithm("ObjectType")
def object_type(value: Any) -> str:
    return value.shape.geom_type if isinstance(value, Geometry) else type_name(value)


@algorithm("Describe")
def describe(value: Any) -> Any:
    return to_json(within_size(value))


# --- numbers


@algorithm("Number.clamp")
def clamp(number: float, low: float, high: float) -> float:
    return min(max(number, low), high)


@algorithm("Number.unitScale")
def unit_scale(number: float, low: float, high: float) -> float:
    return (number - low) / (high - low) if low != high else 0.0


@algorithm("Number.parse")
def parse_number(text: str, radix: int) -> int | float:
    try:
        if "_" in text:  # Python's, not Java's
            raise ValueError
        if radix != DECIMAL or re.fullmatch(r"[+-]?\d+", text.strip()):
            return int(text, radix)
        return float(text)
    except ValueError:
        raise EarthEngineError(f"Number.parse: Cannot parse '{text}' as a number.") from None


DECIMAL = 10  # the usual radix


PRINTF = re.compile(r"([^%]*)%([-#+ 0,(]*)(\d*)(?:\.(\d+))?([sdoxXeEfgGaA])([^%]*)")
MAX_WIDTH = 1000  # characters, and digits, of a formatted number (a choice of ours)


@algorithm("Number.format")
def format_number(number: float, pattern: str) -> str:
    """Format as Java's Formatter does, halves rounded up."""
    found = PRINTF.fullmatch(pattern)
    if found is None:
        raise EarthEngineError(f"Number.format: Bad pattern '{pattern}'.")
    prefix, flags, width, precision, conversion, suffix = found.groups()
    if max(int(width or 0), int(precision or 0)) > MAX_WIDTH:
        raise EarthEngineError(f"Number.format: Bad pattern '{pattern}'.")
    body = _converted(number, conversion, precision, flags)
    negative = body.startswith("-")
    body = body.removeprefix("-")
    if negative:
        body = f"({body})" if "(" in flags else f"-{body}"
    elif "+" in flags or " " in flags:
        body = ("+" if "+" in flags else " ") + body
    if "-" in flags:
        body = body.ljust(int(width or 0))
    elif "0" in flags:
        body = body.zfill(int(width or 0))
    return prefix + body.rjust(int(width or 0)) + suffix


def _converted(number: float, conversion: str, precision: str | None, flags: str) -> str:
    grouping = "," if "," in flags else ""
    match conversion:
        case "s":
            return text(number)
        case "d":
            return format(int(number), f"{grouping}d")
        case "o" | "x" | "X":  # of a negative number the two's complement, of 64 bits
            return format(int(number) % 2**64, ("#" if "#" in flags else "") + conversion)
        case "a" | "A":
            raise NotImplementedByEmulator(f"Number.format with '%{conversion}'")
    digits = int(precision) if precision else 6
    if not math.isfinite(number):
        return text(number)
    exact = decimal.Decimal(repr(float(number)))
    if conversion == "f":
        return f"{_rounded(exact, -digits):{grouping}.{digits}f}"
    exponent = exact.adjusted() if exact else 0
    if conversion in "gG":
        digits = max(digits, 1) - 1
        exponent = _rounded(exact, exponent - digits).adjusted() if exact else 0
        if -4 <= exponent <= digits:
            return f"{_rounded(exact, exponent - digits):{grouping}f}"
    mantissa, _, power = f"{_rounded(exact, exponent - digits):.{digits}e}".partition("e")
    scientific = f"{mantissa}e{int(power):+03d}"
    return scientific.upper() if conversion.isupper() else scientific


def _rounded(number: decimal.Decimal, exponent: int) -> decimal.Decimal:
    with decimal.localcontext(prec=MAX_WIDTH + 400):
        return number.quantize(decimal.Decimal(1).scaleb(exponent), decimal.ROUND_HALF_UP)


# --- strings


def text(value: Any) -> str:
    """Return a value as text, numbers as Java prints them."""
    match value:
        case str():
            return value
        case bool() | None:
            return json.dumps(value)
        case float():
            return str(number_json(value))
        case int():
            return str(int(value))
        case _:
            return encode_json(value)


@algorithm("String")
def string(value: Any) -> str:
    return text(value)


@algorithm("String.cat")
def cat_strings(first: str, second: str) -> str:
    return first + second


@algorithm("String.compareTo")
def compare_to(first: str, second: str) -> int:
    return (first > second) - (first < second)


@algorithm("String.equals")
def string_equals(first: str, second: str) -> bool:
    return first == second


@algorithm("String.index")
def index(target: str, pattern: str) -> int:
    return target.find(pattern)


@algorithm("String.rindex")
def rindex(target: str, pattern: str) -> int:
    return target.rfind(pattern)


@algorithm("String.length")
def string_length(text: str) -> int:
    return len(text)


@algorithm("String.match")
def match(target: str, regex: str, flags: str) -> list[str]:
    pattern = compiled(regex, "i" in flags)
    if "g" in flags:
        return [found[0] for found in pattern.finditer(target)]
    found = pattern.search(target)
    return [found[0], *(part for part in found.groups() if part is not None)] if found else []


@algorithm("String.replace")
def replace(target: str, regex: str, replacement: str, flags: str) -> str:
    return replaced(target, compiled(regex, "i" in flags), replacement, "g" in flags)


@algorithm("String.split")
def split(target: str, regex: str, flags: str) -> list[str]:
    """Split; empty strings at the end are dropped, as the published sample shows."""
    if not regex:
        return list(target)
    pieces, start = [], 0
    for found in compiled(regex, "i" in flags).finditer(target):
        if found.end() > found.start():
            pieces.append(target[start : found.start()])
            start = found.end()
    pieces.append(target[start:])
    while len(pieces) > 1 and not pieces[-1]:
        pieces.pop()
    return pieces


@algorithm("String.slice")
def slice_string(text: str, start: int, end: int | None) -> str:
    return text[start:end]


@algorithm("String.toLowerCase")
def lower(text: str) -> str:
    return text.lower()


@algorithm("String.toUpperCase")
def upper(text: str) -> str:
    return text.upper()


@algorithm("String.trim")
def trim(text: str) -> str:
    return text.strip()


@algorithm("String.encodeJSON")
def encode_json(value: Any) -> str:
    return json.dumps(within_size(value), separators=(",", ":"), sort_keys=True, default=to_json)


@algorithm("String.decodeJSON")
def decode_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EarthEngineError(f"String.decodeJSON: {error}.") from error


# --- lists


@algorithm("List.add")
def add(items: list[Any], element: Any) -> list[Any]:
    return [*items, element]


@algorithm("List.cat")
def cat(items: list[Any], other: list[Any]) -> list[Any]:
    return items + other


@algorithm("List.contains")
def contains(items: list[Any], element: Any) -> bool:
    return element in items


@algorithm("List.containsAll")
def contains_all(items: list[Any], other: list[Any]) -> bool:
    return all(element in items for element in other)


@algorithm("List.distinct")
def distinct(items: list[Any]) -> list[Any]:
    return functools.reduce(lambda kept, x: kept if x in kept else [*kept, x], items, [])


@algorithm("List.equals")
def list_equals(items: list[Any], other: list[Any]) -> bool:
    return items == other


@algorithm("List.filter")
def filter_list(items: list[Any], condition: Filter) -> list[Any]:
    def passes(item: Any) -> bool:
        is_element = isinstance(item, Image | Feature | Collection)
        element = item if is_element else Feature({"item": item}, None)
        return condition.test(element, element)

    return [item for item in items if passes(item)]


@algorithm("List.flatten")
def flatten(items: list[Any]) -> list[Any]:
    parts = (flatten(item) if isinstance(item, list) else [item] for item in items)
    return list(chain.from_iterable(parts))


@algorithm("List.frequency")
def frequency(items: list[Any], element: Any) -> int:
    return items.count(element)


@algorithm("List.get")
def get(items: list[Any], position: int) -> Any:
    try:
        return items[position]
    except IndexError:
        raise EarthEngineError(
            f"List.get: List index must be between 0 and {len(items) - 1}, found {position}."
        ) from None


def typed(getter: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """Return a getter that makes what it gets, unless null, a value of a type."""

    def get_as(container: Any, key: Any) -> Any:
        value = getter(container, key)
        return None if value is None else coerce(kind, value)

    return get_as


TYPED = ("Array", "Geometry", "Number", "String")
for _kind in TYPED:
    algorithm(f"List.get{_kind}")(typed(get, _kind))


@algorithm("List.indexOf")
def index_of(items: list[Any], element: Any) -> int:
    return items.index(element) if element in items else -1


def _positions(items: list[Any], target: list[Any]) -> list[int]:
    starts = range(len(items) - len(target) + 1)
    return [start for start in starts if items[start : start + len(target)] == target]


@algorithm("List.indexOfSublist")
def index_of_sublist(items: list[Any], target: list[Any]) -> int:
    return next(iter(_positions(items, target)), -1)


@algorithm("List.lastIndexOfSubList")
def last_index_of_sublist(items: list[Any], target: list[Any]) -> int:
    return max(_positions(items, target), default=-1)


@algorithm("List.insert")
def insert(items: list[Any], position: int, element: Any) -> list[Any]:
    result = list(items)
    result.insert(position, element)
    return result


@algorithm("List.iterate")
def iterate(items: list[Any], function: Callable[..., Any], first: Any) -> Any:
    return functools.reduce(lambda state, item: function(item, state), items, first)


@algorithm("List.join")
def join(items: list[Any], separator: str) -> str:
    return separator.join(text(item) for item in items)


@algorithm("List.length", "List.size")
def size(items: list[Any]) -> int:
    return len(items)


@algorithm("List.map")
def map_list(items: list[Any], function: Callable[..., Any], drop_nulls: bool) -> list[Any]:
    mapped = [function(item) for item in items]
    return [item for item in mapped if item is not None] if drop_nulls else mapped


@algorithm("List.reduce")
def reduce_list(items: list[Any], reducer: Reducer) -> Any:
    rows = [item if reducer.inputs > 1 else [item] for item in items]
    result = reduce_records(reducer, rows)
    return next(iter(result.values())) if len(result) == 1 else result


@algorithm("List.remove")
def remove(items: list[Any], element: Any) -> list[Any]:
    position = index_of(items, element)
    return items if position < 0 else items[:position] + items[position + 1 :]


@algorithm("List.removeAll")
def remove_all(items: list[Any], other: list[Any]) -> list[Any]:
    return [item for item in items if item not in other]


@algorithm("List.repeat")
def repeat(value: Any, count: int) -> list[Any]:
    return [value] * within_count(count)


@algorithm("List.replace")
def replace_first(items: list[Any], old: Any, new: Any) -> list[Any]:
    position = index_of(items, old)
    return items if position < 0 else [*items[:position], new, *items[position + 1 :]]


@algorithm("List.replaceAll")
def replace_all(items: list[Any], old: Any, new: Any) -> list[Any]:
    return [new if item == old else item for item in items]


@algorithm("List.reverse")
def reverse(items: list[Any]) -> list[Any]:
    return items[::-1]


@algorithm("List.rotate")
def rotate(items: list[Any], distance: int) -> list[Any]:
    shift = distance % len(items) if items else 0
    return items[-shift:] + items[:-shift] if shift else items


@algorithm("List.sequence")
def sequence(start: float, end: float | None, step: float, count: int | None) -> list[float]:
    if count is not None:
        gap = step if end is None else (end - start) / max(count - 1, 1)
    elif end is None or step == 0:
        raise EarthEngineError("List.sequence: Needs an end or a count, and a step.")
    else:
        gap, count = step, (end - start) / step + ROUNDING + 1
    if isinstance(start, int) and float(gap).is_integer():
        gap = int(gap)
    return [start + gap * i for i in range(math.floor(within_count(count)))]


ROUNDING = 1e-9  # of a step, so that 0 to 1 in steps of 0.1 ends at 1


@algorithm("List.set")
def set_item(items: list[Any], position: int, element: Any) -> list[Any]:
    get(items, position)
    result = list(items)
    result[position] = element
    return result


@algorithm("List.shuffle")
def shuffle(items: list[Any], seed: int | None) -> list[Any]:
    order = np.random.default_rng(abs(seed or 0)).permutation(len(items))
    return [items[i] for i in order]


@algorithm("List.slice")
def slice_list(items: list[Any], start: int, end: int | None, step: int | None) -> list[Any]:
    return items[start:end:step]


@algorithm("List.sort")
def sort(items: list[Any], keys: list[Any] | None) -> list[Any]:
    if keys is None:
        return sorted(items, key=sort_key)
    order = sorted(range(len(items)), key=lambda i: sort_key(keys[i]))
    return [items[i] for i in order]


@algorithm("List.splice")
def splice(items: list[Any], start: int, count: int, other: list[Any] | None) -> list[Any]:
    first = start % len(items) if start < 0 and items else start
    return items[:first] + (other or []) + items[first + count :]


@algorithm("List.swap")
def swap(items: list[Any], first: int, second: int) -> list[Any]:
    result = list(items)
    result[first], result[second] = get(items, second), get(items, first)
    return result


@algorithm("List.zip")
def zip_lists(items: list[Any], other: list[Any]) -> list[list[Any]]:
    return [list(pair) for pair in zip(items, other, strict=False)]


@algorithm("List.unzip")
def unzip(items: list[Any]) -> list[list[Any]]:
    return [list(column) for column in zip(*items, strict=False)]


# --- dictionaries


def _selected(dictionary: dict[str, Any], selectors: list[str], ignore_missing: bool) -> list[str]:
    """Return the keys that names or anchored patterns select."""
    found: list[str] = []
    for selector in selectors:
        keys = [selector] if selector in dictionary else []
        keys = keys or [key for key in sorted(dictionary) if selects(selector, key)]
        if not keys and not ignore_missing:
            raise EarthEngineError(f"Dictionary does not contain key: '{selector}'.")
        found += keys
    return found


@algorithm("Dictionary")
def dictionary(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case list():
            return dict(zip(value[::2], value[1::2], strict=True))
        case _:
            return coerce("Dictionary", value)


@algorithm("Dictionary.combine")
def combine(first: dict[str, Any], second: dict[str, Any], overwrite: bool) -> dict[str, Any]:
    """Combine two dictionaries; a null is as good as no entry."""
    known = [{k: v for k, v in d.items() if v is not None} for d in (first, second)]
    return known[0] | known[1] if overwrite else known[1] | known[0]


@algorithm("Dictionary.contains")
def has_key(source: dict[str, Any], key: str) -> bool:
    return key in source


@algorithm("Dictionary.fromLists")
def from_lists(keys: list[str], values: list[Any]) -> dict[str, Any]:
    if len(keys) != len(values):
        raise EarthEngineError("Dictionary.fromLists: The lists must have the same length.")
    return dict(zip(keys, values, strict=True))


@algorithm("Dictionary.get")
def get_value(source: dict[str, Any], key: str, default: Any) -> Any:
    if key not in source and default is None:
        raise EarthEngineError(f"Dictionary.get: Dictionary does not contain key: '{key}'.")
    return source.get(key, default)


for _kind in TYPED:
    algorithm(f"Dictionary.get{_kind}")(
        typed(lambda source, key: get_value(source, key, None), _kind)
    )


@algorithm("Dictionary.keys")
def keys(source: dict[str, Any]) -> list[str]:
    return sorted(source)


@algorithm("Dictionary.values")
def values(source: dict[str, Any], names: list[str] | None) -> list[Any]:
    return [source[key] for key in names or sorted(source)]


@algorithm("Dictionary.map")
def map_dictionary(source: dict[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    mapped = {key: function(key, value) for key, value in sorted(source.items())}
    return {key: value for key, value in mapped.items() if value is not None}


@algorithm("Dictionary.remove")
def remove_keys(source: dict[str, Any], selectors: list[str], ignore: bool) -> dict[str, Any]:
    gone = set(_selected(source, selectors, ignore))
    return {key: value for key, value in source.items() if key not in gone}


@algorithm("Dictionary.select")
def select_keys(source: dict[str, Any], selectors: list[str], ignore: bool) -> dict[str, Any]:
    return {key: source[key] for key in _selected(source, selectors, ignore)}


@algorithm("Dictionary.rename")
def rename(
    source: dict[str, Any], old: list[str], new: list[str], overwrite: bool
) -> dict[str, Any]:
    names = from_lists(old, new)
    kept = {key: value for key, value in source.items() if key not in names}
    renamed = {names[key]: source[key] for key in old}
    if not overwrite and kept.keys() & renamed.keys():
        raise EarthEngineError("Dictionary.rename: A new name is already in the dictionary.")
    return kept | renamed


@algorithm("Dictionary.set")
def set_key(source: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return {**source, key: value}


@algorithm("Dictionary.size")
def dictionary_size(source: dict[str, Any]) -> int:
    return len(source)


@algorithm("Dictionary.toImage")
def to_image(source: dict[str, Any], names: list[str] | None) -> Image:
    return constant({name: source[name] for name in names or sorted(source)})
