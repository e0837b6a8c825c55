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
