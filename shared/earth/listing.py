"""What the pipeline asks of many images in one request."""

from collections.abc import Sequence

import ee

from shared.domain.classes import CLOUD, THIN
from shared.domain.runs import INPUTS, RunConfiguration
from shared.earth.cloud_mask import region_of
from shared.earth.reference_masks import presence

#: Images in one answer: far below the 5,000 elements at which Earth Engine refuses.
PAGE = 500

#: Pixels that each output's check may read; Earth Engine coarsens the scale to stay below.
#: A share of so many independent pixels has a standard error of at most 0.5 %.
CHECKED_PIXELS = 10_000


def images_page(run: RunConfiguration, page: int) -> ee.List:
    """Return page `page` of a run's images as features: footprint, and facts as properties.

    Of each input that the run asks for, a fact of its name says whether it is there by now.
    """
    area = region_of(run.region).geometry()
    land = region_of(run.land).geometry() if run.land is not None else None

    def select(collection: str) -> ee.ImageCollection:
        period = (run.first_instant.isoformat(), run.last_instant.isoformat())
        return ee.ImageCollection(collection).filterDate(*period).filterBounds(area)

    images = select(run.collection).sort("system:index").toList(PAGE, page * PAGE)
    inputs = presence(images, run.mask.wanted_inputs, select)

    def describe(listed: ee.ComputedObject) -> ee.Feature:
        image = ee.Image(listed)
        footprint = image.geometry()
        facts = {
            "image_id": image.get("system:index"),
            "sensed_ms": image.get("system:time_start"),
            "tile": image.get("MGRS_TILE"),
            "platform": image.get("SPACECRAFT_NAME"),
            "bands": image.bandNames(),
            "crs": image.select(0).projection().crs(),
            **inputs(image),
        }
        if land is not None:
            # 100 m: a footprint's edge is not known better, and exactness costs time.
            facts["on_land"] = footprint.intersects(land, 100)
        return ee.Feature(footprint, facts)

    return images.map(describe)


def maps(collection: str, image_ids: Sequence[str]) -> ee.FeatureCollection:
    """Return a feature without geometry for each map that exists, with what its check needs."""

    def describe(image: ee.Image) -> ee.Feature:
        band = image.select(0)
        projection = band.projection()
        facts = {
            "image_id": image.get("system:index"),
            "run_key": image.get("run_key"),
            "weather_days": image.get("weather_days"),
            "bands": image.bandNames(),
            "crs": projection.crs(),
            "scale": projection.nominalScale(),
            "valid_share": _means(band.mask().rename("valid"), image, projection).get("valid"),
        }
        return ee.Feature(None, facts)

    return ee.FeatureCollection(_of(collection, image_ids).map(describe))


def _of(collection: str, image_ids: Sequence[str]) -> ee.ImageCollection:
    chosen = ee.Filter.inList("system:index", list(image_ids))
    return ee.ImageCollection(collection).filter(chosen)


def _means(values: ee.Image, image: ee.Image, projection: ee.Projection) -> ee.Dictionary:
    """Return the means of bands over an image's footprint, from a bounded number of pixels."""
    return values.reduceRegion(
        reducer=ee.Reducer.mean().unweighted(),
        geometry=image.geometry(),
        crs=projection.crs(),
        scale=projection.nominalScale(),
        bestEffort=True,
        maxPixels=CHECKED_PIXELS,
    )


def outputs(collection: str, image_ids: Sequence[str]) -> ee.FeatureCollection:
    """Return a feature without geometry for each mask that exists, with what its check needs."""

    def describe(mask: ee.Image) -> ee.Feature:
        classes = mask.select("class")
        projection = classes.projection()
        cloud = classes.eq(CLOUD).Or(classes.eq(THIN)).rename("cloud")
        shares = _means(classes.mask().rename("valid").addBands(cloud), mask, projection)
        facts = {
            "image_id": mask.get("system:index"),
            "run_key": mask.get("run_key"),
            "background_images": mask.get("background_images"),
            **{f"{name}_present": mask.get(f"{name}_present") for name in INPUTS},
            "bands": mask.bandNames(),
            "crs": projection.crs(),
            "scale": projection.nominalScale(),
            "valid_share": shares.get("valid"),
            "cloud_share": shares.get("cloud"),
        }
        return ee.Feature(None, facts)

    return ee.FeatureCollection(_of(collection, image_ids).map(describe))
