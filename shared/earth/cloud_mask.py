"""The cloud mask of one image, as an Earth Engine graph."""

import ee

from shared.domain.runs import MaskParameters, RunConfiguration
from shared.earth.background import background_images, median
from shared.earth.decision_trees import TREE2, TREE3, decision_tree

#: Sentinel-2 digital numbers per unit of reflectance (Earth Engine catalogue).
REFLECTANCE_SCALE = 10_000

CLEAR, CLOUD = 0, 1


def cloud_mask(image: ee.Image, scenes: ee.ImageCollection, parameters: MaskParameters) -> ee.Image:
    """Return band `class` (uint8): 1 cloud, 0 clear, masked where the image has no data.

    Cloud is what either tree finds, and what is brighter than its background; without a
    background image the trees decide alone.
    """
    # In double precision a digital number on a threshold divides to just that threshold.
    reflectance = image.toDouble().divide(REFLECTANCE_SCALE)
    trees = decision_tree(reflectance, TREE2).Or(decision_tree(reflectance, TREE3))
    brightened = _brightened(reflectance, image, scenes, parameters)
    return trees.Or(brightened).multiply(CLOUD).toByte().rename("class")


def _brightened(
    reflectance: ee.Image, image: ee.Image, scenes: ee.ImageCollection, parameters: MaskParameters
) -> ee.Image:
    """Return 1 where the image is bright, and brighter than its background (else 0)."""
    bands = list(parameters.bands)
    around = background_images(
        image, scenes, parameters.background_days, parameters.background_images
    )
    now = reflectance.select(bands)
    background = median(around, image.select(bands)).divide(REFLECTANCE_SCALE)
    difference = now.subtract(background)
    rose = difference.reduce(ee.Reducer.mean()).unmask(0).gt(parameters.difference)
    return rose.And(now.reduce(ee.Reducer.mean()).gt(parameters.brightness))


def mask_of(image: ee.Image, run: RunConfiguration) -> ee.Image:
    """Return the mask of an image of a run's collection, masked outside the run's land."""
    mask = cloud_mask(image, ee.ImageCollection(run.collection), run.mask)
    if run.land is not None:
        mask = mask.clipToCollection(region_of(run.land))
    return mask


def region_of(region: dict[str, object] | str) -> ee.FeatureCollection:
    """Return a region, GeoJSON or a table's asset id, as a feature collection."""
    if isinstance(region, str):
        return ee.FeatureCollection(region)
    return ee.FeatureCollection([ee.Feature(ee.Geometry(region))])
