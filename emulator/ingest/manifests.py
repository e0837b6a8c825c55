"""Manifests of images and tables that are ingested, checked as far as no file is needed.

https://developers.google.com/earth-engine/guides/image_manifest and .../table_manifest
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import shapely

from emulator import fields
from emulator.assets.patch import TIMES, checked_properties
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.fields import Json
from emulator.stored import PYRAMIDING, UNSPECIFIED_POLICY, UNSUPPORTED_POLICIES, Pyramiding

PROPERTY_KEY = re.compile(r"[A-Za-z0-9_]+")
SYSTEM_KEYS = (
    "system:time_start",
    "system:time_end",
    "system:description",
    "system:title",
    "system:tags",
    "system:provider_url",
)
#: DataType -> numpy's name; the reference and the guide name floats differently.
DATA_TYPES = {
    "INT8": "int8",
    "UINT8": "uint8",
    "INT16": "int16",
    "UINT16": "uint16",
    "INT32": "int32",
    "UINT32": "uint32",
    "FLOAT": "float32",
    "FLOAT32": "float32",
    "DOUBLE": "float64",
    "FLOAT64": "float64",
}
UNSPECIFIED_TYPE = "DATA_TYPE_UNSPECIFIED"
COLUMN_TYPES = (
    "COLUMN_DATA_TYPE_STRING",
    "COLUMN_DATA_TYPE_NUMERIC",
    "COLUMN_DATA_TYPE_LONG",
)
CLOUD_STORAGE = "gs://"
#: Points of a triangle, the last equal to the first.
MIN_RING = 4

COMMON = ("name", "properties", "uriPrefix", "startTime", "endTime", "memo")
IMAGE = (
    *COMMON,
    "tilesets",
    "bands",
    "maskBands",
    "footprint",
    "missingData",
    "pyramidingPolicy",
    "skipMetadataRead",
)
TILESET = ("id", "sources", "dataType", "crs")
SOURCE = ("uris", "affineTransform", "dimensions")
BAND = ("id", "tilesetId", "tilesetBandIndex", "missingData", "pyramidingPolicy")
MASK_BAND = ("tilesetId", "bandIds")
FOOTPRINT = ("points", "bandId")
TABLE = (*COMMON, "sources", "csvColumnDataTypeOverrides", "columnDataTypeOverrides")
TABLE_SOURCE = (
    "uris",
    "charset",
    "maxErrorMeters",
    "maxVertices",
    "crs",
    "geodesic",
    "primaryGeometryColumn",
    "xColumn",
    "yColumn",
    "dateFormat",
    "csvDelimiter",
    "csvQualifier",
)

Transform = tuple[float, ...]


@dataclass(frozen=True)
class Source:
    """A file, and the transform that it lacks, in Earth Engine's order."""

    uri: str
    transform: Transform | None


@dataclass(frozen=True)
class Tileset:
    """Files with the same bands and grid, side by side."""

    id: str
    sources: Sequence[Source]
    dtype: str | None
    crs: str | None


@dataclass(frozen=True)
class BandSource:
    """Where a band comes from; `index` counts from 0, None: the next one of the tileset."""

    id: str
    tileset: str
    index: int | None
    missing: Sequence[float] | None  # None: what the files say
    pyramiding: Pyramiding


@dataclass(frozen=True)
class MaskBand:
    """The last band of a tileset masks these bands; none: all."""

    tileset: str
    bands: Sequence[str]


@dataclass(frozen=True)
class Footprint:
    """A ring in the pixel coordinates of a band; None: of the first."""

    points: Sequence[tuple[float, float]]
    band: str | None


@dataclass(frozen=True)
class ImageManifest:
    """An ImageManifest; times are among the properties, in ms since 1970."""

    name: str
    properties: Mapping[str, Any]
    tilesets: Mapping[str, Tileset]
    bands: Sequence[BandSource]
    mask: MaskBand | None
    footprint: Footprint | None
    missing: Sequence[float] | None
    pyramiding: Pyramiding


@dataclass(frozen=True)
class TableSource:
    """A CSV file and how to read it."""

    uri: str
    charset: str
    crs: str
    geodesic: bool | None
    geometry_column: str
    x_column: str
    y_column: str
    delimiter: str
    qualifier: str


