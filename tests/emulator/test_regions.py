"""A region as large as a scene is reduced in the memory of a few tiles."""

from pathlib import Path

import ee
import pytest

SCENE = 10_980  # pixels on a side of a Sentinel-2 tile at 10 m
MIB = 1024  # kibibytes, the unit of /proc
MAX_GROWTH = 200 * MIB


def _peak(process_id: int) -> int:
    """Return the most memory a process has had, in kibibytes."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.soak
def test_memory_does_not_grow_with_the_region(start_emulator):
    running = start_emulator()
    xy = ee.Image.pixelCoordinates("EPSG:3857")
    image = ee.Image([ee.Image(1), xy.select("x").mod(7001), xy.select("y").sin()])
    image = image.rename(["one", "x", "y"])
    region = ee.Geometry.Rectangle([0, 0, 10 * SCENE, 10 * SCENE], "EPSG:3857", False)

    def reduced(bands, reducer):
        chosen = image.select(bands)
        return chosen.reduceRegion(reducer, region, 10, "EPSG:3857", maxPixels=1e13).getInfo()

    before = _peak(running.process.pid)
    assert reduced(["one"], ee.Reducer.count()) == {"one": SCENE**2}
    percentiles = reduced(["y"], ee.Reducer.percentile([0, 50, 100]))
    assert percentiles["y_p50"] == pytest.approx(0, abs=0.02)
    fit = reduced(["one", "x", "y"], ee.Reducer.linearRegression(2, 1))
    assert fit["residuals"][0] == pytest.approx(0.5**0.5, rel=1e-3)
    with pytest.raises(ee.EEException, match="User memory limit exceeded"):
        reduced(["x"], ee.Reducer.toList())
    assert _peak(running.process.pid) - before < MAX_GROWTH
