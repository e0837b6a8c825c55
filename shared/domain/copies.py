"""A copy of an asset outside Earth Engine: its files, its sidecar, and the way back.

All of it is made from Earth Engine's own description of the asset (the JSON of
https://developers.google.com/earth-engine/reference/rest/v1/projects.assets), nothing is guessed.

A GeoTIFF holds bands of one type on one grid: an asset with several has several files. Masked
pixels are in them by one of two layouts. `nodata` gives them the value of `NODATA`; it fits most
images and all ways back. Where a valid pixel has that value, or a mask is partial, the comparison
after the export finds differences, and the copy is made again with the layout `masks`: one more
file has a band of bytes, 255 times the mask, for every band.

Manifests refuse properties that are no numbers or strings, keys with other characters than letters,
digits and underscores, and long strings. Those go, as one JSON object, into the properties
`verdure_encoded_0`, `verdure_encoded_1` … in pieces; `decoded` puts them back.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: Names of the layouts.
WITH_NODATA, WITH_MASKS = "nodata", "masks"
#: The value of masked pixels by type of band; of floats it is NaN.
NODATA: dict[str, float] = {
    "uint8": 255,
    "int8": -128,
    "uint16": 65_535,
    "int16": -32_768,
    "uint32": 4_294_967_295,
    "int32": -2_147_483_648,
    "float32": float("nan"),
    "float64": float("nan"),
}
#: The names that manifests have for types (guides/image_manifest, tilesets[].dataType).
MANIFEST_TYPES = {
    **{name: name.upper() for name in NODATA if "int" in name},
    "float32": "FLOAT",
    "float64": "DOUBLE",
}
#: Steps of a stored mask: Earth Engine keeps one byte for it.
OPAQUE = 255
#: Characters of a property's text that a manifest is given in one piece.
MAX_TEXT = 1000
#: Properties with parts of what a manifest refuses.
ENCODED = "verdure_encoded_"
#: Property keys that manifests take (guides/image_manifest, properties).
KEY = re.compile(r"[A-Za-z0-9_]+")
SYSTEM_KEYS = ("system:description", "system:title", "system:tags", "system:provider_url")
#: The integers that JSON's numbers hold exactly (RFC 8259, section 6).
EXACT = 2**53

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One file of a copy: bands of one type on one grid; `grid` is Earth Engine's PixelGrid."""

    suffix: str
    bands: tuple[str, ...]
    dtype: str
    grid: Json
    masks: bool = False  # its bands are the masks of these bands

    @property
    def nodata(self) -> float:
        """The value of masked pixels in the layout that has one."""
        return NODATA[self.dtype]


class CannotBeCopied(ValueError):
    """The asset is nothing that GeoTIFFs can hold; the message says what."""


def dtype_of(band: Json) -> str:
    """Return the type of a band as numpy calls it."""
    kind = band["dataType"]
    if kind.get("dimensionsCount"):
        raise CannotBeCopied(f"band {band['id']} has arrays as pixels, which GeoTIFF cannot hold")
    if kind["precision"] != "INT":
        return {"FLOAT": "float32", "DOUBLE": "float64"}[kind["precision"]]
    limits = kind["range"]
    low, high = int(limits.get("min", 0)), int(limits.get("max", 0))
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32"):
        bits = int(name.removeprefix("u").removeprefix("int"))
        bounds = (0, 2**bits - 1) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if bounds[0] <= low and high <= bounds[1]:
            return name
    raise CannotBeCopied(
        f"band {band['id']} has integers from {low} to {high}, which GeoTIFF cannot hold"
    )


def parts(description: Json, layout: str) -> list[Part]:
    """Return the files of a copy; the first has no suffix."""
    groups: dict[str, tuple[str, Json, list[str]]] = {}
    for band in description["bands"]:
        key = json.dumps([dtype_of(band), band["grid"]], sort_keys=True)
        groups.setdefault(key, (dtype_of(band), band["grid"], []))[2].append(band["id"])
    found = [
        Part(f"-{number}" if number else "", tuple(names), dtype, grid)
        for number, (dtype, grid, names) in enumerate(groups.values())
    ]
    if layout == WITH_MASKS:
        found += [
            Part(f"{part.suffix}-mask", part.bands, "uint8", part.grid, masks=True)
            for part in found
        ]
    return found


