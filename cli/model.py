"""`verdure model`: build, judge, publish and apply the cloud models."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.people import errors_for_people
from cli.progress import bars, console
from emulator import client, launch
from emulator.launch import PROJECT
from shared.domain.runs import MaskParameters
from shared.errors import AccessDenied, InvalidConfiguration

app = typer.Typer(no_args_is_help=True, help="Build, judge, publish and apply the cloud models.")

ROOT = f"projects/{PROJECT}/assets"

Scenes = Annotated[
    list[Path], typer.Option("--scenes", help="Scene folder; may be repeated. Any image size.")
]


@app.command("apply")
def apply_model(
    scenes: Scenes,
    out: Annotated[Path, typer.Option("--out", help="Folder for the masks.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Mask every image of scene folders: <image id>_class.tif and <image id>_probability.tif.

    Class: 0 clear, 1 cloud, 2 shadow, 3 snow, 4 thin cloud; probability of cloud in per cent;
    255 where there are no data. Thirteen bands are used, or B2 B3 B4 B8 B11 B12 where there are
    no others.
    """
    from model.apply import apply

    def track(images: list[Any]) -> Iterable[Any]:
        with bars() as progress:
            yield from progress.track(images, description="Images masked")

    with (
        errors_for_people(),
        tempfile.TemporaryDirectory() as data,
        launch.running(Path(data), scenes) as url,
    ):
        client.connect(url)
        applied = apply(scenes, out, ROOT, MaskParameters(), track)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in applied], indent=1))
    for one in applied:
        if one.problem:
            console.print(f"[red]Error:[/] {one.image_id}: {one.problem}", highlight=False)
        elif not as_json:
            background = f"background of {one.background_images} images"
            typer.echo(f"{one.image_id}: {one.model}, {len(one.inputs)} inputs, {background}")
    if any(one.problem for one in applied):
        raise typer.Exit(1)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="cloud-13 or cloud-6")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model's two files.")],
    labels: Annotated[
        list[Path] | None, typer.Option("--labels", help="Table of labelled pixels (CSV).")
    ] = None,
    simulated: Annotated[int, typer.Option(help="Simulated pixels to train on as well.")] = 200_000,
    trees: Annotated[int, typer.Option(help="Trees of the forest.")] = 48,
) -> None:
    """Learn a model from labelled and simulated pixels, judged on scenes it has not seen."""
    from model.build import UnusableSamples
    from model.forest import ForestSize
    from model.labels import read_csv
    from model.simulated import simulated as simulate
    from model.train import BANDS, usable
    from model.train import build as build_model

    with errors_for_people():
        if name not in BANDS:
            raise InvalidConfiguration([f"NAME is {name!r}, expected {' or '.join(BANDS)}"])
        try:
            parts = [read_csv(path) for path in labels or []]
            parts += [simulate(simulated, 1)] if simulated else []
            used = [f"{simulated:,} simulated pixels (model.simulate, seed 1)"] * bool(simulated)
            text = ", ".join([*map(str, labels or []), *used])
            built = build_model(name, usable(parts, name), ForestSize(trees=trees), text, out)
        except UnusableSamples as problem:
            raise InvalidConfiguration([str(problem)]) from problem
    typer.echo(json.dumps({"model": built.model.asset_name, **built.scores}, indent=1))


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
    truth: Annotated[Path, typer.Option("--truth", help="Rasters of classes, <image id>*.tif.")],
    out: Annotated[Path, typer.Option("--out")] = Path("out/model.json"),
) -> None:
    """Score masks against reference classes, pixel by pixel; writes out/model.json."""
    from model.build import UnusableSamples
    from model.evaluate import evaluate as evaluate_masks

    with errors_for_people():
        try:
            result = evaluate_masks(masks, truth)
        except UnusableSamples as problem:
            raise InvalidConfiguration([str(problem)]) from problem
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1))
    typer.echo(json.dumps(result["scores"], indent=1))


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
