"""`verdure archive`, `verdure restore` and `verdure ls`: assets out, back, and where they are."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from datetime import time as clock
from pathlib import Path
from typing import Annotated, Any

import shapely
import typer
from rich.table import Table

from cli import stacks
from cli.people import errors_for_people
from cli.progress import bars, console
from shared import bootstrap, second_copies
from shared.archiving import Archiver, copy_problem, policy_of, record_of
from shared.config import read_geometry, read_settings
from shared.domain import archive, sidecars
from shared.domain.archive import UNDER_WAY, Asset, State, Way
from shared.domain.exports import Export
from shared.domain.exports import State as ExportState
from shared.domain.runs import Run
from shared.errors import InvalidConfiguration
from shared.messages import Message, QuotaReached, RestoreRequested
from shared.services import Services

#: Seconds between two looks at what is under way; and without any change, until a failure that
#: is noted on a record counts as lasting, and until nothing is waited for.
PAUSE, FAILING, PATIENCE = 1.0, 30.0, 900.0

app = typer.Typer(no_args_is_help=True, help="Move assets out of Earth Engine, safely.")

Out = Annotated[Path, typer.Option("--out", help="Folder of the run.")]
Stack = Annotated[str, typer.Option("--stack", help="embedded, or cloud.")]
Name = Annotated[str, typer.Option("--run", help="Name of the run, if there are several.")]
Ids = Annotated[
    list[str] | None, typer.Argument(help="Image ids, asset ids or record ids; none: all.")
]
Region = Annotated[
    str, typer.Option("--region", help="GeoJSON file, or WEST,SOUTH,EAST,NORTH in degrees.")
]
Period = Annotated[
    str, typer.Option("--period", help="START/END, two dates; the end is exclusive.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dataclass(frozen=True)
class Selection:
    """Which assets a command is about."""

    ids: Sequence[str]
    area: Any  # shapely geometry, or None
    start: datetime
    end: datetime

    def has(self, record: Asset) -> bool:
        """Tell whether an asset is meant."""
        names = {record.image_id, record.asset_id, record.record_id}
        if self.ids and not names & set(self.ids):
            return False
        if not self.start <= record.sensed_at < self.end:
            return False
        geometry = json.loads(record.description).get("geometry")
        if self.area is None or geometry is None:
            return self.area is None
        return bool(shapely.from_geojson(json.dumps(geometry)).intersects(self.area))


@app.command()
def plan(out: Out = Path("out/demo"), stack: Stack = "embedded", run: Name = "") -> None:
    """Show the quota, and what would leave now; nothing is changed."""
    with _opened(out, stack, run) as opened:
        quota, chosen = Archiver(opened.run, opened.services).plan()
        under_way = opened.services.assets.count_by_state(opened.run.name)
        policy = policy_of(opened.run)
        typer.echo(
            f"assets {quota.assets} of {quota.max_assets}, "
            f"{quota.bytes / 1e9:.2f} of {quota.max_bytes / 1e9:.0f} GB; "
            f"archiving begins above {policy.high:.0%} and goes on to {policy.low:.0%}"
        )
        size = sum(x.size_bytes for x in chosen)
        typer.echo(f"would leave now: {len(chosen)} assets, {size / 1e9:.2f} GB")
        for record in chosen:
            typer.echo(f"  {record.sensed_at:%Y-%m-%d}  {record.image_id}")
        typer.echo(f"on record: {_counts(under_way)}")


@app.command(name="run")
def run_archive(
    ids: Ids = None,
    region: Region = "",
    period: Period = "",
    out: Out = Path("out/demo"),
    stack: Stack = "embedded",
    run: Name = "",
    again: Annotated[
        bool, typer.Option("--again", help="Also what could not be copied before.")
    ] = False,
) -> None:
    """Archive what has to leave, or the assets that are named, until nothing is under way."""
    with _opened(out, stack, run) as opened:
        if again:
            _forgive(opened.run, opened.services)
        if ids or region or period:
            archiver = Archiver(opened.run, opened.services)
            selection = _selection(ids, region, period)
            archiver.take(_known(archiver.candidates(), selection, opened.run))
        _follow(opened, QuotaReached(opened.run.run_id), "Assets archived")


@app.command()
def verify(
    ids: Ids = None,
    out: Out = Path("out/demo"),
    stack: Stack = "embedded",
    run: Name = "",
    mend: Annotated[
        bool, typer.Option("--mend", help="Bring back from Drive what is damaged.")
    ] = False,
) -> None:
    """Check that every copy is still the one that was verified; exit 1 if one is not."""
    with _opened(out, stack, run) as opened:
        records = [x for x in opened.services.assets.of_run(opened.run.name) if x.files]
        records = _selected(records, _selection(ids, "", ""))
        problems = 0
        for record in records:
            problem = copy_problem(record, opened.services)
            if problem and mend and record.second:
                problem = second_copies.mended(record, opened.services)
            if problem:
                problems += 1
                typer.echo(f"{record.image_id}: {problem}")
                opened.services.assets.change(
                    record.record_id,
                    lambda x, problem=problem: archive.deplore(
                        x, problem, "bring the object back: verdure archive verify --mend"
                    ),
                )
        typer.echo(f"{len(records)} copies checked, {problems} with a problem")
        if problems:
            raise typer.Exit(1)


@app.command()
def undo(
    ids: Ids = None,
    region: Region = "",
    period: Period = "",
    out: Out = Path("out/demo"),
    stack: Stack = "embedded",
    run: Name = "",
) -> None:
    """Keep assets that are leaving, as long as they are not deleted."""
    with _opened(out, stack, run) as opened:
        ledger = opened.services.assets
        selection = _selection(ids, region, period)
        records = _known(ledger.of_run(opened.run.name), selection, opened.run)
        kept = [
            ledger.change(x.record_id, lambda y: archive.undo(y, datetime.now(UTC)))
            for x in records
        ]
        typer.echo(f"{sum(x is not None for x in kept)} assets stay")
        gone = [x for x in records if x.state in (State.DELETING, State.ARCHIVED)]
        if gone:
            typer.echo(f"{len(gone)} are archived already: verdure restore brings them back")


@app.command(name="import")
def import_assets(
    source: Annotated[
        str,
        typer.Argument(
            help="Asset folder, the JSON sidecar of the 2019 system, or of a copy of ours."
        ),
    ],
    out: Out = Path("out/demo"),
    stack: Stack = "embedded",
    run: Name = "",
) -> None:
    """Take assets on record that no run of ours made, so that they can leave and come back."""
    with _opened(out, stack, run) as opened:
        records = _imported(source, opened.run, opened.services)
        added = opened.services.assets.add(records)
        typer.echo(f"{added} assets on record, {len(records) - added} were already")


def restore(
    ids: Ids = None,
    region: Region = "",
    period: Period = "",
    way: Annotated[str, typer.Option("--way", help="ingest, cog, export or virtual.")] = "",
    out: Out = Path("out/demo"),
    stack: Stack = "embedded",
    run: Name = "",
) -> None:
    """Bring archived assets back into Earth Engine."""
    with _opened(out, stack, run) as opened:
        if way and way not in list(Way):
            raise InvalidConfiguration([f"--way is {way!r}, expected one of {', '.join(Way)}"])
        if not (ids or region or period):
            raise InvalidConfiguration(["name what to restore: ids, --region or --period"])
        records = _everything(opened.run, opened.services)
        records = _known(records, _selection(ids, region, period), opened.run)
        live = [x for x in records if x.state not in (State.ARCHIVED, State.RESTORING)]
        if ids and live:
            raise InvalidConfiguration(
                [f"{x.image_id} is {x.state}: nothing to restore" for x in live]
            )
        wanted = tuple(x.record_id for x in records if x.state is State.ARCHIVED)
        if (way or policy_of(opened.run).restore) == Way.VIRTUAL:
            typer.echo(f"{len(wanted)} assets are read from their files; nothing to do")
            return
        _follow(opened, RestoreRequested(opened.run.run_id, wanted, way), "Assets restored")


def list_assets(
    ids: Ids = None,
    region: Region = "",
    period: Period = "",
    out: Out = Path("out/demo"),
    stack: Stack = "embedded",
    run: Name = "",
    original: Annotated[
        Path | None, typer.Option("--original", help="Write the 2019 system's JSON here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List a run's masks and maps wherever they are: state, place, and why one does not move."""
    with errors_for_people():
        services = _ledger_only(out, stack)
        chosen_run = _run(services, run)
        records = _selected(_everything(chosen_run, services), _selection(ids, region, period))
        if original is not None:
            original.write_text(json.dumps(sidecars.original(records), indent=1))
        if as_json:
            typer.echo(json.dumps([_facts(x) for x in records], indent=1))
            return
        rows = Table("Image", "State", "Read from", "MB")
        for record in records:
            there = ["asset"] * (record.state in archive.READABLE) + ["copy"] * bool(record.files)
            size = f"{record.size_bytes / 1e6:.1f}" if record.size_bytes else ""
            rows.add_row(record.image_id, record.state, ", ".join(there), size)
        console.print(rows)
        for record in records:
            if record.reason:
                typer.echo(f"{record.image_id}: {record.reason}; {record.next_action}", err=True)
        console.print(_counts(Counter(record.state for record in records)))


