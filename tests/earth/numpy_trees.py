"""The decision trees of Hollstein et al. 2016, written down once more for numpy."""

import ee
import numpy as np

from shared.earth.decision_trees import TREE1, TREE2, TREE3, decision_tree

from .conftest import COLLECTION, pixels


def tree1(b):
    dark = (b["B3"] < 0.325) & (b["B8A"] < 0.166) & (b["B10"] > 0.011)
    bright = b["B3"] > 0.325
    snowless = bright & (b["B11"] > 0.267) & (b["B7"] < 1.544)
    return dark | (bright & (b["B11"] < 0.267) & (b["B4"] < 0.674)) | snowless


def tree2(b):
    dark = (b["B8A"] > 0.156) & (b["B3"] < 0.333) & (b["B10"] / b["B2"] > 0.065)
    bright = (b["B8A"] > 0.156) & (b["B3"] > 0.333) & (b["B6"] / b["B11"] < 4.292)
    return dark | bright


def tree3(b):
    low = (b["B8A"] > 0.051) & (b["B8A"] < 0.181)
    high, blue = b["B8A"] > 0.181, b["B1"] < 0.331
    aerosol = b["B1"] > 0.331
    return (
        (low & (b["B12"] < 0.097) & (b["B10"] > 0.011))
        | (high & blue & (b["B10"] < 0.012) & (b["B2"] > 0.271))
        | (high & blue & (b["B10"] > 0.012))
        | (high & aerosol & (b["B11"] < 0.239) & (b["B2"] < 0.711))
        | (high & aerosol & (b["B11"] > 0.239) & (b["B5"] < 1.393))
    )


def check_trees(scenes, image_id):
    bands = scenes.reflectance(image_id)
    valid = np.isfinite(np.stack(list(bands.values()))).all(axis=0)
    reflectance = ee.Image(f"{COLLECTION}/{image_id}").toDouble().divide(10_000)
    for text, direct in ((TREE1, tree1), (TREE2, tree2), (TREE3, tree3)):
        got = pixels(decision_tree(reflectance, text), scenes.grid(image_id))
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = np.where(valid, direct(bands), -1)
        np.testing.assert_array_equal(got, expected)
