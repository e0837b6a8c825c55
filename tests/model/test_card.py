"""The model card says what was measured, in the same words for the same numbers."""

from datetime import date

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from typer.testing import CliRunner

from cli.main import app
from model.baselines import COLOURED, DEFAULT, PROBABILITY
from model.card import Studied, card, pixel_classes, write_card
from model.compare import Compared, judged
from model.curves import calibration, probability
from model.judge import confusion, scores
from model.real import Flagged
from model.simulated import simulated
from shared import models
from shared.domain.classes import NODATA

TODAY = date(2026, 11, 22)
SIDE = 24


def scene(seed, **wrong):
    rng = np.random.default_rng(seed)
    truth = rng.choice((0, 1, 2, 3, 4), (SIDE, SIDE)).astype(np.uint8)
    truth[0] = NODATA
    cloudy = np.isin(truth, (1, 4))
    percent = np.clip(rng.normal(25 + 50 * cloudy, 20), 0, 100).astype(np.uint8)
    colours = {name: rng.integers(0, 255, truth.shape, np.uint8) for name in COLOURED}
    masks = {
        name: np.where(rng.random(truth.shape) < share, (~cloudy).astype(np.uint8), truth)
        for name, share in wrong.items()
    }
    return Compared(f"region {seed % 2}", f"image-{seed}", truth, masks,
                    {PROBABILITY: percent, **colours})  # fmt: skip


@pytest.fixture(scope="module")
def found():
    shares = {DEFAULT: 0.1, "worse": 0.3, "better": 0.02}
    return judged([scene(seed, **shares) for seed in range(8)])


@pytest.fixture(scope="module")
def every():
    return [
        Studied(
            models.load(name),
            {"pixels": 1234, "trees": 48, "leaves": 400},
            scores(np.arange(5), np.arange(5)),
            confusion(np.arange(5), np.arange(5)),
            {
                "learnt": 100,
                "judged": 50,
                "importances": [{"feature": "hot", "gini": 0.5, "permutation": 0.1234}],
                "by_trees": [{"trees": n, "cloud": 0.9, "classes": 0.8} for n in (1, 48)],
                "by_features": [{"features": n, "cloud": 0.7, "classes": 0.6} for n in (1, 21)],
            },
        )
        for name in models.NAMES
    ]


REAL = [Flagged("a folder", "an image", 0.995, 0.0, 0.25, None, None)]


def text_of(every, found, real=REAL):
    return card(
        TODAY, every, found, real, {"13 bands": probability(found.scenes, PROBABILITY)}, "p"
    )


def test_the_card_says_what_was_measured(every, found):
    text = text_of(every, found)
    assert "22 November 2026" in text
    for model in map(models.load, models.NAMES):
        assert model.asset_name in text
        assert model.trained_on in text
        assert f"| {model.cutoffs['cloud']} |" in text
    assert "| hot | 0.5 | 0.1234 |" in text
    assert "not surely higher than that of: better. It is lower than that of: better." in text
    assert "| a folder | an image | 99.5 % | 0.0 % | 25.0 % | – | – |" in text
    known = np.concatenate([x.truth.ravel() for x in found.scenes]) != NODATA
    assert f"{known.sum():,} pixels of 10 m" in " ".join(text.split())


def test_the_card_is_the_same_for_the_same_numbers(every, found):
    assert text_of(every, found) == text_of(every, found)


def test_a_mask_that_beats_all_is_said_to(every):
    found = judged([scene(seed, **{DEFAULT: 0.02, "worse": 0.3}) for seed in range(8)])
    assert "higher than that of every baseline, by more than chance" in text_of(every, found)
    assert "None were given" in text_of(every, found, [])


def test_probabilities_are_judged_as_scikit_learn_does(found):
    one = probability(found.scenes, PROBABILITY)
    truth = np.concatenate([x.truth[1:].ravel() for x in found.scenes])
    percent = np.concatenate([x.bands[PROBABILITY][1:].ravel() for x in found.scenes])
    cloudy = np.isin(truth, (1, 4))
    assert one.area == pytest.approx(roc_auc_score(cloudy, percent))
    assert one.average_precision == pytest.approx(average_precision_score(cloudy, percent))
    bins = calibration(one)
    assert sum(number for *_, number in bins) == len(truth)
    inside = (percent >= 30) & (percent < 40)
    assert (percent[inside].mean() / 100, cloudy[inside].mean(), inside.sum()) == pytest.approx(
        bins[3]
    )
    assert probability(found.scenes, "no such band") is None


def test_a_published_model_is_judged_by_its_own_forest():
    samples = simulated(2000, 99)
    for name in models.NAMES:
        found = pixel_classes(models.load(name), samples)
        assert (found == samples.classes).mean() > 0.7


def test_pictures_are_small_and_the_same_each_time(every, found, tmp_path):
    pytest.importorskip("matplotlib")
    for folder in ("once", "again"):
        (tmp_path / folder).mkdir()
        write_card(tmp_path / folder / "card.md", TODAY, every, found, REAL)
    once, again = (sorted((tmp_path / folder / "card").iterdir()) for folder in ("once", "again"))
    assert [path.name for path in once] == [
        *("calibration.png", "curves.png", "scenes.png", "size.png")
    ]
    text = (tmp_path / "once" / "card.md").read_text()
    for a, b in zip(once, again, strict=True):
        assert 1000 < a.stat().st_size < 60_000
        assert a.read_bytes() == b.read_bytes()
        assert f"](card/{a.name})" in text


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["model", "card"])
    assert result.exit_code == 2
    assert "matplotlib is missing: pip install 'verdure[card]'" in result.stderr