# What the commands share.


@dataclass
class Opened:
    """A stack and the run that a command is about; the functions of the cloud are no stack."""

    services: Services
    run: Run
    stack: stacks.Stack | None


@contextmanager
def _opened(out: Path, stack: str, run: str) -> Iterator[Opened]:
    """Open a stack; what goes wrong is said in a person's words."""
    with errors_for_people():
        services = _ledger_only(out, stack)
        chosen = _run(services, run)
        if stack == "cloud":
            yield Opened(services, chosen, None)
            return
        with stacks.start(stack, out, []) as running:
            yield Opened(running.services, chosen, running)


def _ledger_only(out: Path, stack: str) -> Services:
    if stack == "cloud":
        return bootstrap.build(read_settings(stack="cloud"))
    if stack != "embedded":
        raise InvalidConfiguration([f"--stack is {stack!r}, expected embedded or cloud"])
    if not (out / "verdure.sqlite").exists():
        raise InvalidConfiguration([f"{out} has no run in it; name the folder of one with --out"])
    from emulator.launch import PROJECT
    from shared.config import Settings

    return bootstrap.build(Settings(stack, PROJECT, out))


def _run(services: Services, name: str) -> Run:
    """Return the run that is meant, which has an archive; say which there are if unclear."""
    with_archive = [x for x in services.ledger.active_runs() if x.configuration.archive]
    found = [x for x in with_archive if not name or x.name == name]
    if len(found) == 1:
        return found[0]
    names = ", ".join(x.name for x in with_archive) or "none"
    raise InvalidConfiguration(
        [
            f"--run is {name or 'not given'}; runs with an archive: {names}. A run has one if its "
            "configuration has `archive:` with a `bucket`"
        ]
    )


