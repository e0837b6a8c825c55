"""The `verdure` command."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli import archive as archive_commands
from cli import cloud, outputs, productivity, stacks
from cli import demo as demo_run
from cli import doctor as examination
from cli import first_run as experiments
from cli import model as model_commands
from cli.drive import Outcome, drive
from cli.people import errors_for_people
from cli.progress import bars, console, export_bars
from cli.summary import Summary, failures, summarize, table
from emulator.launch import PROJECT
from shared import bootstrap, seasons
from shared.config import Settings, read_run, read_settings
from shared.domain import exports
from shared.domain.exports import FINAL, MASK, Export
from shared.domain.runs import RunConfiguration, register
from shared.errors import InvalidConfiguration
from shared.messages import TOPICS
from shared.services import Ledger, Services

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Cloud masks and vegetation productivity from Sentinel-2 with Earth Engine.",
)
app.add_typer(model_commands.app, name="model")
app.add_typer(archive_commands.app, name="archive")
app.command()(archive_commands.restore)
app.command(name="ls")(archive_commands.list_assets)


class StackName(StrEnum):
    """Where a run is carried out."""

    EMBEDDED = "embedded"
    EMULATORS = "emulators"
    CLOUD = "cloud"


Scenes = Annotated[
    list[Path] | None,
    typer.Option("--scenes", help="Scene folder for the Earth Engine emulator; may be repeated."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for everything that is written.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Stack = Annotated[
    StackName,
    typer.Option(
        "--stack",
        help="embedded: all in this process. emulators: on Google's Firestore and Pub/Sub "
        "emulators. cloud: by the deployed functions.",
    ),
]
Configuration = Annotated[Path, typer.Argument(help="Run configuration (YAML).")]


@app.command()
def demo(
    scenes: Scenes = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for everything  [default: out/NAME]")
    ] = None,
    stack: Stack = StackName.EMBEDDED,
    as_json: Json = False,
) -> None:
    """Mask and map the synthetic region, or mask your own scene folders, on this machine."""
    with errors_for_people():
        if stack is StackName.CLOUD:
            raise InvalidConfiguration(["the demo runs on this machine; see `verdure run`"])
        out = out or Path("out") / (scenes[0].resolve().name if scenes else "demo")
        folders, wanted = demo_run.scenes_and_run(scenes or [], out)
        _run_locally(wanted, folders, out, stack, as_json)


@app.command()
def run(
    configuration: Configuration,
    scenes: Scenes = None,
    out: Out = Path("out/run"),
    stack: Stack = StackName.EMBEDDED,
    as_json: Json = False,
) -> None:
    """Make every mask and map that a run configuration asks for, until all are final.

    Stopped at any moment, the same command goes on where it was.
    """
    with errors_for_people():
        wanted = read_run(configuration)
        if stack is StackName.CLOUD:
            _run_in_cloud(wanted, out, as_json)
            return
        if not scenes:
            raise InvalidConfiguration(
                [f"--scenes is missing: on the {stack} stack, images come from scene folders"]
            )
        _run_locally(wanted, scenes, out, stack, as_json)


@app.command()
def estimate(
    out: Out = Path("out/demo"), stack: Stack = StackName.EMBEDDED, as_json: Json = False
) -> None:
    """Ask for the maps of each run now, of the masks that there are: in-season estimates.

    Deployed functions make them within minutes; on this machine the next `verdure run` does. They
    give way to the season's own maps once it is over.
    """
    with errors_for_people():
        services = _services(out, stack)
        runs = [x for x in services.ledger.active_runs() if x.configuration.products is not None]
        if not runs:
            raise InvalidConfiguration(["no active run has `products`; add them to its file"])
        asked = {active.name: seasons.record_now(active, services) for active in runs}
        if as_json:
            typer.echo(json.dumps(asked))
            return
        for name, count in asked.items():
            typer.echo(f"{name}: {count} maps asked for")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run, or a season map.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The same, to compare with A.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("out/compare"),
    as_json: Json = False,
) -> None:
    """Map the difference of two seasons, B less A: COG, picture and table."""
    from cli.compare import compare as compare_maps

    with errors_for_people():
        table = compare_maps(first, second, out)
        if as_json:
            typer.echo(json.dumps([asdict(row) for row in table], indent=1))
            return
        rows = Table("Parameter", "Unit", "Pixels", "Mean", "Spread", "Surely more", "Surely less")
        for row in table:
            shares = [
                f"{x:.1%}" if x is not None else "" for x in (row.surely_more, row.surely_less)
            ]
            rows.add_row(
                row.parameter,
                row.unit,
                str(row.pixels),
                f"{row.mean:+g}" if row.mean is not None else "",
                f"{row.spread:g}" if row.spread is not None else "",
                *shares,
            )
        console.print(rows)
        console.print(f"Maps are in [bold]{out}[/]")


@app.command()
def status(
    out: Out = Path("out/demo"), stack: Stack = StackName.EMBEDDED, as_json: Json = False
) -> None:
    """Show how far each run is, how many masks are to be made again, and why images failed."""
    with errors_for_people():
        ledger = _services(out, stack).ledger
        runs = [_status_of(ledger, active.name) for active in ledger.active_runs()]
        if as_json:
            typer.echo(json.dumps(runs, indent=1))
            return
        for entry in runs:
            rows = Table("State", "Images", title=f"Run {entry['run']}", title_justify="left")
            for state, count in entry["states"].items():
                rows.add_row(state, str(count))
            console.print(rows)
            if entry["stale"]:
                console.print(f"{entry['stale']} masks are stale: they will be made again")
            for state, count in entry["maps"].items():
                console.print(f"Maps {state}: {count}")
            if entry["stale_maps"]:
                console.print(f"{entry['stale_maps']} maps are stale: they will be made again")
            _print_failures(entry["failures"])


@app.command()
def redrive(out: Out = Path("out/demo"), stack: Stack = StackName.EMBEDDED) -> None:
    """Queue every failed mask and map again, and every dead letter, once the cause is mended."""
    with errors_for_people():
        services = _services(out, stack)
        ledger = services.ledger
        reopened = [
            _reopen(ledger, record)
            for active in ledger.active_runs()
            for queue in active.queues
            for record in ledger.exports(queue)
        ]
        typer.echo(f"{sum(reopened)} exports queued again")
        with ThreadPoolExecutor() as pool:  # each topic is waited for, some seconds
            sent = sum(pool.map(services.bus.redrive, TOPICS))
        typer.echo(f"{sent} dead letters sent again")


@app.command()
def doctor(stack: Stack = StackName.CLOUD, as_json: Json = False) -> None:
    """Look for what is wrong with a deployment, and say what mends it.

    On the emulators stack, what EARTH_ENGINE_URL, FIRESTORE_EMULATOR_HOST and
    PUBSUB_EMULATOR_HOST name is looked at.
    """
    with errors_for_people():
        if stack is StackName.EMBEDDED:
            raise InvalidConfiguration(
                [
                    "the embedded stack is files in a folder, made when a run starts: "
                    "`verdure status --out FOLDER` shows its runs"
                ]
            )
        with examination.opened(read_settings(stack=stack)) as deployment:
            findings = list(examination.examine(deployment))
        if as_json:
            typer.echo(json.dumps([asdict(x) for x in findings], indent=1))
        else:
            _print_findings(findings)
        if not all(x.fine for x in findings):
            raise typer.Exit(1)


@app.command("first-run")
def first_run(
    bucket: Annotated[
        str | None,
        typer.Option(
            help="Bucket to try a COG-backed asset with; the question is left out without."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before exports are started.")
    ] = False,
    stack: Stack = StackName.CLOUD,
) -> None:
    """Ask the live service what its documentation leaves open; keep the answers in the ledger.

    It starts some 15 exports of one pixel, and deletes what they made.
    """
    with errors_for_people():
        settings = read_settings(stack=stack)
        if not yes:
            typer.confirm(f"Start 15 exports of one pixel in {settings.project}?", abort=True)
        with (
            closing(bootstrap.build(settings)) as services,
            examination.opened(settings) as deployment,
        ):
            services.earth_engine.connect()
            scene = experiments.Scene(deployment, services.ledger, bucket, services.now())
            for answer in experiments.ask(scene):
                typer.echo(f"{answer.name}: {answer.sentence}")


def _print_findings(findings: list[examination.Finding]) -> None:
    for finding in findings:
        mark = "[green]ok   [/]" if finding.fine else "[red]wrong[/]"
        console.print(f"{mark} {finding.what}: {finding.found}", highlight=False)
        if not finding.fine:
            console.print(f"      [bold]{finding.mend}[/]", highlight=False, soft_wrap=True)
    if wrong := sum(not x.fine for x in findings):
        console.print(f"{wrong} of {len(findings)} are wrong; what is first may cause what follows")
    else:
        console.print(f"all {len(findings)} are fine")


@app.command(context_settings={"ignore_unknown_options": True})  # western longitudes are negative
def series(
    place: Annotated[
        list[float] | None, typer.Argument(metavar="LON LAT", help="A place, in degrees.")
    ] = None,
    npz: Annotated[
        Path | None,
        typer.Option("--npz", help="ndvi, cloud (times, rows, columns) and timestamps."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of a run (out/demo); with --npz, the .npz to write."),
    ] = None,
    scenes: Scenes = None,
    index: Annotated[
        str, typer.Option("--index", help="NDVI, EVI2 or DVI; else that of the run's maps.")
    ] = "",
    preset: Annotated[str, typer.Option("--preset", help="default or original.")] = "default",
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write observations and curve here too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw NDVI over time at a place of a local run, or fill the series of a file.

    LON LAT: draws series.png in the run's folder: observed and rejected NDVI (or --index), the
    curve with its 90 % band, seasons. --scenes names the run's scene folders, except for the
    synthetic region's. --csv writes kind (observed, rejected, curve), time, ndvi (or as the index
    is called) and std, a row each.

    --npz FILE: writes filled, std and quality at the timestamps (quality: -1 observed; 10, 5, 1
    harmonics; 20 the default's curve, 21 where few observations hold it; 0 none), weight (how much
    an observation counted: below 1 where it looks clouded), regular and regular_std every 10 days
    (regular_timestamps), and HR-VPP's parameters, two seasons for each year (season_year). SOSD,
    EOSD and MAXD are YYDOY, SPROD and TPROD NDVI x days.
    """
    from cli.series import fill_file

    def track(parts: list[Any]) -> Iterable[Any]:
        with bars() as progress:
            yield from progress.track(parts, description="Parts of the image filled")

    with errors_for_people():
        if (npz is None) != (place is not None and len(place) == 2):
            raise InvalidConfiguration(["give either two numbers, LON LAT, or --npz FILE"])
        if npz is not None and csv is not None:
            raise InvalidConfiguration(["--csv is of a place, LON LAT; --npz writes an .npz only"])
        if npz is not None and index:
            raise InvalidConfiguration(["--index is of a place, LON LAT; --npz has values already"])
        if npz is not None and (out is None or out.is_dir()):
            raise InvalidConfiguration(["--npz FILE needs --out FILE too, the .npz to write"])
        if npz is not None and out is not None:
            console.print(f"{fill_file(npz, out, preset, track)}; {out}", soft_wrap=True)
        else:
            folder = out or Path("out/demo")
            _draw_place(place or [], folder, scenes, index, preset, csv, as_json)


