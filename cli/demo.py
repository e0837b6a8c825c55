"""The run of `verdure demo`: all that is in a scene folder, or in the synthetic region."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import shapely
import shapely.affinity
import yaml

from emulator.launch import PROJECT
from emulator.scenes import synthetic
from emulator.scenes.load import load_scenes
from emulator.scenes.sentinel2 import COLLECTION
from shared.config import parse_run
from shared.domain.runs import SEASON, RunConfiguration
from shared.errors import InvalidConfiguration

#: Share of the synthetic region's width and height that the demo takes for land.
INLAND = 0.68

#: Metres: the masks' own, for a demo should not take long.
MAP_SCALE = 20

DESTINATION = f"projects/{PROJECT}/assets/verdure/masks"


def scenes_and_run(given: list[Path], out: Path) -> tuple[list[Path], RunConfiguration]:
    """Return the scene folders to serve and the run over all their images.

    Writes the run as `run.yaml` below `out`, for people to read, copy and change.
    """
    scenes = given or _synthetic(out / "region")
    content = _run_over(scenes[0])
    if not given:
        content["land"] = _inland(content["region"])
        content["products"] = {"maps": [SEASON], "scale": MAP_SCALE}
    _write_once(out / "run.yaml", yaml.safe_dump(content, sort_keys=False))
    return scenes, parse_run(content, out, "demo")


def _write_once(path: Path, text: str) -> None:
    """Write a run's configuration, unless the folder has one already, which must be the same."""
    if path.exists() and path.read_text() != text:
        raise InvalidConfiguration(
            [f"{path.parent} holds another demo; choose another --out, or remove the folder"]
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _synthetic(folder: Path) -> list[Path]:
    """Write the synthetic region, if it is not there; return its folders, the images first."""
    synthetic.write_region(folder)
    return [folder / name for name in synthetic.FOLDERS]


def _run_over(scenes: Path) -> dict[str, Any]:
    folders = load_scenes(scenes)
    images = next((one for one in folders if one.collection == COLLECTION), folders[0])
    footprints = [shapely.geometry.shape(x.footprint) for x in images.images]
    days = [_day(x.properties["system:time_start"]) for x in images.images]
    region = shapely.box(*shapely.union_all(footprints).bounds)
    return {
        "name": "demo",
        "region": json.loads(shapely.to_geojson(region)),
        "start": min(days).date(),
        "end": max(days).date() + timedelta(days=1),
        "days_before": 0,
        "days_after": 0,
        "collection": images.collection,
        "destination": DESTINATION,
    }


def _inland(region: dict[str, Any]) -> dict[str, Any]:
    """Return the inner part of the synthetic region: some swaths touch only a corner of it."""
    inner = shapely.affinity.scale(shapely.geometry.shape(region), INLAND, INLAND)
    land: dict[str, Any] = json.loads(shapely.to_geojson(inner))
    return land


def _day(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
