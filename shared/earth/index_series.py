"""A vegetation index over time, from images and their masks."""

import ee

from shared.domain.classes import CLEAR
from shared.earth.cloud_mask import REFLECTANCE_SCALE
from shared.earth.vegetation_index import NDVI, VegetationIndex, vegetation_index

DAY_MS = 86_400_000


def index_series(
    scenes: ee.ImageCollection, masks: ee.ImageCollection, index: VegetationIndex = NDVI
) -> ee.ImageCollection:
    """Return one image for each day (UTC) with a mask: the index where the mask says clear.

    `scenes` are Sentinel-2's, as digital numbers; `masks` have band `class` and the scenes'
    `system:index`, wherever they are kept. Scenes without a mask are left out. Of several scenes
    of a pixel on one day (reprocessed images, swaths and tiles that overlap) the last by id that
    is clear there counts, which of reprocessed ones is the newest. `system:time_start` is that of
    the day's first scene.
    """
    masked = scenes.filter(ee.Filter.inList("system:index", masks.aggregate_array("system:index")))
    linked = masked.linkCollection(masks, ["class"])

    def clear(image: ee.Image) -> ee.Image:
        reflectance = image.select(list(index.bands)).toDouble().divide(REFLECTANCE_SCALE)
        values = vegetation_index(reflectance, index).updateMask(image.select("class").eq(CLEAR))
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
