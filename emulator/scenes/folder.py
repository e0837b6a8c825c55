"""A scene folder: scenes.json and GeoTIFFs, one an image or one a band, served as a collection."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
import shapely
from rasterio.errors import CRSError, RasterioIOError
from rasterio.warp import transform_geom
from shapely.affinity import affine_transform

from emulator.scenes.tiff import NotTiff, Truncated, check_complete
from emulator.stored import StoredBand, StoredImage

MANIFEST = "scenes.json"
LON_LAT = "EPSG:4326"
#: Type of the bands of a scene that has a grid and no file: Sentinel-2's.
GRID_DTYPE = "uint16"
#: Straight pieces per outline, so that edges stay right between projections.
OUTLINE_PIECES = 64
#: Outlines remembered: a tile's images have the same.
OUTLINES = 256
#: Where a scene's pixels are: one file, a file for each band, or nowhere.
SOURCES = {"file": str, "files": dict, "grid": dict}
#: What a manifest's fields must be, in the words of the error message.
KINDS = {str: "a text", list: "a list", dict: "an object", int: "a whole number"}


class InvalidSceneFolder(ValueError):
    """scenes.json is missing or wrong: the whole folder cannot be served."""


class UnreadableScene(Exception):
    """One scene cannot be served; the others can."""


@dataclass(frozen=True)
class SceneFolder:
    """One collection; `unreadable` has a sentence for each scene that was left out.

    `harmonized`: its bands' `shift` makes it COPERNICUS/S2_HARMONIZED, and without it the same
    images are COPERNICUS/S2.
    """

    collection: str
    images: list[StoredImage]
    unreadable: list[str]
    harmonized: bool = False


def load_folder(path: Path) -> SceneFolder:
    """Read a scene folder's images; pixels stay in their files."""
    manifest = _read_manifest(path)
    collection, bands = manifest["collection"], manifest.get("bands")
    images, unreadable = [], []
    for scene in manifest["scenes"]:
        try:
            images.append(_image(path, collection, bands, scene))
        except UnreadableScene as problem:
            unreadable.append(f"Scene {scene['id']} is left out: {problem}.")
    return SceneFolder(collection, images, unreadable)


def lon_lat(shape: shapely.Geometry, crs: str) -> dict[str, Any]:
    """Return a shape of `crs` as GeoJSON in EPSG:4326, edges densified first."""
    dense = shapely.segmentize(shape, shape.length / OUTLINE_PIECES)
    geometry = transform_geom(crs, LON_LAT, shapely.geometry.mapping(dense))
    return json.loads(json.dumps(geometry))  # its coordinates are tuples, which JSON has not


def _image(
    folder: Path, collection: str, names: list[str] | None, scene: dict[str, Any]
) -> StoredImage:
    bands = _bands(folder, names, scene)
    footprint = scene.get("footprint") or outline(bands[0])
    standard = {"system:index": scene["id"], "system:footprint": footprint}
    return StoredImage(
        id=f"{collection}/{scene['id']}",
        bands=bands,
        properties=standard | scene.get("properties", {}),
        footprint=footprint,
        size_bytes=sum(path.stat().st_size for path in {band.path for band in bands} if path),
        available_after=scene.get("available_after_days", 0),
    )


def _bands(folder: Path, names: list[str] | None, scene: dict[str, Any]) -> tuple[StoredBand, ...]:
    if "grid" in scene:
        return _grid_bands(scene["grid"], names or [])
    if "file" in scene:
        return _file_bands(_scene_file(folder, scene["file"]), names)
    if names and list(scene["files"]) != names:
        raise UnreadableScene(f"its files are not of the bands that {MANIFEST} declares")
    files = {name: _scene_file(folder, file) for name, file in scene["files"].items()}
    return tuple(_file_bands(path, [name])[0] for name, path in files.items())


def _scene_file(folder: Path, name: str) -> Path:
    """Return the scene's file, which must lie inside the folder, links followed."""
    path = (folder / name).resolve()
    if ".." in Path(name).parts or not path.is_relative_to(folder.resolve()):
        raise UnreadableScene(f"{name} points out of the folder; put the file inside it")
    if not path.is_file():
        raise UnreadableScene(f"{name} does not exist; add the file or drop the scene")
    return path


def _file_bands(path: Path, names: list[str] | None) -> tuple[StoredBand, ...]:
    try:
        check_complete(path)
        with rasterio.open(path, driver="GTiff") as dataset:
            return _dataset_bands(path, dataset, names)
    except Truncated as problem:
        raise UnreadableScene(f"{path.name} is truncated ({problem}); copy it again") from None
    except (NotTiff, RasterioIOError):
        raise UnreadableScene(f"{path.name} is not a GeoTIFF; convert it to one") from None


