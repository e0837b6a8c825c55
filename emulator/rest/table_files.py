"""Tables as files to download."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.exports.tables import FORMATS, with_ids
from emulator.functions.values import Collection, Feature
from emulator.rest.server import Content

#: Formats that Earth Engine has and the emulator has not.
OTHER_FORMATS = ("KML", "KMZ", "SHP", "TF_RECORD_TABLE", "PARQUET")
#: The client's other name of a format.
ALIASES = {"JSON": "GEO_JSON"}
MEDIA_TYPES = {"CSV": "text/csv", "GEO_JSON": "application/json"}


def features(value: Any) -> Iterator[Feature]:
    """Yield the features of an evaluated table."""
    if not isinstance(value, Collection) or value.of_images:
        raise EarthEngineError("The expression is not a table.")
    for element in value:
        if not isinstance(element, Feature):
            raise EarthEngineError("The expression is not a table: it has elements of other types.")
        yield element


def encode(table: Iterator[Feature], file_format: str, selectors: Sequence[str]) -> Content:
    """Return a table as a file."""
    kind = ALIASES.get(file_format, file_format)
    if kind in OTHER_FORMATS:
        raise NotImplementedByEmulator(f"The table format {file_format}")
    if kind not in FORMATS:
        raise EarthEngineError(f"Invalid table format '{file_format[:20]}'.")
    text = io.StringIO()
    FORMATS[kind][1](text, with_ids(table), selectors or None)
    return Content(text.getvalue().encode(), MEDIA_TYPES[kind])
