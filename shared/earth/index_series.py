"""A vegetation index over time, from images and their masks."""

from typing import Final

import ee

from shared.domain.classes import CLEAR
from shared.domain.indices import NDVI, VegetationIndex
from shared.earth.cloud_mask import REFLECTANCE_SCALE
from shared.earth.curves import TRUST
from shared.earth.vegetation_index import vegetation_index

DAY_MS = 86_400_000
#: Probability of cloud, %, at which an observation counts half: its errors are larger (synthetic
#: regions; docs/science.md).
DOUBT: Final = 6


def index_series(
    scenes: ee.ImageCollection,
    masks: ee.ImageCollection,
    index: VegetationIndex = NDVI,
    cloud_below: int | None = None,
) -> ee.ImageCollection:
    """Return one image for each day (UTC) with a mask: the index where the mask says clear.

    `scenes` are Sentinel-2's, as digital numbers; `masks` have band `class` and the scenes'
    `system:index`, wherever they are kept. Scenes without a mask are left out. Of several scenes
    of a pixel on one day (reprocessed images, swaths and tiles that overlap) the last by id that
    is clear there counts, which of reprocessed ones is the newest. `system:time_start` is that of
    the day's first scene.

    With `cloud_below` masks have band `cloud_probability` (%) too: only where it is less is a pixel
    clear, and images have a second band, TRUST: 1 where no cloud is likely, less where one is.
    """
    wanted = ["class"] if cloud_below is None else ["class", "cloud_probability"]
    masked = scenes.filter(ee.Filter.inList("system:index", masks.aggregate_array("system:index")))
    linked = masked.linkCollection(masks, wanted)

    def clear(image: ee.Image) -> ee.Image:
        reflectance = image.select(list(index.bands)).toDouble().divide(REFLECTANCE_SCALE)
        values = vegetation_index(reflectance, index).updateMask(image.select("class").eq(CLEAR))
        if cloud_below is not None:
            probability = image.select("cloud_probability")
            trust = probability.toDouble().divide(DOUBT).pow(2).add(1).pow(-1).rename(TRUST)
            values = values.addBands(trust).updateMask(probability.lt(cloud_below))
        kept = {
            "system:time_start": image.get("system:time_start"),
            "id": image.get("system:index"),
        }
        return ee.Image(values.set(kept))

    seen = linked.map(clear)

    def mosaic(day: ee.Number) -> ee.Image:
        start = ee.Number(day).multiply(DAY_MS)
        images = seen.filterDate(ee.Date(start), ee.Date(start.add(DAY_MS))).sort("id")
        first = images.aggregate_min("system:time_start")
        return images.mosaic().set("system:time_start", first)

    times = seen.aggregate_array("system:time_start")
    days = times.map(lambda time: ee.Number(time).divide(DAY_MS).floor()).distinct()
    return ee.ImageCollection(days.sort().map(mosaic))


def relative(series: ee.ImageCollection, index: VegetationIndex) -> ee.ImageCollection:
    """Return a series of an index as one that moves as far as NDVI does, for what knows NDVI only.

    What comes of it is to be multiplied by the index's `amplitude`.
    """
    return series.map(
        lambda image: image.addBands(image.select(0).divide(index.amplitude), None, True)
    )
