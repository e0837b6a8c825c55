"""Settings from the environment, and run configurations from YAML, each checked as a whole.

This is the only module that reads the environment.
"""

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import shapely
import shapely.validation
import yaml

from shared.domain.archive import ArchivePolicy
from shared.domain.indices import INDICES
from shared.domain.runs import (
    FILLINGS,
    INPUTS,
    MAPS,
    MAX_QUEUED_TASKS,
    PRESETS,
    MaskParameters,
    ProductParameters,
    RunConfiguration,
)
from shared.errors import InvalidConfiguration

STACKS = ("embedded", "emulators", "cloud")

#: Google Cloud project ids; others the Earth Engine client takes for legacy asset roots.
PROJECT_ID = re.compile(r"[a-z][-a-z0-9]{4,28}[a-z0-9]")

ASSET_ID = re.compile(r"projects/[a-z][-a-z0-9]{4,28}[a-z0-9]/assets(/[A-Za-z0-9_-]+)+")
#: https://cloud.google.com/storage/docs/buckets#naming
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
#: Ids of folders in Drive; Google says only that they are opaque.
DRIVE_ID = re.compile(r"[A-Za-z0-9_-]+")
OBJECT_PREFIX = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
#: 30 days: a window in which nothing is freed, longer than anybody waits.
MAX_UNDO_HOURS = 720
#: Copies and deletions of one call, each a request of about a second, within its nine minutes.
MAX_PER_CALL = 250
MAX_ATTEMPTS = 10
COLLECTION_ID = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_.-]+)*")
DEPLOYMENT = re.compile(r"[a-z][a-z0-9-]{2,11}[a-z0-9]")  # infra/variables.tf, `name`
RUN_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class Settings:
    """Where this process runs. `earth_engine_url` is None for Google's own.

    `deployment` is Terraform's `name`: topics begin with it and a hyphen, and the Firestore
    database is called so. It is empty on the local stacks, which have nothing beside them.
    `drive_credentials` is a file with a user's OAuth credentials for Drive; None: the process's.
    """

    stack: str
    project: str
    data: Path | None = None  # the embedded stack's folder
    earth_engine_url: str | None = None
    deployment: str = ""
    drive_credentials: Path | None = None


def read_settings(
    environment: Mapping[str, str] | None = None, stack: str | None = None
) -> Settings:
    """Return the settings, or raise InvalidConfiguration with everything that is wrong.

    A `stack` given here wins over the environment's.
    """
    environment = os.environ if environment is None else environment
    stack = stack or environment.get("VERDURE_STACK", "cloud")
    project = environment.get("VERDURE_PROJECT") or environment.get("GOOGLE_CLOUD_PROJECT", "")
    data = environment.get("VERDURE_DATA")
    deployment = environment.get("VERDURE_DEPLOYMENT", "verdure") if stack == "cloud" else ""
    problems = []
    if stack not in STACKS:
        problems.append(f"VERDURE_STACK is {stack!r}, expected one of {', '.join(STACKS)}")
    if not PROJECT_ID.fullmatch(project):
        problems.append(
            f"VERDURE_PROJECT (or GOOGLE_CLOUD_PROJECT) is {project!r}, expected a Google Cloud "
            "project id: 6 to 30 lower-case letters, digits and hyphens; `terraform output -raw "
            "environment` in infra/ has what a deployment needs"
        )
    if stack == "cloud" and not DEPLOYMENT.fullmatch(deployment):
        problems.append(
            f"VERDURE_DEPLOYMENT is {deployment!r}, expected the `name` given to Terraform: "
            "4 to 13 lower-case letters, digits and hyphens"
        )
    if stack == "embedded" and not data:
        problems.append("VERDURE_DATA is not set; the embedded stack keeps its files there")
    user = environment.get("VERDURE_DRIVE_CREDENTIALS")
    if user and not Path(user).is_file():
        problems.append(
            f"VERDURE_DRIVE_CREDENTIALS is {user!r}, expected a file with a user's credentials"
        )
    if problems:
        raise InvalidConfiguration(problems)
    url = environment.get("EARTH_ENGINE_URL")
    user_file = Path(user) if user else None
    return Settings(stack, project, Path(data) if data else None, url, deployment, user_file)


