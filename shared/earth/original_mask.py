"""Preset `original`: the mask of the 2019 system's published model, as an Earth Engine graph.

Its random forest saw four binary methods and so knew sixteen combinations; here they are a table
(`shared/models/original.json`).
"""

from collections.abc import Sequence

import ee

from shared.earth.methods import MethodRules, method_bands
from shared.models import OriginalModel

#: Methods that look at the image alone, which come first; the others need a background.
TREES = 2


def original_mask(image: ee.Image, scenes: ee.ImageCollection, model: OriginalModel) -> ee.Image:
    """Return bands `cloud_probability` (uint8, %), `class` (uint8) and `agreement` (uint8, %).

    `class`: 0 clear, 1 cloud: the original knew no others. `agreement` is the share of the methods
    that say what the mask says. Where there is no background the trees decide alone. All are
    masked where the image has no data. The property `background_images` is the number of images
    that the first comparing method had.
    """
    methods = list(model.methods)
    found = method_bands(image, scenes, methods, MethodRules())
    said = found.select(methods)
    alone = _looked_up(said.select(methods[:TREES]), model.without_background)
    probability = _looked_up(said, model.probabilities).unmask(alone, False)
    cloud = probability.gte(model.cutoff)
    agreement = said.eq(cloud).reduce(ee.Reducer.mean())
    return (
        ee.Image.cat(
            probability.multiply(100).round().toByte().rename("cloud_probability"),
            cloud.toByte().rename("class"),
            agreement.multiply(100).round().toByte().rename("agreement"),
        )
        .updateMask(image.select(list(model.bands)).mask().reduce(ee.Reducer.min()))
        .set("background_images", found.get(f"{methods[TREES]}_images"))
    )


def _looked_up(said: ee.Image, probabilities: Sequence[float]) -> ee.Image:
    """Return the probability of each pixel's combination; the first band is the lowest bit."""
    weights = [2**position for position in range(len(probabilities).bit_length() - 1)]
    combination = said.multiply(ee.Image.constant(weights)).reduce(ee.Reducer.sum())
    valid = said.mask().reduce(ee.Reducer.min())
    numbers = list(range(len(probabilities)))
    return combination.updateMask(valid).remap(numbers, list(probabilities))
