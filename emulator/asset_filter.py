"""The filters of listAssets: the part of https://google.aip.dev/160 that the client writes.

Terms joined by AND: `startTime >= "2018-01-01T00:00:00Z"`, `properties.cloud < 20`,
`intersects("{'type': 'Point', 'coordinates': [14, 46]}")`.
"""

import json
import operator
import re
from collections.abc import Callable
from typing import Any

import shapely
import shapely.wkt
from shapely.geometry.base import BaseGeometry

from emulator.assets import Asset
from emulator.clock import to_milliseconds
from emulator.errors import EarthEngineError, NotImplementedByEmulator

Predicate = Callable[[Asset], bool]

TERM = re.compile(
    r"""\s*(?:
        intersects\(\s*"(?P<region>[^"]*)"\s*\)
      | (?P<field>\w+(?:\.[\w:."]+)?)\s*(?P<operator><=|>=|!=|=|<|>)\s*
        (?:"(?P<text>[^"]*)"|'(?P<quoted>[^']*)'|(?P<word>[^\s()"']+))
    )\s*(?:AND\s|$)""",
    re.VERBOSE,
)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}


def parse_filter(text: str) -> Predicate:
    """Return what decides whether an asset passes a filter; an empty one passes all."""
    predicates = []
    position = 0
    while position < len(text.rstrip()):
        term = TERM.match(text, position)
        if term is None:
            raise NotImplementedByEmulator(f"The filter '{text[position:].strip()}'")
        predicates.append(_predicate(term))
        position = term.end()
    return lambda asset: all(predicate(asset) for predicate in predicates)


def _predicate(term: re.Match[str]) -> Predicate:
    if term["region"] is not None:
        region = _geometry(term["region"])
        return lambda asset: _intersects(asset, region)
    field = _field(term["field"].replace('"', ""))
    compare = OPERATORS[term["operator"]]
    given = term["text"] or term["quoted"] or term["word"] or ""
    if term["field"] in TIMES:
        given_ms = _milliseconds(given)
        return lambda asset: (value := field(asset)) is not None and compare(value, given_ms)
    return lambda asset: _compares(field(asset), compare, given)


def _field(name: str) -> Callable[[Asset], Any]:
    if name in FIELDS:
        return FIELDS[name]
    prefix, _, key = name.partition(".")
    if prefix != "properties" or not key:
        raise EarthEngineError(f"Invalid filter: there is no field '{name}'.")
    return lambda asset: asset.properties.get(key)


def _start(asset: Asset) -> Any:
    return asset.properties.get("system:time_start")


def _end(asset: Asset) -> Any:
    # An image without an end was taken at its start.
    return asset.properties.get("system:time_end", _start(asset))


TIMES = ("startTime", "endTime", "updateTime")
FIELDS: dict[str, Callable[[Asset], Any]] = {
    "name": lambda asset: asset.name,
    "type": lambda asset: asset.type,
    "startTime": _start,
    "endTime": _end,
    "updateTime": lambda asset: to_milliseconds(asset.update_time),
}


def _compares(value: Any, compare: Callable[[Any, Any], bool], given: str) -> bool:
    """Compare as numbers where the asset has one; an absent value passes no comparison."""
    if value is None:
        return False
    if isinstance(value, int | float):
        try:
            return compare(value, float(given))
        except ValueError:
            return False
    return compare(str(value), given)


def _intersects(asset: Asset, region: BaseGeometry) -> bool:
    if asset.footprint is None:
        return asset.type == "IMAGE"  # unbounded
    return bool(shapely.geometry.shape(asset.footprint).intersects(region))


def _geometry(text: str) -> BaseGeometry:
    """Return a GeoJSON geometry, whose quotes the client has made single, or a WKT one."""
    try:
        if text.lstrip().startswith("{"):
            return shapely.geometry.shape(json.loads(text.replace("'", '"')))
        return shapely.wkt.loads(text)
    except (ValueError, shapely.errors.ShapelyError, KeyError, AttributeError) as error:
        raise EarthEngineError(f"Invalid filter: '{text}' is not a geometry.") from error


def _milliseconds(text: str) -> int:
    try:
        return to_milliseconds(text)
    except ValueError as error:
        raise EarthEngineError(f"Invalid filter: '{text}' is not a time.") from error