def _everything(run: Run, services: Services) -> list[Asset]:
    """Return the archive's records, and records of masks and maps that never had to leave."""
    records = services.assets.of_run(run.name)
    versions = {record.version for record in records}
    never_left = [
        _live(run, export)
        for queue in run.queues
        for export in services.ledger.exports(queue)
        if export.state is ExportState.SUCCEEDED and export.export_id not in versions
    ]
    return sorted([*records, *never_left], key=lambda x: (x.sensed_at, x.record_id))


def _live(run: Run, export: Export) -> Asset:
    """Return the record of an output of which only the run knows: its size is not known."""
    return record_of(run, export, {"geometry": json.loads(export.footprint)}, size_bytes=0)


def _selection(ids: Sequence[str] | None, region: str, period: str) -> Selection:
    start, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    if period:
        try:
            first, last = (date.fromisoformat(x) for x in period.split("/"))
        except ValueError as error:
            raise InvalidConfiguration(
                [f"--period is {period!r}, expected two dates: 2018-03-01/2018-11-01"]
            ) from error
        start, end = (datetime.combine(x, clock(), UTC) for x in (first, last))
        if start >= end:
            raise InvalidConfiguration([f"--period is {period!r}: it ends before it starts"])
    return Selection(ids or (), _area(region) if region else None, start, end)


