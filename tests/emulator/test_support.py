"""docs/emulator.md says what the registry has."""

from pathlib import Path

from emulator.support import with_table

PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"


def test_the_page_lists_the_algorithms_that_answer():
    assert PAGE.read_text() == with_table(PAGE.read_text()), "run make docs"
