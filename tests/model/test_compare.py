"""Comparing masks: scores, intervals, preset original's table, and what is kept from run to run."""

import importlib.util
import json

import numpy as np
import pytest
import rasterio
from sklearn.metrics import f1_score
from typer.testing import CliRunner

import model.masking
from cli.main import app
from emulator.scenes import synthetic
from emulator.scenes.landscape import KINDS
from model import original, regions
from model.baselines import (
    DEFAULT,
    LEARNT_HERE,
    OWN,
    PRESET_ORIGINAL,
    QA60,
    S2CLOUDLESS_PROBABILITY,
    baseline_classes,
    original_learnt_here,
)
from model.compare import (
    REGIONS,
    Compared,
    Place,
    baselines,
    best_baseline,
    compare,
    comparison_figures,
    judged,
)
from model.intervals import MEASURES, count, interval, measures, resampled
from model.judge import scores
from model.pixels import read
from model.sheets import write_sheet
from shared import models
from shared.domain.classes import NODATA
from shared.earth.methods import METHODS, ORIGINAL

CLASSES = (0, 1, 2, 3, 4)
CLOUD_F1 = MEASURES.index("cloud_f1")


def classes(seed, size=400):
    return np.random.default_rng(seed).choice(CLASSES, size)


def spoilt(truth, share, seed):
    """Return the truth with a share of the pixels drawn anew."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(truth.shape) < share, rng.choice(CLASSES, truth.shape), truth)


def scene(seed, place="here", **shares):
    """A scene and masks of it that are wrong in some shares of the pixels."""
    truth = classes(seed).reshape(20, 20)
    masks = {name: spoilt(truth, share, seed + 100) for name, share in shares.items()}
    return Compared(place, f"image-{seed}", truth, masks, {})


def test_measures_are_those_of_the_judge_for_one_scene_and_for_all():
    pairs = [(classes(seed), classes(seed + 10)) for seed in range(4)]
    counts = np.array([count(*pair) for pair in pairs])
    for pair, values in zip(pairs, measures(counts), strict=True):
        assert dict(zip(MEASURES, values, strict=True)) == pytest.approx(scores(*pair))
    found, truth = (np.concatenate(side) for side in zip(*pairs, strict=True))
    pooled = measures(counts.sum(0))
    assert dict(zip(MEASURES, pooled, strict=True)) == pytest.approx(scores(found, truth))


def test_measures_without_a_pixel_are_nan():
    clear = np.zeros(10, int)
    values = dict(zip(MEASURES, measures(count(clear, clear)), strict=True))
    assert np.isnan(values["cloud_f1"])
    assert np.isnan(values["shadow_recall"])
    assert values["false_cloud"] == 0


def test_intervals_of_differences_are_of_the_same_scenes():
    """Scenes differ much, masks little: unpaired intervals would say nothing."""
    truths = [classes(seed) for seed in range(20)]
    shares = np.linspace(0.05, 0.9, 20)
    one, other = (
        np.array([
            count(spoilt(truth, min(1, share * factor), i), truth)
            for i, (truth, share) in enumerate(zip(truths, shares, strict=True))
        ])
        for factor in (1, 1.1)
    )  # fmt: skip
    drawn = resampled(np.stack([one, other]), np.array(["a"] * 20))[:, :, CLOUD_F1]
    low, high = interval(drawn[:, 0] - drawn[:, 1])
    assert 0 < low < high
    alone = [interval(drawn[:, i]) for i in (0, 1)]
    assert alone[0][0] < alone[1][1]
    assert high - low < 0.5 * (alone[0][1] - alone[0][0])


def test_resampling_draws_as_many_scenes_of_each_place():
    counts = np.array([[count(spoilt(classes(s), 0.1 * s, s), classes(s)) for s in range(6)]])
    alone = resampled(counts, np.arange(6))
    assert np.ptp(alone[:, 0, CLOUD_F1]) == 0  # one scene a place: nothing is left to chance
    pairs = resampled(counts, np.array([0, 0, 1, 1, 2, 2]))
    together = resampled(counts, np.zeros(6))
    assert 0 < np.std(pairs[:, 0, CLOUD_F1]) < np.std(together[:, 0, CLOUD_F1])
    assert np.array_equal(together, resampled(counts, np.zeros(6)))


def test_interval_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    truths = [classes(seed) for seed in range(25)]
    rows = np.array([count(spoilt(t, i / 25, i), t) for i, t in enumerate(truths)])
    low, high = interval(resampled(rows[None], np.zeros(25))[:, 0, CLOUD_F1])

    def pooled(chosen):
        return float(measures(rows[chosen.astype(int)].sum(0))[CLOUD_F1])

    other = stats.bootstrap(
        (np.arange(25),), pooled, n_resamples=2000, method="percentile", vectorized=False,
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert (low, high) == pytest.approx((other.low, other.high), abs=0.03)


def test_a_comparison_says_which_masks_are_better_and_by_how_much():
    shares = {DEFAULT: 0.1, "good": 0.05, "bad": 0.4, "silent": 0}
    scenes = [scene(seed, "ab"[seed % 2], **shares) for seed in range(12)]
    for one in scenes:
        one.masks["silent"] = np.full_like(one.truth, NODATA)
        one.truth[:2] = NODATA
    scenes[0].masks["rare"] = scenes[0].truth
    found = judged(scenes)
    assert found.names == (DEFAULT, "good", "bad")
    assert found.left_out["silent"] == "says nothing of any pixel"
    assert found.left_out["rare"] == "11 of 12 scenes have not its bands"
    truth = np.concatenate([x.truth[2:].ravel() for x in scenes])
    for i, name in enumerate(found.names):
        mask = np.concatenate([x.masks[name][2:].ravel() for x in scenes])
        expected = f1_score(np.isin(truth, (1, 4)), np.isin(mask, (1, 4)))
        assert found.measures[i, CLOUD_F1] == pytest.approx(expected)
    good, bad = (found.differences[i][CLOUD_F1] for i in (1, 2))
    assert good.low < good.value < good.high < 0 < bad.low < bad.value < bad.high
    shadow = MEASURES.index("shadow_f1")
    assert np.isfinite(found.measures[0, shadow])
    assert np.isnan(found.measures[1:, shadow]).all()  # baselines know no shadow
    assert found.confusion.sum() == len(truth)
    assert best_baseline(found, "cloud_f1") == "good"
    assert best_baseline(found, "shadow_f1") is None
    figures = comparison_figures(found)
    assert figures["default_cloud_f1"]["baseline_is"] == "good"
    assert figures["cloud_f1_over_bad"]["difference"] == round(bad.value, 4)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_few_scenes_are_compared_without_intervals():
    shares = {DEFAULT: 0.1, "bad": 0.4}
    two = judged([scene(seed, **shares) for seed in range(2)]).differences[1][CLOUD_F1]
    assert two.value > 0
    assert np.isnan([two.low, two.high]).all()
    # Of one scene a place nothing would vary: then scenes are drawn from all places.
    found = judged([scene(seed, f"place {seed}", **shares) for seed in range(6)])
    apart = found.differences[1][CLOUD_F1]
    assert apart.low < apart.value < apart.high


def test_a_table_of_preset_original_is_learnt_on_other_scenes():
    rng = np.random.default_rng(0)
    said, truths = [], []
    for _ in range(10):
        truth = rng.choice((0, 1, 255), 500)
        bands = {name: (rng.random(500) < 0.3 + 0.4 * (truth == 1)) * 1 for name in ORIGINAL}
        said.append(bands)
        truths.append(truth)
    found = original_learnt_here(said, truths)
    cloudy = np.ones(500, int)
    again = original_learnt_here(said, [cloudy if i in (3, 8) else t for i, t in enumerate(truths)])
    # A scene's own truth does not matter to it, nor does that of its fold.
    assert all(np.array_equal(found[i], again[i]) for i in (3, 8))
    assert not all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    # By hand: the share of cloud among the pixels of other folds with the same votes.
    i, pixel = 4, 7
    votes = [said[i][name][pixel] for name in ORIGINAL]
    alike = [
        truth[k]
        for j, (bands, truth) in enumerate(zip(said, truths, strict=True))
        for k in range(500)
        if j % 5 != i % 5 and truth[k] != 255 and [bands[name][k] for name in ORIGINAL] == votes
    ]
    assert found[i][pixel] == (np.mean(np.array(alike) == 1) >= 0.29)


def test_preset_original_is_the_projects_table():
    model = models.load_original()
    rng = np.random.default_rng(3)
    said = {name: rng.choice((0, 1, NODATA), (1, 300)).astype("u1") for name in ORIGINAL}
    said["tree3"][said["tree2"] == NODATA] = NODATA
    said["tree3"][said["tree2"] != NODATA] %= 2
    found = baseline_classes(said)[PRESET_ORIGINAL]
    for *votes, cloud in zip(*(said[name][0] for name in ORIGINAL), found[0], strict=True):
        bits = "".join(str(vote) for vote in reversed(votes))
        if votes[0] == NODATA:
            assert cloud == NODATA
        elif NODATA in votes:
            assert cloud == (model.without_background[int(bits[-2:], 2)] >= model.cutoff)
        else:
            assert cloud == (model.probabilities[int(bits, 2)] >= model.cutoff)


def test_s2cloudless_is_cloud_above_its_threshold_and_unknown_where_it_is():
    percent = np.array([[0, 40, 41, 100, 255]], np.uint8)
    found = baseline_classes({S2CLOUDLESS_PROBABILITY: percent})["s2cloudless"]
    assert found.tolist() == [[0, 0, 1, 1, 255]]


#: What the six-band model and QA60 need; without the others there is no decision tree, and no
#: cluster method, which would take most of the time.
SEVEN = ("B2", "B3", "B4", "B8", "B10", "B11", "B12")


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder = tmp_path_factory.mktemp("region")
    return Place("tiny", synthetic.write_region(folder, 3, 4, 24), folder / "truth")


@pytest.fixture(scope="module")
def place(region, tmp_path_factory):
    """The region with seven bands only."""
    folder = tmp_path_factory.mktemp("seven")
    content = json.loads((region.scenes / "scenes.json").read_text())
    kept = [content["bands"].index(band) + 1 for band in SEVEN]
    for entry in content["scenes"]:
        with rasterio.open(region.scenes / entry["file"]) as raster:
            profile = {**raster.profile, "count": len(SEVEN), "blockxsize": 32, "blockysize": 32}
            with rasterio.open(folder / entry["file"], "w", **profile) as target:
                target.write(raster.read(kept))
    (folder / "scenes.json").write_text(json.dumps({**content, "bands": SEVEN}))
    return Place("seven", folder, region.truth)


def test_masks_are_compared_and_kept(place, tmp_path, monkeypatch):
    found = compare([place], tmp_path, list)
    assert found.names == (DEFAULT, QA60)
    one = found.scenes[0]
    with rasterio.open(place.scenes / f"{one.image_id}.tif") as raster:
        bands = dict(zip(SEVEN, raster.read() / 1e4, strict=True))
    expected = ((bands["B2"] > 0.25) & (bands["B11"] > 0.15)) | (bands["B10"] > 0.012)
    # QA60 is of 60 m, this of 10 m.
    assert (expected == (one.masks[QA60] == 1))[one.truth != NODATA].mean() > 0.8
    write_sheet(found, tmp_path / "scenes.png")
    assert 1000 < (tmp_path / "scenes.png").stat().st_size < 60_000

    asked = []

    def counting(*arguments):
        asked.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(model.masking, "read", counting)
    again = compare([place], tmp_path, list)
    assert not asked
    np.testing.assert_array_equal(found.measures, again.measures)
    damaged = next((tmp_path / "masks").rglob("*-references-*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:50])
    again = compare([place], tmp_path, list)
    assert len(asked) == 1
    np.testing.assert_array_equal(found.measures, again.measures)


@pytest.mark.soak
def test_every_baseline_is_compared(region, tmp_path):
    found = compare([region], tmp_path, list)
    every = {*METHODS, *OWN, QA60, PRESET_ORIGINAL, LEARNT_HERE}
    assert every <= {*found.names, *found.left_out}
    assert {DEFAULT, "tree2", QA60, PRESET_ORIGINAL} <= set(found.names)
    assert len(baselines(found)) >= 3


def test_s2cloudless_is_said_to_be_left_out_where_it_is_not_installed():
    found = judged([scene(seed, **{DEFAULT: 0.1}) for seed in range(3)])
    installed = importlib.util.find_spec("s2cloudless") is not None
    assert (found.left_out.get("s2cloudless") == "is not installed (extra `clouds`)") != installed


def test_regions_have_clouds_of_their_own():
    assert set(REGIONS) == set(KINDS)
    assert len(set(REGIONS.values())) == len(REGIONS)


def test_nothing_is_learnt_from_the_regions_that_masks_are_compared_on():
    learnt = {seed for seeds in regions.REGIONS.values() for seed in seeds}
    table = set(range(original.SEED, original.SEED + len(KINDS)))
    assert learnt.isdisjoint(REGIONS.values())
    assert table.isdisjoint(REGIONS.values())
    assert learnt.isdisjoint(table)


def run(*options):
    return CliRunner().invoke(app, ["model", "compare", *map(str, options)])


def test_scenes_without_references_are_an_error_for_people(place, tmp_path):
    result = run("--scenes", place.scenes, "--out", tmp_path)
    assert result.exit_code == 2
    assert "--scenes is given 1 times and --reference 0 times" in result.stderr
    (tmp_path / "empty").mkdir()
    result = run("--scenes", place.scenes, "--reference", tmp_path / "empty", "--out", tmp_path)
    assert result.exit_code == 2
    assert "has no raster of an image of" in result.stderr
