"""Regular expressions as Earth Engine has them: RE2, which takes linear time whatever the text."""

import functools
import re
from typing import Any

import re2

from emulator.errors import EarthEngineError


@functools.lru_cache(256)
def compiled(regex: str, ignore_case: bool = False) -> "re2._Regexp":
    """Return a compiled pattern (https://github.com/google/re2/wiki/Syntax)."""
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    try:
        return re2.compile(regex, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise EarthEngineError(f"Invalid regular expression '{regex}': {reason}.") from error


def selects(selector: str, name: str) -> bool:
    """Tell whether a name, or an anchored pattern, selects a name."""
    return selector == name or compiled(selector).fullmatch(name) is not None


def replaced(text: str, pattern: "re2._Regexp", replacement: str, every: bool) -> str:
    """Replace the first match or every one; `$1` stands for what the first group matched."""

    def expanded(found: Any) -> str:
        return re.sub(r"\$(\d)", lambda group: found[int(group[1])] or "", replacement)

    # The library finds an empty match at the end twice.
    matches = list({found.span(): found for found in pattern.finditer(text)}.values())
    pieces, position = [], 0
    for found in matches if every else matches[:1]:
        pieces += [text[position : found.start()], expanded(found)]
        position = found.end()
    return "".join(pieces) + text[position:]