def _draw_place(
    place: list[float],
    out: Path,
    scenes: list[Path] | None,
    index: str,
    preset: str,
    csv: Path | None,
    as_json: bool,
) -> None:
    from cli.series_at import draw, local_scenes, series_at
    from shared.earth.productivity import period_of

    if not (abs(place[0]) <= 180 and abs(place[1]) <= 90):
        raise InvalidConfiguration(
            [f"longitude is {place[0]}, latitude {place[1]}; expected -180 to 180, -90 to 90"]
        )
    runs = _services(out, StackName.EMBEDDED).ledger.active_runs()
    if not runs:
        raise InvalidConfiguration([f"{out} has no active run in it"])
    run = runs[-1].configuration
    folders = scenes or local_scenes(out)
    found = series_at(run, place, index, preset, out / "earth-engine", folders)
    picture = out / "series.png"
    draw(found, period_of(run), f"{found.index} at {place[0]} {place[1]}, run {run.name}", picture)
    if csv is not None:
        csv.parent.mkdir(parents=True, exist_ok=True)
        found.write_csv(csv)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
    else:
        console.print(f"{len(found.observed)} observed, {len(found.rejected)} rejected; {picture}")


def _run_locally(
    wanted: RunConfiguration, scenes: list[Path], out: Path, stack: StackName, as_json: bool
) -> None:
    begin = time.monotonic()
    with stacks.start(stack, out, scenes) as running:
        with export_bars() as report:
            outcome = drive(running, register(wanted), report)
        wall_seconds = time.monotonic() - begin
        registered, ledger = register(wanted), running.services.ledger
        records, maps = ledger.exports(wanted.name), ledger.exports(registered.products_queue)
        statistics = stacks.run_statistics(running.earth_engine_url)
        if maps:  # are exports too, but of no image
            tasks = chain.from_iterable(running.services.earth_engine.tasks())
            statistics["exports_started"] -= sum(is_map(task.export_id) for task in tasks)
        summary = summarize(
            wanted.name,
            records,
            wall_seconds,
            statistics,
            running.ledger_writes(),
            len(running.dead_letters()),
            maps,
        )
        outputs.write(wanted, records, out)
        productivity.write(registered, maps, out)
    _finish(summary, outcome, out, as_json)