def read_run(path: Path) -> RunConfiguration:
    """Return the run configuration in a YAML file, geometries read in from their files."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InvalidConfiguration([f"{path}: cannot be read: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidConfiguration([f"{path}: not YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise InvalidConfiguration([f"{path}: expected keys and values, got {content!r:.80}"])
    return parse_run(content, path.parent, str(path))


def parse_run(content: dict[str, Any], folder: Path, source: str) -> RunConfiguration:
    """Return the run configuration of plain YAML content; paths are relative to `folder`."""
    problems = _unknown_keys(content, RunConfiguration, "")
    content = {key: value for key, value in content.items() if isinstance(key, str)}
    for key in ("region", "land"):
        if content.get(key) is not None:
            try:
                content[key] = _geometry(content[key], folder, key)
            except ValueError as error:
                problems.append(str(error))
                content[key] = "projects/see-above/assets/x"
    if not problems:
        try:
            configuration = msgspec.convert(content, RunConfiguration)
            problems = _contradictions(configuration)
        except msgspec.ValidationError as error:
            problems.append(_with_value(str(error), content))
    if problems:
        raise InvalidConfiguration([f"{source}: {problem}" for problem in problems])
    return configuration


def _unknown_keys(content: dict[Any, Any], kind: type, prefix: str) -> list[str]:
    problems = []
    types = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    for key, value in content.items():
        if key in known:
            options = [types[key], *get_args(types[key])]
            inner = next((x for x in options if is_dataclass(x) and isinstance(x, type)), None)
            if inner and isinstance(value, dict):
                problems += _unknown_keys(value, inner, f"{prefix}{key}.")
            continue
        near = difflib.get_close_matches(str(key), known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        problems.append(f"unknown key {prefix}{key}; {hint}")
    return problems


def _with_value(message: str, content: dict[str, Any]) -> str:
    """Add the offending value to msgspec's message, which ends in a path such as `$.limits.x`."""
    if (path := re.search(r"`\$\.([\w.]+)`$", message)) is None:
        return message
    value: Any = content
    for key in path[1].split("."):
        value = value.get(key) if isinstance(value, dict) else value
    return f"{message}: {value!r:.80}"


def _contradictions(run: RunConfiguration) -> list[str]:
    """Return a sentence for each value that has the right type and makes no sense."""
    mask, limits = run.mask, run.limits
    checks = [
        (
            RUN_NAME.fullmatch(run.name),
            f"name is {run.name!r}, expected lower-case letters, digits and hyphens, at most 40",
        ),
        (
            run.start < run.end,
            f"end is {run.end}, expected a day after start ({run.start}); end is exclusive",
        ),
        (
            ASSET_ID.fullmatch(run.destination),
            f"destination is {run.destination!r}, expected projects/PROJECT/assets/FOLDER",
        ),
        (
            COLLECTION_ID.fullmatch(run.collection),
            f"collection is {run.collection!r}, expected an id such as COPERNICUS/S2_HARMONIZED "
            "or projects/PROJECT/assets/COLLECTION",
        ),
        (
            run.days_before >= 0 and run.days_after >= 0,
            f"days_before and days_after are {run.days_before} and {run.days_after}, "
            "expected 0 or more",
        ),
        (
            mask.preset in PRESETS,
            f"mask.preset is {mask.preset!r}, expected {' or '.join(PRESETS)}",
        ),
        (
            set(mask.inputs) <= set(INPUTS) and len(set(mask.inputs)) == len(mask.inputs),
            f"mask.inputs is {list(mask.inputs)}, expected some of {', '.join(INPUTS)}, each once, "
            "or none: []",
        ),
        (
            not (ignored := _ignored(mask)),
            f"mask.{', mask.'.join(ignored)}: preset {mask.preset} has rules of its own; "
            "leave it out",
        ),
        (
            10 <= mask.scale <= 1000,
            f"mask.scale is {mask.scale}, expected 10 to 1000 metres",
        ),
        (
            1 <= mask.background_images <= 100,
            f"mask.background_images is {mask.background_images}, expected 1 to 100",
        ),
        (
            1 <= mask.background_days <= 1000,
            f"mask.background_days is {mask.background_days}, expected 1 to 1000 days",
        ),
        (
            0 < mask.difference < 1 and 0 < mask.brightness < 1,
            f"mask.difference and mask.brightness are {mask.difference} and {mask.brightness}, "
            "expected reflectances between 0 and 1",
        ),
        (
            1 <= limits.queued_tasks <= MAX_QUEUED_TASKS,
            f"limits.queued_tasks is {limits.queued_tasks}, expected 1 to {MAX_QUEUED_TASKS}, "
            "Earth Engine's own ceiling",
        ),
        (
            1 <= limits.attempts <= 10,
            f"limits.attempts is {limits.attempts}, expected 1 to 10",
        ),
    ]
    problems = [problem for fine, problem in checks if not fine]
    problems += _product_contradictions(run.products) if run.products else []
    return problems + (_archive_contradictions(run.archive) if run.archive else [])


def _product_contradictions(products: ProductParameters) -> list[str]:
    checks = [
        (
            set(products.maps) <= set(MAPS) and len(set(products.maps)) == len(products.maps) > 0,
            f"products.maps is {list(products.maps)}, expected one or more of {', '.join(MAPS)}, "
            "each once",
        ),
        (
            products.collection is None or COLLECTION_ID.fullmatch(products.collection),
            f"products.collection is {products.collection!r}, expected none or an id such as "
            "COPERNICUS/S2_SR_HARMONIZED",
        ),
        (
            products.index in INDICES,
            f"products.index is {products.index!r}, expected one of {', '.join(INDICES)}",
        ),
        (
            products.preset in FILLINGS,
            f"products.preset is {products.preset!r}, expected {' or '.join(FILLINGS)}",
        ),
        (
            1 <= products.cloud_below <= 101,
            f"products.cloud_below is {products.cloud_below}, expected 1 to 101 %",
        ),
        (
            10 <= products.scale <= 1000,
            f"products.scale is {products.scale}, expected 10 to 1000 metres",
        ),
        (
            1 <= products.step <= 100,
            f"products.step is {products.step}, expected 1 to 100 days",
        ),
        (
            0 <= products.land_cover_class <= 15,
            f"products.land_cover_class is {products.land_cover_class}, expected a number of "
            "LC_Type2, 0 to 15",
        ),
    ]
    return [problem for fine, problem in checks if not fine]


