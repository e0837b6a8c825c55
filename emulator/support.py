"""`python -m emulator.support docs/emulator.md`: write the table of supported algorithms."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from emulator import engine, registry

assert engine  # registers the algorithms

MARKS = "<!-- algorithms: made by python -m emulator.support -->", "<!-- end of algorithms -->"


def table() -> str:
    """Return Markdown: what answers and what does not, family by family."""
    have = registry.registered()
    public = {name for name, entry in registry.signatures().items() if not entry.get("hidden")}
    ours, missing = _by_family(have & public), _by_family(public - have)
    rows = [
        f"| {family} | {', '.join(ours[family])} | {', '.join(missing[family])} |"
        for family in sorted(ours.keys() | missing.keys())
    ]
    head = [
        f"{len(have & public)} of {len(public)} public algorithms answer, "
        f"and {len(have - public)} under older names.",
        "",
        "| family | answers | not implemented |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def _by_family(names: Iterable[str]) -> defaultdict[str, list[str]]:
    families = defaultdict(list)
    for name in sorted(names):
        family, _, rest = name.partition(".")
        families[family].append(rest or "(constructor)")
    return families


def with_table(document: str) -> str:
    """Return a document with the table between its marks made anew."""
    start, end = map(re.escape, MARKS)
    replacement = "\n".join([MARKS[0], table(), MARKS[1]])
    return re.sub(f"{start}.*{end}", lambda _: replacement, document, flags=re.DOTALL)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_table(page.read_text()))
