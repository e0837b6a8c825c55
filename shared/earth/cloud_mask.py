"""The cloud mask of one image, as an Earth Engine graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import ee

from shared.domain.classes import CLEAR, CLOUD, SHADOW, SNOW, THIN
from shared.domain.runs import MaskParameters, RunConfiguration
from shared.earth.background import background_images, median
from shared.earth.decision_trees import TREE2, TREE3, decision_tree
from shared.earth.features import ALL_BANDS, COMPARED, feature_image
from shared.earth.original_mask import original_mask
from shared.earth.reference_masks import BLIND_TO_SHADOW, CLOUDY_FROM, reference_bands
from shared.earth.shadows import COARSE, NONE, SEEN, UNSEEN, shading_clouds
from shared.models import CloudModel, OriginalModel

#: Sentinel-2 digital numbers per unit of reflectance (Earth Engine catalogue).
REFLECTANCE_SCALE = 10_000

#: Half the side of the square (metres) over which the forest's shares are averaged.
NEIGHBOURHOOD = 10

#: Half the side of the square (metres) whose mean counts as much as a pixel's own share of cloud:
#: where there are clouds there are more, and bright roofs stand alone.
SURROUNDINGS = 600

#: What surroundings add at most to a pixel's own shares of cloud and of snow: ground between clouds
#: is no cloud, but what looks like snow there may be ice cloud.
ADDED = 0.05

#: The forest's share of cloud from which one throws a shadow: thin clouds throw none that is seen.
THROWS_SHADOW = 0.25


@dataclass(frozen=True)
class Publication:
    """A cloud model and where it lives: a classifier asset's id, or the classifier itself."""

    model: CloudModel
    classifier: str | ee.Classifier

    def load(self) -> ee.Classifier:
        """Return the classifier, to put out the share of every class."""
        loaded = self.classifier
        if isinstance(loaded, str):
            loaded = ee.Classifier.load(loaded)
        return loaded.setOutputMode("MULTIPROBABILITY")


def cloud_mask(
    image: ee.Image,
    scenes: ee.ImageCollection | None,
    parameters: MaskParameters,
    used: Publication,
    inputs: Sequence[str] = (),
) -> ee.Image:
    """Return bands `cloud_probability` (uint8, %), `class` (uint8) and `agreement` (uint8, %).

    `class`: 0 clear, 1 cloud, 2 shadow, 3 snow, 4 thin cloud. All are masked where the image
    has no data. `agreement` is the share of the votes that say of cloud what the mask says: the
    forest, what is brighter than its background, the decision trees where the image has their
    bands, and `inputs` (shared.earth.reference_masks) where they have pixels. Without scenes (for
    an image without a date) there is no background. Properties: `background_images`, their
    number, and `<input>_present`, 1 or 0.
    """
    model = used.model
    # In double precision a digital number on a threshold divides to just that threshold.
    reflectance = image.select(list(model.bands)).toDouble().divide(REFLECTANCE_SCALE)
    background = None if scenes is None else background_of(image, scenes, parameters)
    features = feature_image(reflectance, model.bands, background)
    shares = _shares(features, used)
    around = _averaged(shares, NEIGHBOURHOOD).rename(shares.bandNames())
    probability = _calibrated(_in_surroundings(around, image), model)
    flagged = probability.gte(model.cutoffs["cloud"])
    shading = shading_clouds(_throwing(shares, model), image, dated=scenes is not None)
    classes = _classes(around, flagged, shading, model)
    votes = [flagged, *_other_votes(reflectance, features, model, parameters)]
    agreeing = [ee.Image.cat(votes).eq(flagged)]
    references = reference_bands(image, inputs) if inputs else None
    if references is not None:
        agreeing += _agreeing_references(references, inputs, flagged, classes)
    agreement = ee.Image.cat(agreeing).reduce(ee.Reducer.mean())
    mask = (
        ee.Image.cat(probability.multiply(100), classes, agreement.multiply(100))
        .round()
        .toByte()
        .rename("cloud_probability", "class", "agreement")
        .updateMask(features.mask().reduce(ee.Reducer.min()))
        .set("background_images", _background_images(image, scenes, parameters))
    )
    if references is None:
        return mask
    return ee.Image(mask.copyProperties(references, [f"{name}_present" for name in inputs]))


def background_of(
    image: ee.Image, scenes: ee.ImageCollection, parameters: MaskParameters
) -> ee.Image:
    """Return the reflectance of COMPARED bands in the clearest images around; masked if none."""
    around = _around(image, scenes, parameters)
    return median(around, image.select(list(COMPARED))).divide(REFLECTANCE_SCALE)


def _around(
    image: ee.Image, scenes: ee.ImageCollection, parameters: MaskParameters
) -> ee.ImageCollection:
    return background_images(
        image, scenes, parameters.background_days, parameters.background_images
    )


def _background_images(
    image: ee.Image, scenes: ee.ImageCollection | None, parameters: MaskParameters
) -> ee.Number | int:
    return 0 if scenes is None else _around(image, scenes, parameters).size()