def _archive_contradictions(policy: ArchivePolicy) -> list[str]:
    checks = [
        (
            BUCKET.fullmatch(policy.bucket),
            f"archive.bucket is {policy.bucket!r}, expected a bucket's name without gs://",
        ),
        (
            OBJECT_PREFIX.fullmatch(policy.prefix),
            f"archive.prefix is {policy.prefix!r}, expected a folder such as verdure/masks",
        ),
        (
            policy.drive is None or DRIVE_ID.fullmatch(policy.drive),
            f"archive.drive is {policy.drive!r}, expected the id of a folder in Drive: the last "
            "part of its address",
        ),
        (
            0 < policy.low <= policy.high < 1,
            f"archive.low and archive.high are {policy.low} and {policy.high}, expected shares "
            "of the quota, low at most high: 0.6 and 0.8",
        ),
        (
            policy.max_age_days is None or policy.max_age_days >= 1,
            f"archive.max_age_days is {policy.max_age_days}, expected 1 or more, or none",
        ),
        (
            0 <= policy.undo_hours <= MAX_UNDO_HOURS,
            f"archive.undo_hours is {policy.undo_hours}, expected 0 to {MAX_UNDO_HOURS}",
        ),
        (
            1 <= policy.per_call <= MAX_PER_CALL,
            f"archive.per_call is {policy.per_call}, expected 1 to {MAX_PER_CALL}",
        ),
        (
            1 <= policy.attempts <= MAX_ATTEMPTS,
            f"archive.attempts is {policy.attempts}, expected 1 to {MAX_ATTEMPTS}",
        ),
    ]
    return [problem for fine, problem in checks if not fine]


def read_geometry(value: Any, folder: Path, key: str) -> dict[str, Any]:
    """Return the GeoJSON geometry in a file, or raise InvalidConfiguration naming `key`."""
    try:
        found = _geometry(value, folder, key)
    except ValueError as error:
        raise InvalidConfiguration([str(error)]) from error
    if isinstance(found, str):
        raise InvalidConfiguration([f"{key} is {value!r}, expected a file of GeoJSON"])
    return found


def _ignored(mask: MaskParameters) -> list[str]:
    """Return the parameters that were changed and that the preset does not look at."""
    if mask.preset != "original":
        return []
    usual = MaskParameters(preset=mask.preset, scale=mask.scale)
    return [x.name for x in fields(mask) if getattr(mask, x.name) != getattr(usual, x.name)]


def _geometry(value: Any, folder: Path, key: str) -> dict[str, Any] | str:
    """Return GeoJSON geometry from GeoJSON or a file of it; leave an Earth Engine table's id."""
    if isinstance(value, str):
        if value.startswith(("projects/", "users/")):
            return value
        value = _read_geojson(folder / value, key)
    if not isinstance(value, dict):
        raise ValueError(f"{key} is {value!r:.80}, expected GeoJSON, a file or a table's asset id")
    parts: list[Any] = [value]
    if value.get("type") == "FeatureCollection":
        parts = [feature.get("geometry") for feature in value.get("features", [])]
    elif value.get("type") == "Feature":
        parts = [value.get("geometry")]
    try:
        shapes = [shapely.from_geojson(json.dumps(part)) for part in parts]
    except shapely.errors.GEOSException as error:
        raise ValueError(f"{key}: not a GeoJSON geometry: {error}") from error
    for shape in shapes:
        _check_shape(shape, key)
    if not shapes:
        raise ValueError(f"{key}: no feature in it, expected at least one polygon")
    merged: dict[str, Any] = json.loads(shapely.to_geojson(shapely.union_all(shapes)))
    return merged


def _read_geojson(path: Path, key: str) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{key}: file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{key}: file {path} is not JSON: {error}") from error


def _check_shape(shape: Any, key: str) -> None:
    if shape is None or shape.geom_type not in ("Polygon", "MultiPolygon") or shape.is_empty:
        kind = shape.geom_type if shape is not None else None
        raise ValueError(f"{key}: geometry is {kind}, expected a Polygon or MultiPolygon")
    if not shape.is_valid:
        reason = shapely.validation.explain_validity(shape)
        raise ValueError(
            f"{key}: the polygon is not valid: {reason} (longitude latitude); "
            "redraw it so that its boundary does not cross itself"
        )
    west, south, east, north = shape.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise ValueError(
            f"{key}: extent is {shape.bounds}, expected longitude and latitude in degrees"
        )
