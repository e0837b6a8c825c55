"""Scores of cloud against the background: the graphs against numpy on the same files."""

from dataclasses import replace

import ee
import numpy as np
import pytest
from scipy import ndimage

from emulator.scenes.synthetic import write_region
from shared.earth.background import Selection, select_background
from shared.earth.methods import MethodRules, background_of, method_bands
from shared.earth.multitemporal import ALL_BANDS, ScoreRules, assign

from .conftest import COLLECTION, Scenes, band_values, connected, pixels
from .truth import cut, overcast, partly

SIDE = 96  # pixels: a whole number of 30 m and of 60 m
VISIBLE = slice(1, 4)  # B2, B3, B4
TEN_METRES = MethodRules(scores=ScoreRules(scale=10))


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder = write_region(tmp_path_factory.mktemp("region"), size=SIDE)
    yield from connected(Scenes(folder), tmp_path_factory.mktemp("data"))


def order_of_time(region, image_id, ids):
    """Return ids as `persistence` takes them: back into the past, then on into the future."""
    time = region.properties[image_id]["system:time_start"]

    def place(other):
        age = time - region.properties[other]["system:time_start"]
        return (age < 0, abs(age))

    return sorted(ids, key=place)


def predicted(region, image_id, name, rules):
    """Return a method's background: bands, rows, columns."""
    selection, image = Selection(int(name[-1])), ee.Image(f"{COLLECTION}/{image_id}")
    chosen = select_background(image, ee.ImageCollection(COLLECTION), selection, rules.background)
    ids = chosen.aggregate_array("system:index").getInfo()
    stack = {i: np.stack(list(region.reflectance(i).values())) for i in ids}
    if name.startswith("persistence"):
        return stack[order_of_time(region, image_id, ids)[0]]
    return np.nanmedian(np.stack(list(stack.values())), axis=0)


