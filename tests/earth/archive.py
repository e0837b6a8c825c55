"""A tile's archive with all that makes choosing a background hard, in tiny images."""

import json

import numpy as np
import rasterio
from pyproj import Transformer

COLLECTION = "TEST/ARCHIVE"
SIDE, PIXEL, WEST, NORTH = 20, 60, 465_180, 5_080_260
EXTENT = SIDE * PIXEL
DAY = 24 * 3_600_000
START = 1_500_000_000_000
BANDS = ["B2", "B3", "B4"]
TO_LON_LAT = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)


class Archive:
    """Scenes as dicts for plain Python, and written as a scene folder."""

    def __init__(self, folder):
        self.folder = folder
        self.scenes = []
        self.rng = np.random.default_rng(5)

    def add(self, name, day, **changes):
        """Add an image `day` days after the start; `share` is its footprint's share from west."""
        share = changes.pop("share", 1)
        cloud = round(float(100 * self.rng.beta(0.5, 0.5)), 6)
        scene = {
            "id": name,
            "time": START + round(day * DAY),
            "tile": "33TVL",
            "cloud": cloud,
            "valid": 1.0,
            "footprint": rectangle(share, lambda x, y: (x, y)),
            "lon_lat": rectangle(share, TO_LON_LAT.transform),
        }
        assert not changes.keys() - scene.keys()
        self.scenes.append({**scene, **changes})

    def write(self):
        self.folder.mkdir()
        transform = rasterio.Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH)
        entries = []
        for scene in self.scenes:
            pixels = self.rng.integers(300, 9000, (len(BANDS), SIDE, SIDE)).astype("u2")
            pixels[:, round(scene["valid"] * SIDE) :] = 0
            file = f"{scene['id']}.tif"
            with rasterio.open(
                self.folder / file, "w", driver="GTiff", dtype="uint16", count=len(BANDS),
                width=SIDE, height=SIDE, crs="EPSG:32633", transform=transform, nodata=0,
            ) as target:  # fmt: skip
                target.write(pixels)
            properties = {
                "system:time_start": scene["time"],
                "MGRS_TILE": scene["tile"],
                "CLOUDY_PIXEL_PERCENTAGE": scene["cloud"],
            }
            known = {name: value for name, value in properties.items() if value is not None}
            entry = {"id": scene["id"], "file": file, "properties": known}
            entries.append({**entry, "footprint": scene["lon_lat"]})
        manifest = {"collection": COLLECTION, "scale": 0.0001, "bands": BANDS, "scenes": entries}
        (self.folder / "scenes.json").write_text(json.dumps(manifest))
        return self.folder


def rectangle(share, project):
    east, south = WEST + share * EXTENT, NORTH - EXTENT
    corners = [(WEST, NORTH), (WEST, south), (east, south), (east, NORTH), (WEST, NORTH)]
    return {"type": "Polygon", "coordinates": [[project(*corner) for corner in corners]]}


def hard_archive(folder):
    """Two years of images every five days, and the exceptions."""
    archive = Archive(folder)
    for index in range(100):
        day = 5 * index + archive.rng.random() / 10
        share = {3: 0.93, 4: 0.97, 7: 0.5}.get(index % 10, 1)
        valid = 0.3 if index % 9 == 5 else 1.0
        archive.add(f"P{index:03d}", day, share=share, valid=valid)
    archive.add("NEIGHBOUR_TILE", 250.5, tile="33TWL", cloud=0.0)
    archive.add("TWIN", 250, cloud=0.001)
    archive.scenes[-1]["time"] = archive.scenes[50]["time"]
    archive.add("SAME_PASS", 250.6, cloud=0.002)
    archive.scenes[-1]["time"] = archive.scenes[50]["time"] + 18 * 3_600_000
    archive.add("JUST_OUTSIDE", 250.9, cloud=0.003)
    archive.scenes[-1]["time"] = archive.scenes[50]["time"] - 18 * 3_600_000 - 1
    archive.add("UNKNOWN_CLOUD", 248, cloud=None)
    archive.add("UNKNOWN_TILE", 247, tile=None, cloud=0.004)
    archive.add("UNKNOWN_TILE_TOO", 262, tile=None, cloud=0.005)
    archive.add("ALL_MASKED", 246, valid=0.0, cloud=0.0005)
    archive.add("LONG_AGO", -900, cloud=0.006)
    return archive