def is_map(export_id: str) -> bool:
    """Tell whether an export is a map, and no mask."""
    return not export_id.startswith(f"{MASK}-")


def _run_in_cloud(wanted: RunConfiguration, out: Path, as_json: bool) -> None:
    begin = time.monotonic()
    services = bootstrap.build(read_settings(stack=StackName.CLOUD))
    with export_bars() as report:
        outcome = cloud.follow(services, register(wanted), report)
    records = services.ledger.exports(wanted.name)
    maps = services.ledger.exports(register(wanted).products_queue)
    summary = summarize(wanted.name, records, time.monotonic() - begin, maps=maps)
    outputs.write_items(wanted, records, out)
    _finish(summary, outcome, out, as_json)


def _finish(summary: Summary, outcome: Outcome, out: Path, as_json: bool) -> None:
    """Write and print the summary; exit 1 unless every image is in a final state."""
    text = json.dumps(summary.to_dict(), indent=1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").write_text(text)
    if as_json:
        typer.echo(text)
    else:
        console.print(table(summary))
        pictures = [x for x in ("overview.png", "productivity/*.png") if any(out.glob(x))]
        first = f"; start with {' and '.join(pictures)}" if pictures else ""
        console.print(f"Results are in [bold]{out}[/]{first}")
    _print_failures(summary.failures)
    problems = [*summary.unreadable_scenes, *filter(None, [outcome.problem])]
    for problem in problems:
        console.print(f"[red]Error:[/] {problem}", highlight=False)
    if problems or {*outcome.counts, *outcome.maps} - FINAL:
        raise typer.Exit(1)


def _print_failures(entries: list[dict[str, str]]) -> None:
    for entry in entries:
        console.print(
            f"[red]Failed:[/] {entry['kind']} {entry['image_id']}: {entry['reason']}\n"
            f"        {entry['next_action']}",
            highlight=False,
        )


def _services(out: Path, stack: StackName) -> Services:
    if stack is StackName.EMBEDDED:
        if not (out / "verdure.sqlite").exists():
            raise InvalidConfiguration(
                [f"{out} has no run in it; name the folder of one with --out"]
            )
        return bootstrap.build(Settings(stack, PROJECT, out))
    return bootstrap.build(read_settings(stack=stack))


def _status_of(ledger: Ledger, name: str) -> dict[str, Any]:
    records, maps = ledger.exports(name), ledger.exports(f"{name}.products")
    return {
        "run": name,
        "states": ledger.count_by_state(name),
        "stale": sum(record.is_stale for record in records),
        "maps": ledger.count_by_state(f"{name}.products"),
        "stale_maps": sum(record.is_stale for record in maps),
        "failures": failures([*records, *maps]),
    }


def _reopen(ledger: Ledger, record: Export) -> bool:
    now = datetime.now(UTC)
    return ledger.change(record.export_id, lambda x: exports.reopen(x, now)) is not None


if __name__ == "__main__":
    app()
