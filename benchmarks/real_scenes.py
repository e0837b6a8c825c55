"""Real pixels as scene folders: `python -m benchmarks.real_scenes OUT` writes OUT/australia.

The Australian stack has neither dates nor a place; its second date is in thousandths.
"""

import json
import sys
from pathlib import Path

import numpy as np
import rasterio

from benchmarks.realism import CLOUDY_DATES, DATA, STACK

#: A place must be given; this one is as good as any.
CRS, TRANSFORM = "EPSG:32755", rasterio.Affine(10, 0, 500_000, 0, -10, 6_000_000)


def write_australia(folder: Path) -> None:
    """Write an image a date, named by what it looks like to people, unless they are there."""
    if (folder / "scenes.json").exists():  # written last
        return
    numbers = np.load(DATA / "australia-stack" / "stack_wright_30dates.npz")["dn"].copy()
    numbers[1] *= 10
    folder.mkdir(parents=True, exist_ok=True)
    scenes = []
    for date, pixels in enumerate(numbers):
        name = f"date_{date:02}_{'cloudy' if date in CLOUDY_DATES else 'clear'}"
        height, width, bands = pixels.shape
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", dtype="uint16", count=bands,
            height=height, width=width, crs=CRS, transform=TRANSFORM,
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(pixels, -1, 0))
        scenes.append({"id": name, "file": f"{name}.tif", "properties": {}})
    content = {"collection": "TEST/AUSTRALIA", "scale": 1e-4, "bands": STACK, "scenes": scenes}
    (folder / "scenes.json").write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    write_australia(Path(sys.argv[1]) / "australia")
