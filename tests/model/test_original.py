"""Preset original's table: what its forest would have learnt of four binary methods."""

import json

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from model.original import CUTOFF, SILENT, Votes, judge, tables, write
from shared import models
from shared.domain.classes import CLOUDY
from shared.earth.methods import ORIGINAL
from shared.errors import InvalidModel


def drawn(seed, pixels=4000):
    rng = np.random.default_rng(seed)
    classes = rng.choice(5, pixels, p=(0.5, 0.2, 0.1, 0.1, 0.1)).astype("u1")
    chance = np.where(np.isin(classes, CLOUDY)[:, None], (0.6, 0.8, 0.9, 0.7), (0.1, 0.3, 0.1, 0.2))
    return Votes((rng.random((pixels, 4)) < chance).astype("u1"), classes)


def learnt(said, cloudy):
    """Return a fully grown tree's probability of every combination, the first bit the lowest."""
    tree = DecisionTreeClassifier(class_weight="balanced").fit(said, cloudy)
    size = said.shape[1]
    every = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
    return tree.predict_proba(every)[:, 1]


def test_the_table_is_what_a_tree_learns():
    scenes = [drawn(seed) for seed in range(5)]
    every, trees = tables(scenes)
    said = np.concatenate([x.said for x in scenes])
    cloudy = np.isin(np.concatenate([x.classes for x in scenes]), CLOUDY)
    np.testing.assert_allclose(every, learnt(said, cloudy), atol=2e-2)
    np.testing.assert_allclose(trees, learnt(said[:, :2], cloudy), atol=1e-3)


def test_pixels_of_which_a_method_says_nothing_are_only_in_the_trees_table():
    scene, silent = drawn(1), drawn(2)
    silent.said[:, 2:] = SILENT
    every, trees = tables([scene, silent])
    np.testing.assert_array_equal(every, tables([scene])[0])
    assert not np.array_equal(trees, tables([scene])[1])


def test_what_is_written_is_read_back(tmp_path):
    scenes = [drawn(seed) for seed in range(5)]
    path = tmp_path / "original.json"
    write(scenes, "made-up pixels", path)
    model = models.load_original(path)
    assert (model.methods, model.cutoff) == (ORIGINAL, CUTOFF)
    np.testing.assert_allclose(model.probabilities, tables(scenes)[0], atol=1e-4)
    assert json.loads(path.read_text())["scores_on_other_scenes"] == judge(scenes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format is 2, expected 1"),
        ({"probabilities": [0.5]}, "probabilities are 1, expected one for each combination of 4"),
        ({"methods": None}, "is missing or wrong"),
    ],
)
def test_a_table_that_is_no_table_is_refused(tmp_path, changes, words):
    content = json.loads((models.FOLDER / "original.json").read_text())
    (tmp_path / "original.json").write_text(json.dumps({**content, **changes}))
    with pytest.raises(InvalidModel, match=words):
        models.load_original(tmp_path / "original.json")