@dataclass(frozen=True)
class TableManifest:
    """A TableManifest; `column_types` has the columns whose type is not to be inferred."""

    name: str
    properties: Mapping[str, Any]
    sources: Sequence[TableSource]
    column_types: Mapping[str, str]


def image_manifest(content: Json) -> ImageManifest:
    """Read an ImageManifest."""
    where = "image_manifest"
    manifest = fields.known(content, IMAGE, where)
    if fields.flag(manifest, "skipMetadataRead"):
        raise NotImplementedByEmulator("An image manifest with skipMetadataRead")
    prefix = fields.text(manifest, "uriPrefix")
    tilesets = [
        _tileset(fields.known(each, TILESET, f"{where}.tilesets"), prefix)
        for each in fields.messages(manifest, "tilesets")
    ]
    by_id = {tileset.id: tileset for tileset in tilesets}
    if not tilesets or len(by_id) < len(tilesets):
        raise EarthEngineError("An image manifest needs tilesets whose IDs are unique.")
    missing = _missing(manifest, where)
    policy = _policy(manifest, "MEAN")
    bands = [
        _band(fields.known(each, BAND, f"{where}.bands"), missing, policy)
        for each in fields.messages(manifest, "bands")
    ]
    if len({band.id for band in bands}) < len(bands):
        raise EarthEngineError("The bands of an image manifest must have different IDs.")
    mask = _mask_band(manifest, where)
    for tileset_id in [*(band.tileset for band in bands), *([mask.tileset] if mask else ())]:
        if tileset_id not in by_id:
            raise EarthEngineError(f"There is no tileset with ID '{tileset_id}'.")
    return ImageManifest(
        fields.text(manifest, "name"),
        _properties(manifest),
        by_id,
        bands,
        mask,
        _footprint(manifest, where),
        missing,
        policy,
    )


def table_manifest(content: Json) -> TableManifest:
    """Read a TableManifest."""
    manifest = fields.known(content, TABLE, "table_manifest")
    prefix = fields.text(manifest, "uriPrefix")
    sources = [
        _table_source(fields.known(each, TABLE_SOURCE, "table_manifest.sources"), prefix)
        for each in fields.messages(manifest, "sources")
    ]
    if not sources:
        raise EarthEngineError("A table manifest needs a source.")
    overrides = fields.mapping(manifest, "columnDataTypeOverrides")
    types = {name: fields.choice(overrides, name, COLUMN_TYPES, "") for name in overrides}
    if fields.mapping(manifest, "csvColumnDataTypeOverrides"):
        raise NotImplementedByEmulator("csvColumnDataTypeOverrides, which is deprecated,")
    return TableManifest(fields.text(manifest, "name"), _properties(manifest), sources, types)


def _properties(manifest: Json) -> dict[str, Any]:
    properties = checked_properties(fields.mapping(manifest, "properties"))
    for key in properties:
        if not PROPERTY_KEY.fullmatch(key) and key not in SYSTEM_KEYS:
            raise EarthEngineError(
                f'Property key "{key}" is invalid. Property keys must contain only letters, '
                "digits, and underscores."
            )
    for name, key in TIMES.items():
        time = fields.milliseconds(manifest, name)
        if time is not None:
            properties[key] = time
    return properties


def _uris(source: Json, prefix: str) -> list[str]:
    uris = [prefix + uri for uri in fields.texts(source, "uris")]
    if not uris:
        raise EarthEngineError("Every source needs a URI.")
    for uri in uris:
        if not uri.startswith(CLOUD_STORAGE):
            raise EarthEngineError(f"Only Google Cloud Storage URIs are supported, not '{uri}'.")
    return uris


def _tileset(tileset: Json, prefix: str) -> Tileset:
    sources = [
        _source(fields.known(each, SOURCE, "image_manifest.tilesets.sources"), prefix)
        for each in fields.messages(tileset, "sources")
    ]
    if not sources:
        raise EarthEngineError("Every tileset needs a source.")
    kind = fields.choice(tileset, "dataType", [*DATA_TYPES, UNSPECIFIED_TYPE], UNSPECIFIED_TYPE)
    crs = fields.text(tileset, "crs") or None
    return Tileset(fields.text(tileset, "id"), sources, DATA_TYPES.get(kind), crs)


