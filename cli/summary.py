"""The numbers of a run, for `summary.json` and for the screen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from shared.domain.exports import Export, State


@dataclass(frozen=True)
class Summary:
    """What a run came to. Counts that only an emulator or SQLite keeps are None elsewhere."""

    run: str
    images_found: int
    succeeded: int
    failed: int
    skipped: int
    exports_started: int | None
    ee_requests: int | None  # until all is final, those of maps too; reading results is not in it
    ee_requests_per_image: float | None
    ledger_writes: int | None  # of exports and runs
    ledger_writes_per_image: float | None  # of exports
    peak_queued_tasks: int | None
    wall_seconds: float
    dead_letters: int = 0
    maps: int = 0  # made of the masks
    failures: list[dict[str, str]] = field(default_factory=list)
    unreadable_scenes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON content."""
        return asdict(self)


def summarize(
    run: str,
    records: Sequence[Export],
    wall_seconds: float,
    statistics: dict[str, Any] | None = None,
    ledger_writes: Mapping[str, int] | None = None,
    dead_letters: int = 0,
    maps: Sequence[Export] = (),
) -> Summary:
    """Return the summary of a run, with the Earth Engine emulator's statistics if there are.

    Records that others have superseded are history, and do not count.
    """
    records = [record for record in records if record.state is not State.SUPERSEDED]
    states = Counter(record.state for record in records)
    counted, writes = statistics or {}, ledger_writes or {}
    return Summary(
        run=run,
        images_found=len(records),
        succeeded=states[State.SUCCEEDED],
        failed=states[State.FAILED],
        skipped=states[State.SKIPPED],
        exports_started=counted.get("exports_started"),
        ee_requests=counted.get("requests"),
        ee_requests_per_image=_per_image(counted.get("requests"), records),
        ledger_writes=sum(writes.values()) if writes else None,
        ledger_writes_per_image=_per_image(writes.get("exports"), records),
        peak_queued_tasks=counted.get("peak_queued_tasks"),
        wall_seconds=round(wall_seconds, 2),
        dead_letters=dead_letters,
        maps=sum(record.state is State.SUCCEEDED for record in maps),
        failures=failures([*records, *maps]),
        unreadable_scenes=counted.get("unreadable_scenes", []),
    )


def failures(records: Sequence[Export]) -> list[dict[str, str]]:
    """Return which masks and maps failed, why, and what to do."""
    return [
        {"kind": x.kind, "image_id": x.image_id, "reason": x.reason, "next_action": x.next_action}
        for x in records
        if x.state is State.FAILED
    ]


def table(summary: Summary) -> Table:
    """Return the summary as a table for people."""
    rows = Table(title=f"Run {summary.run}", show_header=False, title_justify="left")
    for name, value in summary.to_dict().items():
        if isinstance(value, (int, float)):
            rows.add_row(name.replace("_", " "), f"{value:g}")
    return rows


def _per_image(count: int | None, records: Sequence[Export]) -> float | None:
    return round(count / len(records), 3) if count is not None and records else None
