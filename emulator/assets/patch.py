"""Partial updates of an asset's properties and bands: the update masks of assets.patch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from emulator import fields
from emulator.errors import EarthEngineError
from emulator.stored import StoredBand

ALL_PROPERTIES, BANDS = "properties", "bands"
#: The times of an asset are properties to an expression.
TIMES = {"startTime": "system:time_start", "endTime": "system:time_end"}
EVERYTHING = (ALL_PROPERTIES, *TIMES)


def patched_properties(
    properties: Mapping[str, Any], changes: Mapping[str, Any], paths: Sequence[str]
) -> dict[str, Any]:
    """Return properties after an update; a field that is named but has no value is deleted.

    `paths` are those of a REST update mask: `properties`, `properties.KEY`, `startTime`,
    `end_time`; none means all of them.
    """
    patched = dict(properties)
    changes = fields.in_camel_case(changes)
    given = checked_properties(fields.mapping(changes, ALL_PROPERTIES))
    for path in paths or EVERYTHING:
        if path == ALL_PROPERTIES:
            times = {key: patched[key] for key in set(TIMES.values()) & patched.keys()}
            patched = {**given, **times}
            continue
        key, value = _field(path, changes, given)
        patched.pop(key, None)
        if value is not None:
            patched[key] = value
    return patched


def renamed_bands(
    bands: Sequence[StoredBand], changes: Mapping[str, Any]
) -> tuple[StoredBand, ...]:
    """Return the bands with other names, which are all that can be changed of them."""
    names = [fields.text(band, "id") for band in fields.messages(changes, BANDS)]
    if len(names) != len(bands) or len(set(names)) != len(names):
        raise EarthEngineError(f"The image needs {len(bands)} band names that differ.")
    return tuple(replace(band, name=name) for band, name in zip(bands, names, strict=True))


def checked_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that have a value, which may be a string or a number."""
    for key, value in properties.items():
        if not (value is None or isinstance(value, str) or fields.is_number(value)):
            raise EarthEngineError(f'Property "{key}" must be a string or a number.')
    return {key: value for key, value in properties.items() if value is not None}


def _field(path: str, changes: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the property that a path names and its new value."""
    if (name := fields.camel(path)) in TIMES:
        return TIMES[name], fields.milliseconds(changes, name)
    prefix, _, key = path.partition(".")
    if prefix != ALL_PROPERTIES or not key:
        raise EarthEngineError(f"Invalid update mask: '{path}' cannot be updated.")
    key = key.strip('"')  # the client quotes keys in ee.data.setAssetProperties
    return key, given.get(key)