def _dataset_bands(
    path: Path, dataset: rasterio.DatasetReader, names: list[str] | None
) -> tuple[StoredBand, ...]:
    names = names or [name or f"b{i}" for i, name in enumerate(dataset.descriptions, 1)]
    if dataset.count != len(names):
        raise UnreadableScene(
            f"{path.name} has {dataset.count} bands where {MANIFEST} declares {len(names)}; "
            "make them agree"
        )
    if dataset.crs is None:
        raise UnreadableScene(f"{path.name} has no coordinate reference system; assign one")
    transform = tuple(dataset.transform)[:6]
    grid = dataset.crs.to_string(), transform, dataset.width, dataset.height
    return tuple(
        StoredBand(name, dtype, *grid, path=path, index=index)
        for index, (name, dtype) in enumerate(zip(names, dataset.dtypes, strict=True), 1)
    )


def _grid_bands(grid: dict[str, Any], names: list[str]) -> tuple[StoredBand, ...]:
    place = grid["crs"], tuple(grid["transform"]), grid["width"], grid["height"]
    return tuple(StoredBand(name, GRID_DTYPE, *place) for name in names)


def outline(band: StoredBand) -> dict[str, Any]:
    """Return the band's rectangle as a lon/lat polygon."""
    try:
        return _rectangle(band.crs, band.transform, band.width, band.height)
    except CRSError:
        raise UnreadableScene(
            f"nothing is known of its crs {band.crs}; name an EPSG code"
        ) from None


@functools.lru_cache(OUTLINES)
def _rectangle(crs: str, transform: tuple[float, ...], width: int, height: int) -> dict[str, Any]:
    a, b, c, d, e, f = transform
    return lon_lat(affine_transform(shapely.box(0, 0, width, height), (a, b, d, e, c, f)), crs)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise InvalidSceneFolder(
            f"{path} does not exist; a scene folder needs one: "
            '{"collection": …, "bands": […], "scenes": [{"id": …, "file": …, "properties": {…}}]}.'
        )
    try:
        manifest = json.loads(path.read_bytes())
        _check_manifest(manifest)
    except ValueError as problem:
        raise InvalidSceneFolder(f"{path}: {problem}") from None
    return manifest


def _check_manifest(manifest: Any) -> None:
    """Raise ValueError, saying what would be right, unless the manifest has its fields."""
    _check(manifest, "the file", {"collection": str, "scenes": list}, {"bands": list})
    if not all(isinstance(name, str) for name in manifest.get("bands", [])):
        raise ValueError("the file: 'bands' must be a list of texts.")
    seen = set()
    for position, scene in enumerate(manifest["scenes"]):
        where = f"scenes[{position}]"
        optional = {"properties": dict, "footprint": dict, "available_after_days": int}
        _check(scene, where, {"id": str}, optional | SOURCES)
        if len(SOURCES.keys() & scene.keys()) != 1:
            raise ValueError(f"{where} must have either 'file' or 'files' or 'grid'.")
        if "files" in scene:
            _check_files(scene["files"], f"{where}.files")
        if "grid" in scene:
            _check_grid(scene["grid"], f"{where}.grid", manifest.get("bands"))
        if scene["id"] in seen:
            raise ValueError(f"{where}: 'id' must be unique, {scene['id']!r} came before.")
        seen.add(scene["id"])


def _check_files(files: dict[str, Any], where: str) -> None:
    if not files or not all(isinstance(file, str) for file in files.values()):
        raise ValueError(f"{where} must be an object of the bands' files, and not empty.")


def _check_grid(grid: Any, where: str, bands: list[str] | None) -> None:
    _check(grid, where, {"crs": str, "transform": list, "width": int, "height": int}, {})
    if len(grid["transform"]) != 6:
        raise ValueError(f"{where}: 'transform' must have 6 numbers.")
    if not bands:
        raise ValueError(f"{where} needs 'bands' in the file: there is no raster to name them.")


def _check(
    record: Any, where: str, required: Mapping[str, type], optional: Mapping[str, type]
) -> None:
    if not isinstance(record, dict):
        raise ValueError(f"{where} must be an object, not {record!r}.")
    for name, kind in {**required, **optional}.items():
        if name not in record and name in required:
            raise ValueError(f"{where}: {name!r} is missing; it must be {KINDS[kind]}.")
        if name in record and not isinstance(record[name], kind):
            raise ValueError(f"{where}: {name!r} must be {KINDS[kind]}, not {record[name]!r}.")