def base_name(prefix: str, asset_id: str, record_id: str) -> str:
    """Return the name of a copy's objects without suffix: no two versions share one."""
    path = asset_id.split("/assets/")[-1]
    return f"{prefix}/{path}/{record_id}"


def manifest(
    description: Json, files: Sequence[tuple[Part, str]], ring: Sequence[tuple[float, float]] | None
) -> dict[str, Any]:
    """Return the manifest that ingests a copy, whose files' URIs come with their parts.

    `ring` is the footprint in the pixel coordinates of the first band, None for the raster's own.
    """
    where = {
        band: (part.suffix, index)
        for part, _ in files
        if not part.masks
        for index, band in enumerate(part.bands)
    }
    content: dict[str, Any] = {
        "name": description["name"],
        "tilesets": [
            {
                "id": part.suffix or "0",
                "sources": [{"uris": [uri]}],
                "dataType": MANIFEST_TYPES[part.dtype],
            }
            for part, uri in files
        ],
        "bands": [
            {
                "id": band["id"],
                "tilesetId": where[band["id"]][0] or "0",
                "tilesetBandIndex": where[band["id"]][1],
                "pyramidingPolicy": band.get("pyramidingPolicy", "MEAN"),
            }
            for band in description["bands"]
        ],
        "properties": encoded(description.get("properties", {})),
    }
    for name in ("startTime", "endTime"):
        if name in description:
            content[name] = description[name]
    if ring is not None:
        content["footprint"] = {"points": [{"x": x, "y": y} for x, y in ring]}
    return content


def milliseconds(text: str) -> int:
    """Return a time in RFC 3339 as milliseconds since 1970."""
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return round(since.total_seconds() * 1000)


def encoded(properties: Json) -> dict[str, Any]:
    """Return properties as a manifest takes them."""
    plain = {key: value for key, value in properties.items() if _is_plain(key, value)}
    others = {key: value for key, value in properties.items() if key not in plain}
    if others:
        text = json.dumps(others, sort_keys=True, separators=(",", ":"))
        pieces = [text[i : i + MAX_TEXT] for i in range(0, len(text), MAX_TEXT)]
        plain |= {f"{ENCODED}{number}": piece for number, piece in enumerate(pieces)}
    return plain


def decoded(properties: Json) -> dict[str, Any]:
    """Return the properties that `encoded` was given."""
    pieces = {k: v for k, v in properties.items() if k.startswith(ENCODED)}
    plain = {k: v for k, v in properties.items() if k not in pieces}
    if pieces:
        text = "".join(pieces[f"{ENCODED}{number}"] for number in range(len(pieces)))
        plain |= json.loads(text)
    return plain


def _is_plain(key: str, value: Any) -> bool:
    if not (KEY.fullmatch(key) or key in SYSTEM_KEYS) or key.startswith(ENCODED):
        return False
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    if isinstance(value, int):
        return abs(value) <= EXACT
    return isinstance(value, float)


def differences(before: Json, after: Json) -> list[str]:
    """Return a sentence for everything but pixels in which a restored asset is not the original.

    The footprint is not compared: manifests hold one ring, the sidecar all of it.
    """
    found = []
    for name in ("startTime", "endTime"):
        if before.get(name) != after.get(name):
            found.append(f"{name} is {after.get(name)}, was {before.get(name)}")
    old, new = before.get("properties", {}), decoded(after.get("properties", {}))
    for key in sorted(set(old) | set(new)):
        if (key in old) != (key in new) or not _same(old.get(key), new.get(key)):
            found.append(f"property {key} is {new.get(key)!r:.80}, was {old.get(key)!r:.80}")
    old_bands = [_band(x) for x in before["bands"]]
    new_bands = [_band(x) for x in after["bands"]]
    if old_bands != new_bands:
        found.append(f"bands are {new_bands!r:.300}, were {old_bands!r:.300}")
    return found


def _same(old: Any, new: Any) -> bool:
    return bool(old == new)


def _band(band: Json) -> tuple[Any, ...]:
    affine = {"shearX": 0, "shearY": 0, **band["grid"]["affineTransform"]}
    return (
        band["id"],
        dtype_of(band),
        band["grid"]["crsCode"],
        tuple(sorted(affine.items())),
        tuple(sorted(band["grid"]["dimensions"].items())),
        band.get("pyramidingPolicy", "MEAN"),
    )
