"""`verdure model`: build, judge, publish and apply the cloud models."""

import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.people import errors_for_people, tell
from cli.progress import bars, console
from emulator import client, launch
from emulator.launch import PROJECT
from emulator.scenes.load import load_scenes
from shared.errors import AccessDenied, InvalidConfiguration

app = typer.Typer(no_args_is_help=True, help="Build, judge, publish and apply the cloud models.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

ROOT = f"projects/{PROJECT}/assets"

Scenes = Annotated[
    list[Path], typer.Option("--scenes", help="Scene folder; may be repeated. Any image size.")
]


def track(what: str) -> Callable[[list[Any]], Iterable[Any]]:
    """Return a function that shows how far a list has been worked through."""

    def shown(items: list[Any]) -> Iterable[Any]:
        with bars() as progress:
            yield from progress.track(items, description=what)

    return shown


@app.command("apply")
def apply_model(
    scenes: Scenes,
    out: Annotated[Path, typer.Option("--out", help="Folder for the masks.")],
    models: Annotated[
        Path | None, typer.Option(help="Folder that build wrote; without, the project's models.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Mask every image of scene folders: <image id>_class.tif, _probability.tif, _agreement.tif.

    Class: 0 clear, 1 cloud, 2 shadow, 3 snow, 4 thin cloud; probability of cloud, and how many of
    the votes say what the mask says, in per cent; 255 where there are no data. Thirteen bands are
    used, or B2 B3 B4 B8 B11 B12 where there are no others; QA60 and Cloud Score+ vote where they
    are. Each file says in its tags which model and inputs made it, and what it had to do without.
    Images that cannot be masked are named, the others done; then the exit code is 1.
    """
    from model.apply import Using, apply
    from model.files import usable_models

    with errors_for_people():
        using = Using(usable_models(models) if models else usable_models(), ROOT)
        parts = [part for folder in scenes for part in load_scenes(folder)]
        with (
            tempfile.TemporaryDirectory() as data,
            launch.running(Path(data), scenes) as url,
        ):
            client.connect(url)
            applied = apply(parts, out, using, track("Images masked"))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in applied], indent=1))
    for one in applied:
        if one.problem:
            tell(": ".join(filter(None, (one.image_id, one.problem))))
        elif not as_json:
            background = f"background of {one.background_images} images"
            typer.echo(f"{one.image_id}: {one.model} of {' '.join(one.inputs)}; {background}")
            for fallback in one.fallbacks:
                typer.echo(f"  {fallback}")
    if any(one.problem for one in applied):
        raise typer.Exit(1)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="cloud-13 or cloud-6")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model and its report.")],
    labels: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled pixels: a CSV, or the HDF5 of Hollstein et al. 2016."),
    ] = None,
    scenes: Annotated[
        list[Path] | None, typer.Option(help="Scene folder to sample; needs a --reference.")
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="Rasters of classes, <image id>*.tif, of the --scenes in this place."),
    ] = None,
    synthetic: Annotated[
        list[str] | None, typer.Option(help="Kind of synthetic region to write and sample.")
    ] = None,
    simulated: Annotated[int, typer.Option(help="Simulated pixels to train on as well.")] = 200_000,
    per_class: Annotated[
        int, typer.Option(help="Pixels of each class of each scene at most; simulated ones apart.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="Another seed chooses other pixels.")] = 1,
    purpose: Annotated[
        str, typer.Option(help="What the cut-off is chosen for: vegetation, composite, balanced.")
    ] = "vegetation",
    cost_ratio: Annotated[
        float | None,
        typer.Option(help="Instead of a purpose: clear pixels lost as bad as one cloud missed."),
    ] = None,
    trees: Annotated[int, typer.Option(min=1, help="Trees of the forest.")] = 48,
    work: Annotated[
        Path, typer.Option(help="Keeps what was sampled: a stopped build goes on.")
    ] = Path("out/sampled"),
) -> None:
    """Learn a model from labelled and simulated pixels, judged on scenes it has not seen.

    Writes NAME.json, NAME.trees.gz and NAME.report.json. A CSV has a pixel a line: scene, class
    (0 clear, 1 cloud, 2 shadow, 3 snow, 4 thin cloud, or these names), the bands as TOA
    reflectance and, where known, the background as was_B2, was_B4, was_B8, was_B11. Scene folders
    are sampled on the emulator by the graphs of the mask; reference rasters hold 0 to 4, and 255
    where nothing is known.
    """
    from model.build import UnusableSamples
    from model.forest import ForestSize
    from model.purposes import purpose_of
    from model.sampling import Choice
    from model.sources import Wanted, gather
    from model.train import BANDS, build_with_report

    with errors_for_people():
        if name not in BANDS:
            raise InvalidConfiguration([f"NAME is {name!r}, expected {' or '.join(BANDS)}"])
        if len(scenes or []) != len(reference or []):
            raise InvalidConfiguration(
                [
                    f"--scenes is given {len(scenes or [])} times and --reference "
                    f"{len(reference or [])} times; each scene folder needs its own"
                ]
            )
        wanted = Wanted(
            labels=tuple(labels or []),
            scenes=tuple(zip(scenes or [], reference or [], strict=True)),
            synthetic=tuple(synthetic or []),
            simulated=simulated,
            choice=Choice(per_class, seed),
            work=work,
        )
        chosen = purpose_of(purpose, cost_ratio)
        try:
            samples, text = gather(wanted, BANDS[name], track("Blocks sampled"))
            size = ForestSize(trees=trees)
            report = build_with_report(name, samples, size, text, out, chosen)
        except UnusableSamples as problem:
            raise InvalidConfiguration([str(problem)]) from problem
    shown = ("model", "trained_on", "purpose", "cutoffs", "scores")
    typer.echo(json.dumps({key: report[key] for key in shown}, indent=1))


@app.command("build-original")
def build_original(
    work: Annotated[Path, typer.Option("--work", help="Folder that keeps what is finished.")],
    out: Annotated[Path, typer.Option("--out", help="File of the table (JSON).")],
) -> None:
    """Learn the table of preset original from synthetic regions: minutes; goes on if stopped."""
    from model.original import build as learn

    with errors_for_people():
        learn(work, out)


@app.command()
def evaluate(
    masks: Annotated[Path, typer.Option("--masks", help="Folder that apply wrote.")],
    truth: Annotated[
        Path, typer.Option("--truth", help="Rasters of classes: <image id>.tif, <image id>_*.tif.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File of figures.")] = Path("out/model.json"),
    as_json: Json = False,
) -> None:
    """Score masks against reference classes, pixel by pixel; writes out/model.json.

    References are on the grid of the masks: 0 clear, 1 cloud, 2 shadow, 3 snow, 4 thin cloud,
    255 unknown. The exit code is 1 when masks have no reference.
    """
    from cli.scores import evaluation_table, show
    from model.build import UnusableSamples
    from model.evaluate import evaluate as evaluate_masks
    from model.figures import figure, write_figures

    with errors_for_people():
        try:
            found = evaluate_masks(masks, truth)
        except UnusableSamples as problem:
            raise InvalidConfiguration([str(problem)]) from problem
    each = {
        name: {image: scores[name] for image, scores in found.by_image.items()}
        for name in found.scores
    }
    figures = {name: figure(value, by_image=each[name]) for name, value in found.scores.items()}
    write_figures(out, figures)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
    else:
        show(evaluation_table(found))
    for image_id in found.unjudged:
        tell(f"{image_id}: no reference in {truth}")
    if found.unjudged:
        raise typer.Exit(1)


@app.command()
def compare(
    scenes: Annotated[
        list[Path] | None,
        typer.Option("--scenes", help="Scene folder; may be repeated. Else synthetic regions."),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="Rasters of classes, <image id>*.tif, of the --scenes in this place."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for figures, pictures and what is kept.")
    ] = Path("out"),
    images: Annotated[int, typer.Option(help="Images of each synthetic region.", min=1)] = 16,
    side: Annotated[int, typer.Option(help="Their side in pixels of 10 m.", min=16)] = 128,
    as_json: Json = False,
) -> None:
    """Hold the default mask against every baseline on the same pixels of the same scenes.

    Baselines are QA60, the thirteen methods of 2019, their preset, and s2cloudless where it is
    installed (extra `clouds`). Differences have 95 % intervals, by drawing scenes anew. Writes
    OUT/model.json and OUT/model/*.png. What is masked is kept in OUT/model: stopped at any
    moment, the same command goes on where it was.
    """
    from cli.scores import comparison_table, show
    from model.build import UnusableSamples
    from model.compare import Place, comparison_figures, synthetic_places
    from model.compare import compare as compare_masks
    from model.figures import write_figures
    from model.sheets import write_sheet

    folders, references = scenes or [], reference or []
    with errors_for_people():
        if len(folders) != len(references):
            raise InvalidConfiguration(
                [
                    f"--scenes is given {len(folders)} times and --reference {len(references)} "
                    "times; each scene folder needs its own"
                ]
            )
        places = [
            Place(f"{i}-{folder.name}", folder, rasters)
            for i, (folder, rasters) in enumerate(zip(folders, references, strict=True), 1)
        ]
        work = out / "model"
        try:
            found = compare_masks(
                places or synthetic_places(work / "regions", images, side), work, track("Masks")
            )
        except UnusableSamples as problem:
            raise InvalidConfiguration([str(problem)]) from problem
    figures = comparison_figures(found)
    write_figures(out / "model.json", figures)
    write_sheet(found, work / "scenes.png")
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
    else:
        show(comparison_table(found))
    for name, reason in found.left_out.items():
        console.print(f"{name} is left out: {reason}", highlight=False, soft_wrap=True)


@app.command()
def card(
    scenes: Annotated[
        list[Path] | None,
        typer.Option("--scenes", help="Real scene folder without reference; may be repeated."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The card; pictures in a folder beside.")] = (
        Path("docs/model-card.md")
    ),
    work: Annotated[
        Path, typer.Option("--work", help="Keeps what is masked, as `compare --out` does.")
    ] = Path("out"),
    images: Annotated[int, typer.Option(help="Images of each synthetic region.", min=1)] = 16,
    side: Annotated[int, typer.Option(help="Their side in pixels of 10 m.", min=16)] = 128,
) -> None:
    """Write the model card: what the models learnt from, how well they do, and where they fail.

    Compares as `compare` does, and goes on where it was stopped. Needs the extras `card` and, for
    s2cloudless, `clouds`.
    """
    from model.card import studied, write_card
    from model.compare import compare as compare_masks
    from model.compare import comparison_figures, synthetic_places
    from model.figures import write_figures
    from model.real import flagged
    from shared import models

    with errors_for_people():
        if importlib.util.find_spec("matplotlib") is None:
            raise InvalidConfiguration(["matplotlib is missing: pip install 'verdure[card]'"])
        kept = work / "model"
        found = compare_masks(
            synthetic_places(kept / "regions", images, side), kept, track("Masks")
        )
        write_figures(work / "model.json", comparison_figures(found))
        real = [row for folder in scenes or [] for row in flagged(folder, kept, track("Masks"))]
        every = [studied(name) for name in track("Models")(list(models.NAMES))]
        write_card(out, datetime.now(UTC).date(), every, found, real)
    typer.echo(out)


@app.command("publish")
def publish_models(
    project: Annotated[str, typer.Option("--project", help="Google Cloud project.")],
) -> None:
    """Publish the models as classifier assets of a project, unless they are there."""
    import ee

    from model.publish import publish
    from shared import models

    with errors_for_people():
        try:
            ee.Initialize(project=project)
            for name in models.NAMES:
                typer.echo(publish(models.load(name), f"projects/{project}/assets"))
        except ee.EEException as error:
            raise AccessDenied(f"Earth Engine: {error}") from error