def _source(source: Json, prefix: str) -> Source:
    # Sidecars follow the file itself; GDAL finds them beside it.
    return Source(_uris(source, prefix)[0], fields.transform(source, "affineTransform"))


def _band(band: Json, missing: Sequence[float] | None, policy: Pyramiding) -> BandSource:
    if not fields.text(band, "id"):
        raise EarthEngineError("Every band needs an ID.")
    index = fields.whole(band, "tilesetBandIndex")
    if index < 0:
        raise EarthEngineError(f"Invalid tilesetBandIndex {index}.")
    own = _missing(band, "image_manifest.bands")
    return BandSource(
        fields.text(band, "id"),
        fields.text(band, "tilesetId"),
        index if "tilesetBandIndex" in band else None,
        missing if own is None else own,
        _policy(band, policy),
    )


def _missing(message: Json, where: str) -> list[float] | None:
    if message.get("missingData") is None:
        return None
    missing = fields.mapping(message, "missingData")
    return fields.numbers(fields.known(missing, ["values"], f"{where}.missing_data"), "values")


def _policy(message: Json, default: Pyramiding) -> Pyramiding:
    known = [*PYRAMIDING, *UNSUPPORTED_POLICIES, UNSPECIFIED_POLICY]
    policy: Any = fields.choice(message, "pyramidingPolicy", known, default)
    if policy in UNSUPPORTED_POLICIES:
        raise NotImplementedByEmulator(f"Pyramiding policy {policy}")
    return default if policy == UNSPECIFIED_POLICY else policy


def _mask_band(manifest: Json, where: str) -> MaskBand | None:
    given = manifest.get("maskBands")
    # The client's command line sends one without a list.
    masks = fields.messages(
        {"maskBands": [given]} if isinstance(given, Mapping) else manifest, "maskBands"
    )
    if len(masks) > 1:
        raise EarthEngineError("At most one mask band may be provided.")
    if not masks:
        return None
    mask = fields.known(masks[0], MASK_BAND, f"{where}.mask_bands")
    return MaskBand(fields.text(mask, "tilesetId"), fields.texts(mask, "bandIds"))


def _footprint(manifest: Json, where: str) -> Footprint | None:
    footprint = fields.known(fields.mapping(manifest, "footprint"), FOOTPRINT, f"{where}.footprint")
    points = [
        (fields.number(point, "x"), fields.number(point, "y"))
        for point in fields.messages(footprint, "points")
    ]
    if not points:
        return None
    if points[0] != points[-1]:
        raise EarthEngineError("The last point of a footprint must be equal to the first.")
    if len(points) < MIN_RING or not shapely.Polygon(points).is_valid:
        raise EarthEngineError("A footprint must be the exterior of a simple polygon.")
    return Footprint(points, fields.text(footprint, "bandId") or None)


def _table_source(source: Json, prefix: str) -> TableSource:
    uris = _uris(source, prefix)
    if len(uris) > 1:
        raise EarthEngineError("A source of a table may have one URI only.")
    if fields.text(source, "dateFormat"):
        raise NotImplementedByEmulator("A table source with a dateFormat")
    if fields.whole(source, "maxVertices"):
        raise NotImplementedByEmulator("A table source with maxVertices")
    delimiter = fields.text(source, "csvDelimiter") or ","
    qualifier = fields.text(source, "csvQualifier") or '"'
    if len(delimiter) != 1 or len(qualifier) != 1 or delimiter == qualifier:
        raise EarthEngineError("csvDelimiter and csvQualifier must be two different characters.")
    fields.number(source, "maxErrorMeters")
    return TableSource(
        uris[0],
        fields.text(source, "charset") or "utf-8",
        fields.text(source, "crs") or "EPSG:4326",
        fields.flag(source, "geodesic") if source.get("geodesic") is not None else None,
        fields.text(source, "primaryGeometryColumn"),
        fields.text(source, "xColumn"),
        fields.text(source, "yColumn"),
        delimiter,
        qualifier,
    )