def _area(region: str) -> Any:
    try:
        corners = [float(x) for x in region.split(",")]
    except ValueError:
        geometry = read_geometry(region, Path(), "--region")
        return shapely.from_geojson(json.dumps(geometry))
    if len(corners) != 4 or corners[0] >= corners[2] or corners[1] >= corners[3]:
        raise InvalidConfiguration([f"--region is {region!r}, expected WEST,SOUTH,EAST,NORTH"])
    return shapely.box(*corners)


def _selected(records: Sequence[Asset], selection: Selection) -> list[Asset]:
    return [x for x in records if selection.has(x)]


def _known(records: Sequence[Asset], selection: Selection, run: Run) -> list[Asset]:
    """Return the assets that are meant; every id must be one that the archive knows, once."""
    chosen = _selected(records, selection)
    problems = []
    for wanted in selection.ids:
        found = [x for x in chosen if wanted in (x.image_id, x.asset_id, x.record_id)]
        if not found:
            problems.append(f"the archive of run {run.name} knows no {wanted}; see verdure ls")
        folders = sorted({x.asset_id for x in found})
        if len(folders) > 1:
            problems.append(f"{wanted} is in several folders: name one of {', '.join(folders)}")
    if problems:
        raise InvalidConfiguration(problems)
    return chosen


def _forgive(run: Run, services: Services) -> None:
    for record in services.assets.in_states(run.name, [State.LIVE]):
        services.assets.change(record.record_id, lambda x: archive.forgive(x, datetime.now(UTC)))


def _follow(opened: Opened, message: Message, title: str) -> None:
    """Publish a message, and on a local stack play the scheduler until nothing is under way.

    Raises FunctionFailed when that comes to nothing, with the reason as far as one is known.
    """
    opened.services.bus.publish([message])
    if opened.stack is None:
        typer.echo("published; the functions do the rest: verdure ls shows how far they are")
        return
    assets, name = opened.services.assets, opened.run.name
    earlier = len(opened.stack.dead_letters())
    before, changed = None, 0.0
    with bars() as progress:
        task = progress.add_task(title, total=None)
        while True:
            opened.stack.deliver()
            under_way = assets.in_states(name, UNDER_WAY)
            total = sum(assets.count_by_state(name).values())
            progress.update(task, total=total, completed=total - len(under_way))
            given_up = opened.stack.dead_letters()[earlier:]
            if not given_up and _only_waiting(under_way, opened.services):
                break
            if (now := {(x.record_id, x.state, x.attempt) for x in under_way}) != before:
                before, changed = now, time.monotonic()
            if problem := _failure(given_up, under_way, time.monotonic() - changed):
                raise stacks.FunctionFailed(f"{problem}; then give the command again")
            time.sleep(PAUSE)
            opened.stack.tick("watch_assets")
    typer.echo(_counts(assets.count_by_state(name)))


def _only_waiting(under_way: Sequence[Asset], services: Services) -> bool:
    """Tell whether all that is under way waits for the end of its undo window."""
    now = services.now()
    return all(x.state is State.TOMBSTONED and not archive.is_due(x, now) for x in under_way)


def _failure(
    given_up: Sequence[tuple[str, bytes, str]], under_way: Sequence[Asset], seconds: float
) -> str:
    """Return why what did not change for some seconds never will, and what to do; or nothing."""
    for topic, _, _ in given_up:
        return f"a message of {topic} failed with each delivery: mend what functions.log says"
    for record in under_way:
        if record.next_action and seconds > FAILING:
            return f"{record.image_id} stays {record.state}: {record.reason}; mend that"
    if seconds > PATIENCE:
        return "nothing more happens: see verdure ls and functions.log"
    return ""


