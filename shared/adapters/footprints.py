"""Footprints in the pixel coordinates that manifests want."""

from collections.abc import Mapping, Sequence
from typing import Any

import shapely
from pyproj import Transformer

#: Degrees beyond which a longitude is on the other side of the antimeridian.
HALF_TURN = 180


def ring(description: Mapping[str, Any]) -> list[tuple[float, float]] | None:
    """Return an asset's footprint as one closed ring in pixels of its first band.

    Holes are left out, and of several parts it is the convex hull: manifests hold one ring. None
    if the asset has no polygon as footprint: then it is the rectangle of the raster.
    """
    geometry = description.get("geometry")
    if not geometry or geometry["type"] not in ("Polygon", "MultiPolygon"):
        return None
    grid = description["bands"][0]["grid"]
    parts = geometry["coordinates"]
    rings = [parts[0]] if geometry["type"] == "Polygon" else [part[0] for part in parts]
    pixels = [_pixels(each, grid) for each in rings]
    outline = (
        shapely.Polygon(pixels[0])
        if len(pixels) == 1
        else shapely.MultiPoint([point for each in pixels for point in each]).convex_hull
    )
    if not outline.is_valid:
        outline = outline.convex_hull
    if outline.geom_type != "Polygon" or not outline.area:
        return None
    return [(float(x), float(y)) for x, y in outline.exterior.coords]


def _pixels(
    positions: Sequence[Sequence[float]], grid: Mapping[str, Any]
) -> list[tuple[float, float]]:
    affine = {"shearX": 0, "shearY": 0, **grid["affineTransform"]}
    a, b, c = (affine.get(key, 0) for key in ("scaleX", "shearX", "translateX"))
    d, e, f = (affine.get(key, 0) for key in ("shearY", "scaleY", "translateY"))
    project = Transformer.from_crs("EPSG:4326", grid["crsCode"], always_xy=True)
    xs, ys = project.transform([p[0] for p in positions], [p[1] for p in positions])
    size = grid["dimensions"]
    if project.target_crs is not None and project.target_crs.is_geographic:
        middle = a * size["width"] / 2 + b * size["height"] / 2 + c
        xs = [_near(x, middle) for x in xs]
    determinant = a * e - b * d
    return [
        (
            (e * (x - c) - b * (y - f)) / determinant,
            (a * (y - f) - d * (x - c)) / determinant,
        )
        for x, y in zip(xs, ys, strict=True)
    ]


def _near(longitude: float, middle: float) -> float:
    """Return a longitude on the side of the antimeridian where the raster is."""
    while longitude - middle > HALF_TURN:
        longitude -= 2 * HALF_TURN
    while middle - longitude > HALF_TURN:
        longitude += 2 * HALF_TURN
    return longitude