def at_30_metres(reflectance):
    """Return 30 m pixels as Earth Engine reads them: the nearest of the level of 20 m.

    That has the means of 2 × 2 pixels, as whole digital numbers.
    """
    rows, columns = (side // 2 for side in reflectance.shape[-2:])
    blocks = reflectance.reshape(-1, rows, 2, columns, 2)
    level = np.rint(np.round(10_000 * blocks).mean(axis=(2, 4))) / 10_000
    nearest = (3 * np.arange(SIDE // 3) + 1) // 2
    return level[:, nearest][:, :, nearest]


def root_mean_square(means):
    return np.sqrt((means**2).mean(axis=0))


def cluster_scores(now, difference, clusters, means_of):
    """Return both scores by the definition; means are over `means_of`'s pixels of a cluster."""
    rose, bright = np.full(clusters.shape, np.nan), np.full(clusters.shape, np.nan)
    coarse_now, coarse_difference, coarse_clusters = means_of
    for cluster in np.unique(clusters[np.isfinite(clusters)]):
        members = coarse_clusters == cluster
        mean = coarse_difference[:, members].mean(axis=1)
        rose[clusters == cluster] = root_mean_square(mean) * np.sign(mean.mean())
        bright[clusters == cluster] = root_mean_square(coarse_now[:, members].mean(axis=1))
    return rose, bright


def difference_graph(image_id, name, rules):
    image = ee.Image(f"{COLLECTION}/{image_id}")
    background = background_of(image, ee.ImageCollection(COLLECTION), name, rules)
    now = image.toDouble().divide(10_000).select(ALL_BANDS)
    return image, now.subtract(background)


def opened(binary):
    """Erode and dilate by a circle of two pixels; what is masked neither erodes nor grows."""
    y, x = np.mgrid[-2:3, -2:3]
    circle = x**2 + y**2 <= 4
    eroded = ndimage.minimum_filter(
        np.where(np.isnan(binary), 1, binary), footprint=circle, mode="constant", cval=1
    )
    return ndimage.maximum_filter(
        np.where(np.isnan(binary), 0, eroded), footprint=circle, mode="constant", cval=0
    )


CASES = [
    ("percentile1", partly), ("percentile1", cut), ("percentile1", overcast),
    ("percentile3", cut), ("persistence1", cut), ("persistence5", overcast),
]  # fmt: skip


def seen(region, image_id, name, rules):
    """Return an image's reflectance and its difference to a method's background."""
    now = np.stack(list(region.reflectance(image_id).values()))
    return now, now - predicted(region, image_id, name, rules)


@pytest.mark.parametrize(("name", "which"), CASES)
def test_cluster_scores_are_numpys_of_the_same_clusters(region, name, which):
    image_id, rules = which(region), TEN_METRES
    image, graph = difference_graph(image_id, name, rules)
    clusters = pixels(assign(graph, image.geometry(), rules.scores), region.grid(image_id))
    clusters = np.where(clusters == -1, np.nan, clusters)
    now, difference = seen(region, image_id, name, rules)
    both = now[VISIBLE], difference[VISIBLE]
    rose, bright = cluster_scores(*both, clusters, (*both, clusters))
    got = band_values(
        method_bands(image, ee.ImageCollection(COLLECTION), [name], rules), region.grid(image_id)
    )
    assert np.isfinite(clusters).sum() > 0.9 * np.isfinite(difference).all(axis=0).sum()
    np.testing.assert_allclose(got[f"{name}_difference"], rose, atol=1e-5)
    np.testing.assert_allclose(got[f"{name}_brightness"], bright, atol=1e-5)
    above = np.where(np.isnan(rose), np.nan, (rose > 0.04) & (bright > 0.175))
    np.testing.assert_array_equal(got[name], np.where(np.isnan(rose), np.nan, opened(above)))


def test_a_clusters_means_are_over_pixels_of_30_m(region):
    name, rules, image_id = "persistence1", MethodRules(), partly(region)
    image, graph = difference_graph(image_id, name, rules)
    fine, coarse = region.grid(image_id), coarser(region.grid(image_id), 3)
    assigned = assign(graph, image.geometry(), rules.scores)
    now, difference = seen(region, image_id, name, rules)
    coarse_now = at_30_metres(now)[VISIBLE]
    coarse_difference = coarse_now - at_30_metres(now - difference)[VISIBLE]
    means_of = (coarse_now, coarse_difference, pixels(assigned, coarse))
    both = now[VISIBLE], difference[VISIBLE]
    clusters = pixels(assigned, fine)
    rose, bright = cluster_scores(*both, np.where(clusters == -1, np.nan, clusters), means_of)
    got = band_values(method_bands(image, ee.ImageCollection(COLLECTION), [name], rules), fine)
    np.testing.assert_allclose(got[f"{name}_difference"], rose, atol=1e-5)
    np.testing.assert_allclose(got[f"{name}_brightness"], bright, atol=1e-5)


def coarser(grid, times):
    size, affine = grid["dimensions"], grid["affineTransform"]
    return {
        **grid,
        "dimensions": {side: pixels // times for side, pixels in size.items()},
        "affineTransform": {
            **affine,
            "scaleX": affine["scaleX"] * times,
            "scaleY": affine["scaleY"] * times,
        },
    }


def test_without_clusters_every_pixel_is_scored_by_itself(region):
    name, image_id = "percentile5", cut(region)
    rules = replace(TEN_METRES, scores=ScoreRules(clusters=0))
    now, difference = seen(region, image_id, name, rules)
    difference, now = difference[VISIBLE], now[VISIBLE]
    valid = np.isfinite(difference).all(axis=0)
    with np.errstate(invalid="ignore"):
        rose = root_mean_square(difference) * np.sign(difference.mean(axis=0))
        bright = np.where(valid, root_mean_square(now), np.nan)
    image = ee.Image(f"{COLLECTION}/{image_id}")
    got = band_values(
        method_bands(image, ee.ImageCollection(COLLECTION), [name], rules), region.grid(image_id)
    )
    # Where differences add up to nothing, the last digit decides on the sign.
    signed = ~(np.abs(difference.mean(axis=0)) < 1e-12)
    np.testing.assert_allclose(got[f"{name}_difference"][signed], rose[signed], atol=1e-9)
    np.testing.assert_allclose(got[f"{name}_brightness"], bright, atol=1e-9)


def test_the_clusters_are_learnt_of_the_standardised_sample(region):
    """Of 10 clusters all are used, each pixel's centre being the nearest of the scaled ones."""
    rules = TEN_METRES.scores
    image_id = partly(region)
    image, graph = difference_graph(image_id, "persistence1", TEN_METRES)
    clusters = pixels(assign(graph, image.geometry(), rules), region.grid(image_id))
    _, difference = seen(region, image_id, "persistence1", TEN_METRES)
    rows = difference.reshape(len(difference), -1).T
    members = clusters.ravel().astype(int)
    assert set(members) == set(range(rules.clusters))
    scaled = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    centres = np.stack([scaled[members == c].mean(axis=0) for c in range(rules.clusters)])
    nearest = ((scaled[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    # The centres are those of a sample of half of the pixels.
    assert (nearest == members).mean() > 0.95