def _shares(features: ee.Image, used: Publication) -> ee.Image:
    """Return the forest's share of each class as bands p0 … p4."""
    bands = [[f"p{number}" for number in used.model.classes]]
    return features.classify(used.load()).arrayFlatten(bands)


def _share(number: int) -> str:
    """Return the share of a class, in an expression of all shares."""
    return f"b('p{number}')"


def _cloudy(shares: ee.Image) -> ee.Image:
    return shares.expression(f"{_share(CLOUD)} + {_share(THIN)}")


def _averaged(values: ee.Image, metres: float) -> ee.Image:
    """Return the means over squares whose half side is `metres`."""
    square = ee.Kernel.square(metres, "meters")
    return values.reduceNeighborhood(ee.Reducer.mean(), square, optimization="boxcar")


def _in_surroundings(shares: ee.Image, image: ee.Image) -> ee.Image:
    """Return the mean of a pixel's share of cloud and of that around it, which is of COARSE pixels.

    It is above the pixel's own share of cloud and snow by ADDED at most.
    """
    cloudy = _cloudy(shares)
    wide = _averaged(cloudy, SURROUNDINGS)
    wide = wide.reproject(image.select(0).projection().atScale(COARSE))
    mean = cloudy.add(wide.unmask(cloudy, False)).divide(2)
    return mean.min(cloudy.add(shares.select(f"p{SNOW}")).add(ADDED))


def _throwing(shares: ee.Image, model: CloudModel) -> ee.Image:
    """Return where clouds throw shadows, by each pixel alone: it is asked of coarse ones."""
    return shares.expression(
        f"probability >= {model.cutoffs['cloud']} && {_share(CLOUD)} >= {THROWS_SHADOW}",
        {"probability": _calibrated(_cloudy(shares), model)},
    )


def _calibrated(share: ee.Image, model: CloudModel) -> ee.Image:
    """Return the probability that a forest's share of cloud and thin cloud stands for."""
    points = [list(axis) for axis in zip(*model.calibration, strict=True)]
    return share.interpolate(points[0], points[1], "clamp")


def _classes(shares: ee.Image, flagged: ee.Image, shading: ee.Image, model: CloudModel) -> ee.Image:
    """Return the class: cloud before snow and shadow, of which the likelier.

    A shadow must be the surer, the less is known of a cloud that throws it.
    """
    least = {NONE: "shadow_alone", UNSEEN: "shadow_unseen", SEEN: "shadow"}
    cloud, shadow, snow, thin = (_share(number) for number in (CLOUD, SHADOW, SNOW, THIN))
    return shares.expression(
        f"flagged ? ({thin} > {cloud} ? {THIN} : {CLOUD})"
        f" : {snow} >= {model.cutoffs['snow']} && ({shadow} < least || {shadow} <= {snow}) ? {SNOW}"
        f" : {shadow} >= least ? {SHADOW} : {CLEAR}",
        {
            "flagged": flagged,
            "least": shading.remap(list(least), [model.cutoffs[name] for name in least.values()]),
        },
    )


def _other_votes(
    reflectance: ee.Image, features: ee.Image, model: CloudModel, parameters: MaskParameters
) -> list[ee.Image]:
    """Return what the inputs beside the forest say of cloud (Mateo-García et al. 2018)."""
    brightened = features.expression(
        f"rise > {parameters.difference} && b('visible') > {parameters.brightness}",
        {"rise": features.select("rise_B2", "rise_B4").reduce(ee.Reducer.mean())},
    )
    if model.bands != ALL_BANDS:
        return [brightened]
    return [brightened, *(decision_tree(reflectance, tree) for tree in (TREE2, TREE3))]


def _agreeing_references(
    references: ee.Image, inputs: Sequence[str], flagged: ee.Image, classes: ee.Image
) -> list[ee.Image]:
    """Return for each input where it says what the mask says, masked where it says nothing."""
    occluded = flagged.Or(classes.eq(SHADOW))
    return [
        references.select(name)
        .gte(CLOUDY_FROM[name])
        .eq(occluded if name in BLIND_TO_SHADOW else flagged)
        for name in inputs
    ]


def mask_of(
    image: ee.Image,
    run: RunConfiguration,
    used: Publication | OriginalModel,
    inputs: Sequence[str] = (),
) -> ee.Image:
    """Return the mask of an image of a run's collection, masked outside the run's land."""
    scenes = ee.ImageCollection(run.collection)
    if isinstance(used, OriginalModel):
        mask = original_mask(image, scenes, used)
    else:
        mask = cloud_mask(image, scenes, run.mask, used, inputs)
    if run.land is not None:
        mask = mask.clipToCollection(region_of(run.land))
    return mask


def region_of(region: dict[str, object] | str) -> ee.FeatureCollection:
    """Return a region, GeoJSON or a table's asset id, as a feature collection."""
    if isinstance(region, str):
        return ee.FeatureCollection(region)
    return ee.FeatureCollection([ee.Feature(ee.Geometry(region))])
