"""Scores of cloud against the background: the graphs against numpy on the same files."""

import ee
import numpy as np
import pytest
from scipy import ndimage

from emulator.scenes.synthetic import write_region
from shared.earth.background import Selection, select_background
from shared.earth.methods import MethodRules, background_of, method_bands
from shared.earth.multitemporal import ALL_BANDS, ScoreRules, assign

from .conftest import COLLECTION, Scenes, connected, pixels

SIDE = 96  # pixels: a whole number of 30 m and of 60 m
VISIBLE = ["B2", "B3", "B4"]
#: Half cloudy, half cloudy in half a swath, and overcast but for 1 %.
PARTLY, CUT, OVERCAST = 20, 19, 44
TEN_METRES = MethodRules(scores=ScoreRules(scale=10))


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder = write_region(tmp_path_factory.mktemp("region"), size=SIDE)
    yield from connected(Scenes(folder), tmp_path_factory.mktemp("data"))


def bands_of(image, grid):
    """Return all bands of an image by name, NaN where masked."""
    filled = image.toDouble().unmask(-9999, False)
    request = {"expression": filled, "fileFormat": "NUMPY_NDARRAY", "grid": grid}
    array = ee.data.computePixels(request)
    return {name: np.where(array[name] == -9999, np.nan, array[name]) for name in array.dtype.names}


def id_of(region, index):
    return list(region.properties)[index]


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


def blocks(values, times):
    """Return the means of the valid pixels of blocks of `times` pixels."""
    rows, columns = (side // times for side in values.shape[-2:])
    parts = values.reshape(*values.shape[:-2], rows, times, columns, times)
    return np.nanmean(parts, axis=(-3, -1))


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


@pytest.mark.parametrize("index", [PARTLY, CUT, OVERCAST])
@pytest.mark.parametrize("name", ["percentile1", "percentile3", "persistence1", "persistence5"])
def test_cluster_scores_are_numpys_of_the_same_clusters(region, index, name):
    image_id, rules = id_of(region, index), TEN_METRES
    image, graph = difference_graph(image_id, name, rules)
    clusters = pixels(assign(graph, image.geometry(), rules.scores), region.grid(image_id))
    clusters = np.where(clusters == -1, np.nan, clusters)
    reflectance = region.reflectance(image_id)
    visible = [list(reflectance).index(band) for band in VISIBLE]
    now = np.stack(list(reflectance.values()))
    difference = now - predicted(region, image_id, name, rules)
    both = now[visible], difference[visible]
    rose, bright = cluster_scores(*both, clusters, (*both, clusters))
    got = bands_of(
        method_bands(image, ee.ImageCollection(COLLECTION), [name], rules), region.grid(image_id)
    )
    assert np.isfinite(clusters).sum() > 0.9 * np.isfinite(difference).all(axis=0).sum()
    np.testing.assert_allclose(got[f"{name}_difference"], rose, atol=1e-5)
    np.testing.assert_allclose(got[f"{name}_brightness"], bright, atol=1e-5)
    above = np.where(np.isnan(rose), np.nan, (rose > 0.04) & (bright > 0.175))
    np.testing.assert_array_equal(got[name], np.where(np.isnan(rose), np.nan, opened(above)))