def _facts(record: Asset) -> dict[str, Any]:
    places = [record.asset_id] if record.state in archive.READABLE else []
    places += [file.uri for file in record.files[:-1]]
    return {
        "record_id": record.record_id,
        "asset_id": record.asset_id,
        "image_id": record.image_id,
        "sensed_at": record.sensed_at.isoformat(),
        "state": str(record.state),
        "places": places,
        "size_bytes": record.size_bytes or None,  # not known of what never had to leave
        "reason": record.reason,
        "next_action": record.next_action,
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "no asset on record"


def _imported(source: str, run: Run, services: Services) -> list[Asset]:
    """Return records of the assets in a folder, or of those that a sidecar names."""
    times: dict[str, datetime] = {}
    path = Path(source)
    if path.suffix == ".json" or path.exists():
        try:
            text = _text(source, services)
            if sidecars.is_item(text):
                return [_of_copy(sidecars.from_item(text), run, services)]
            entries = sidecars.from_original(text)
        except (OSError, sidecars.ForeignItem) as error:
            raise InvalidConfiguration([f"{source}: {error}"]) from error
        times = {asset_id: sensed for asset_id, (sensed, _) in entries.items()}
        folders = sorted({asset_id.rpartition("/")[0] for asset_id in times})
    else:
        folders = [source]
    found = {x["name"]: x for f in folders for x in services.earth_assets.describe(f)}
    missing = [f"{x}: Earth Engine has no such asset" for x in times if x not in found]
    if not found:
        missing.append(f"{source}: Earth Engine has no image there")
    problems = missing + _duplicates([*found], services.assets.of_run(run.name))
    if problems:
        raise InvalidConfiguration(problems)
    wanted = {name: found[name] for name in (times or found)}
    return [_foreign(x, times.get(name), run) for name, x in wanted.items()]


def _text(source: str, services: Services) -> str:
    if source.startswith("gs://"):
        return services.objects.read(source).decode()
    return Path(source).read_text()


def _of_copy(item: dict[str, Any], run: Run, services: Services) -> Asset:
    """Return the record that a sidecar of ours was written from, if its copy is untouched."""
    uri = sidecars.uri_of(item)
    sidecar = services.objects.stat(uri)
    if sidecar is None:
        raise InvalidConfiguration([f"{uri} does not exist: the copy's sidecar belongs there"])
    record = sidecars.archived(item, sidecar, run.name)
    now = [services.objects.stat(file.uri) for file in record.files]
    # What was brought back from Drive has another generation than its sidecar says.
    files = [
        x if x and x.is_like(file) else file for x, file in zip(now, record.files, strict=True)
    ]
    record = replace(record, files=tuple(files))
    if problem := copy_problem(record, services):
        raise InvalidConfiguration([problem])
    if services.earth_assets.describe_one(record.asset_id):
        raise InvalidConfiguration(
            [f"{record.asset_id} is in Earth Engine: import its folder, not its copy"]
        )
    return record


def _duplicates(names: Sequence[str], known: Sequence[Asset]) -> list[str]:
    """Return a sentence for each image id that is in two folders."""
    by_id: dict[str, set[str]] = {}
    for name in [*names, *(x.asset_id for x in known)]:
        by_id.setdefault(name.rpartition("/")[2], set()).add(name)
    return [
        f"image id {image_id} is in several folders ({', '.join(sorted(where))}): "
        "a run can have one of them"
        for image_id, where in by_id.items()
        if len(where) > 1
    ]


def _foreign(description: dict[str, Any], sensed: datetime | None, run: Run) -> Asset:
    if sensed is None:
        if "startTime" not in description:
            raise InvalidConfiguration(
                [f"{description['name']} has no system:time_start; name its time in a sidecar"]
            )
        sensed = datetime.fromisoformat(description["startTime"])
    version = str(description["properties"].get("run_key", description["updateTime"]))
    return Asset(
        record_id=archive.record_id(description["name"], version),
        run=run.name,
        asset_id=description["name"],
        image_id=description["name"].rpartition("/")[2],
        version=version,
        sensed_at=sensed,
        description=json.dumps(description),
        size_bytes=int(description["sizeBytes"]),
        changed_at=datetime.now(UTC),
    )
