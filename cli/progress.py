"""Progress bars on a terminal, and nothing elsewhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.drive import Report
from shared.domain.exports import FINAL, State

#: Standard output is for results; people and logs read here.
console = Console(stderr=True)


def bars() -> Progress:
    """Return a progress display in the project's style."""
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


@contextmanager
def export_bars() -> Iterator[Report]:
    """Show how many images have their export started, and how many are final."""
    with bars() as progress:
        started = progress.add_task("Exports started", total=None)
        final = progress.add_task("Masks recorded", total=None)
        mapped = progress.add_task("Maps recorded", total=None, visible=False)

        def report(counts: Mapping[str, int], maps: Mapping[str, int]) -> None:
            total = sum(counts.values())
            done = sum(n for state, n in counts.items() if state in FINAL)
            progress.update(started, total=total, completed=done + counts.get(State.STARTED, 0))
            progress.update(final, total=total, completed=done)
            ended = sum(n for state, n in maps.items() if state in FINAL)
            progress.update(mapped, total=sum(maps.values()), completed=ended, visible=bool(maps))

        yield report
