"""How much brighter an image is than its background: scores of cloud, by clusters or pixels.

Gómez-Chova et al. 2017 (doi 10.1117/1.JRS.11.015005) and Mateo-García et al. 2018
(doi 10.3390/rs10071079). Everything is TOA reflectance from 0 to 1.
"""

from dataclasses import dataclass

import ee

#: Sentinel-2's bands, all of which the difference to the background is clustered over.
ALL_BANDS = (
    *("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"),
)  # fmt: skip

#: Bands of the scores.
DIFFERENCE, BRIGHTNESS = "difference", "brightness"

#: The cluster of what no pixel of the region belongs to.
NO_CLUSTER = -1

#: Pixels of a Sentinel-2 tile at 10 m, and some more: Earth Engine's own limit is less.
MAX_PIXELS = 200_000_000


@dataclass(frozen=True)
class ScoreRules:
    """How scores are made and cut; reflectances from 0 to 1, published values.

    `samples` pixels of the difference over `bands`, at `scale` metres, are standardised and
    learnt as `clusters` (0: every pixel is scored by itself). A cluster's scores are those of its
    means over `visible`. Cloud is what is above `difference` and `brightness`, opened with a
    circle of `opening` pixels.
    """

    bands: tuple[str, ...] = ALL_BANDS
    visible: tuple[str, ...] = ("B2", "B3", "B4")
    difference: float = 0.04
    brightness: float = 0.175
    clusters: int = 10
    samples: int = 5_000
    scale: float = 30
    opening: float = 2
    seed: int = 0


def scores(
    reflectance: ee.Image, background: ee.Image, region: ee.Geometry, rules: ScoreRules
) -> ee.Image:
    """Return bands `difference` and `brightness`, masked where there is no background.

    Difference is the root mean square difference to the background, negative where that is
    brighter (in the mean over bands); brightness the root mean square reflectance.
    """
    now = reflectance.select(rules.bands)
    if rules.clusters == 0:
        visible = now.select(rules.visible)
        return pixel_scores(visible, visible.subtract(background.select(rules.visible)))
    difference = now.subtract(background.select(rules.bands))
    return cluster_scores(now, difference, assign(difference, region, rules), region, rules)


def pixel_scores(reflectance: ee.Image, difference: ee.Image) -> ee.Image:
    """Return every pixel's scores, each image's bands taken together."""
    rose = difference.pow(2).reduce(ee.Reducer.mean()).sqrt()
    sign = difference.reduce(ee.Reducer.mean()).signum()
    bright = reflectance.pow(2).reduce(ee.Reducer.mean()).sqrt()
    scored = rose.multiply(sign).rename(DIFFERENCE).addBands(bright.rename(BRIGHTNESS))
    return scored.updateMask(difference.mask().reduce(ee.Reducer.min()))


def assign(difference: ee.Image, region: ee.Geometry, rules: ScoreRules) -> ee.Image:
    """Return the number of each pixel's cluster, learnt from a sample of the region."""
    bands = list(rules.bands)
    options = {
        "region": region,
        "projection": difference.select(0).projection(),
        "scale": rules.scale,
        "numPixels": rules.samples,
        "seed": rules.seed,
    }
    statistics = (
        ee.Reducer.mean().combine(ee.Reducer.stdDev(), sharedInputs=True).repeat(len(bands))
    )
    found = _never_empty(difference.sample(**options), bands).reduceColumns(statistics, bands)
    centre = ee.Image.constant(ee.List(found.get("mean")))
    # A band that does not vary tells nothing, whatever it is divided by.
    spread = ee.Image.constant(ee.List(found.get("stdDev")))
    standard = difference.subtract(centre).divide(spread.add(spread.eq(0)))
    # The same seed, the same pixels.
    training = _never_empty(standard.sample(**options), bands)
    clusterer = ee.Clusterer.wekaKMeans(nClusters=rules.clusters, seed=rules.seed)
    return standard.cluster(clusterer.train(training, bands)).rename("cluster")


def _never_empty(sample: ee.FeatureCollection, bands: list[str]) -> ee.FeatureCollection:
    """Return the sample, or one feature of zeros: nothing can be learnt of an empty one.

    It is empty where there is no background, or no valid pixel; then nothing has scores either.
    """
    zeros = ee.Feature(None, dict.fromkeys(bands, 0)).set("sampled", sample.size())
    return sample.merge(ee.FeatureCollection([zeros]).filter(ee.Filter.eq("sampled", 0)))


def cluster_scores(
    reflectance: ee.Image,
    difference: ee.Image,
    clusters: ee.Image,
    region: ee.Geometry,
    rules: ScoreRules,
) -> ee.Image:
    """Return each pixel's cluster's scores: those of the cluster's means over the region."""
    visible = list(rules.visible)
    count = len(visible)
    values = difference.select(visible).addBands(reflectance.select(visible)).addBands(clusters)
    found = values.reduceRegion(
        reducer=ee.Reducer.mean().unweighted().repeat(2 * count).group(2 * count, "cluster"),
        geometry=region,
        crs=difference.select(0).projection().crs(),
        scale=rules.scale,
        maxPixels=MAX_PIXELS,
    )
    nobody = {"cluster": NO_CLUSTER, "mean": [0] * (2 * count)}
    groups = ee.List(found.get("groups")).add(nobody)
    numbers = groups.map(lambda group: ee.Dictionary(group).get("cluster"))
    means = ee.Array(groups.map(lambda group: ee.Dictionary(group).get("mean")))
    rose = means.slice(1, 0, count)
    sign = rose.reduce(ee.Reducer.mean(), [1]).signum()
    bright = _root_mean_square(means.slice(1, count))

    def painted(scores: ee.Array, name: str) -> ee.Image:
        return clusters.remap(numbers, scores.project([0]).toList()).rename(name)

    return painted(_root_mean_square(rose).multiply(sign), DIFFERENCE).addBands(
        painted(bright, BRIGHTNESS)
    )


def _root_mean_square(rows: ee.Array) -> ee.Array:
    return rows.pow(2).reduce(ee.Reducer.mean(), [1]).sqrt()


def cloudy(scored: ee.Image, rules: ScoreRules) -> ee.Image:
    """Return 1 where scores say cloud and a circle of cloud fits, else 0, valid as the scores.

    Masked pixels neither erode cloud nor let it grow.
    """
    above = (
        scored.select(DIFFERENCE)
        .gt(rules.difference)
        .And(scored.select(BRIGHTNESS).gt(rules.brightness))
    )
    circle = ee.Kernel.circle(rules.opening, "pixels")
    eroded = above.reduceNeighborhood(ee.Reducer.min(), circle, skipMasked=True)
    return eroded.reduceNeighborhood(ee.Reducer.max(), circle, skipMasked=True)
