"""Labelled pixels from files, how many of them are taken, and the cut-off they lead to."""

import csv
import json

import h5py
import numpy as np
import pytest

from model.build import Judged, UnusableSamples, calibrate
from model.forest import ForestSize
from model.labels import read_labels
from model.purposes import COST_RATIOS, Purpose, cheapest, curve, purpose_of
from model.samples import Samples, stratified
from model.simulated import simulated
from model.study import TREES, study
from model.train import build_with_report, calibrated
from shared.domain.classes import CLEAR, CLOUD, CLOUDY, SHADOW, SNOW, THIN
from shared.earth.features import ALL_BANDS, COMPARED, SIX_BANDS
from shared.errors import InvalidConfiguration


def write_csv(path, changes=(), drop=(), lines=30):
    """Write a table of six-band pixels of three scenes; changes are (line, column, text)."""
    columns = [name for name in ("scene", "class", *SIX_BANDS, "was_B2") if name not in drop]
    rng = np.random.default_rng(0)
    rows = [
        {"scene": f"s{i % 3}", "class": str(i % 5), "was_B2": "", **dict.fromkeys(SIX_BANDS, "0.1")}
        | {"B4": f"{rng.random():.4f}"}
        for i in range(lines)
    ]
    for line, column, text in changes:
        rows[line - 2][column] = text
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_table_is_read_with_classes_by_number_and_by_name(tmp_path):
    changes = [(2, "class", "Thin Cloud"), (3, "class", "snow"), (4, "was_B2", "0.05")]
    samples = read_labels(write_csv(tmp_path / "labels.csv", changes))
    assert samples.classes.tolist()[:5] == [THIN, SNOW, SHADOW, SNOW, THIN]
    assert samples.scenes.tolist()[:3] == ["s0", "s1", "s2"]
    assert set(samples.reflectance) == set(SIX_BANDS)
    assert np.flatnonzero(np.isfinite(samples.background["B2"])).tolist() == [2]
    assert np.isnan(samples.background["B11"]).all()


def test_a_table_says_all_its_faults_by_line(tmp_path):
    changes = [
        (3, "class", "haze"),
        (3, "B4", "dark"),
        (5, "scene", ""),
        (7, "B8", "1534"),
        (8, "was_B2", "nan"),
    ]
    with pytest.raises(UnusableSamples) as caught:
        read_labels(write_csv(tmp_path / "labels.csv", changes))
    first, *faults = str(caught.value).splitlines()
    assert first.endswith("labels.csv: 5 faults:")
    expected = [
        "line 3: class is 'haze', expected the number or the name of 0 clear, 1 cloud",
        "line 3: B4 is 'dark', expected a TOA reflectance",
        "line 5: scene is empty",
        "line 7: B8 is '1534', expected a TOA reflectance from -0.2 to 3.0 (DN / 10000)",
        "line 8: was_B2 is 'nan'",
    ]
    assert len(faults) == len(expected)
    assert all(fault.startswith(text) for fault, text in zip(faults, expected, strict=True))


def test_of_many_faults_the_first_are_shown(tmp_path):
    changes = [(line, "class", "7") for line in range(2, 32)]
    with pytest.raises(UnusableSamples) as caught:
        read_labels(write_csv(tmp_path / "labels.csv", changes))
    assert len(str(caught.value).splitlines()) == 22
    assert str(caught.value).endswith("and 10 more")


#: The published file's classes.
NAMES = {10: "Clear", 20: "Water", 30: "Shadow", 40: "Cirrus", 50: "Cloud", 60: "Snow"}
PIXELS = 60


def write_hollstein(path, drop=(), **changes):
    """Write a file in the layout of the published database, with changes of its datasets."""
    rng = np.random.default_rng(1)
    content = {
        "spectra": rng.random((PIXELS, 13)).astype("f4"),
        "band": np.array([band.removeprefix("B").rjust(2, "0") for band in ALL_BANDS], "S3"),
        "classes": np.resize(list(NAMES), PIXELS).astype("u1"),
        "class_ids": np.array(list(NAMES), "u1"),
        "class_names": np.array(list(NAMES.values()), "S13"),
        "product_id": np.array([f"S2A_PRODUCT_{i % 4}.SAFE" for i in range(PIXELS)], "S80"),
        "granule_id": np.full(PIXELS, b"33UUU"),
        "longitude": rng.random(PIXELS),
        "latitude": rng.random(PIXELS),
    } | changes
    with h5py.File(path, "w") as file:
        for name in content.keys() - set(drop):
            file[name] = content[name]
    return path


def test_hollsteins_database_is_read_with_its_six_classes_as_ours(tmp_path):
    path = write_hollstein(tmp_path / "labels.h5")
    samples = read_labels(path)
    expected = {10: CLEAR, 20: CLEAR, 30: SHADOW, 40: THIN, 50: CLOUD, 60: SNOW}
    with h5py.File(path) as file:
        assert samples.classes.tolist() == [expected[number] for number in file["classes"]]
        for place, band in enumerate(ALL_BANDS):
            np.testing.assert_array_equal(samples.reflectance[band], file["spectra"][:, place])
    assert set(samples.scenes) == {f"S2A_PRODUCT_{i}.SAFE" for i in range(4)}
    assert all(np.isnan(samples.background[band]).all() for band in COMPARED)
    assert samples.features(ALL_BANDS).shape[0] == PIXELS


def test_names_of_bands_and_texts_may_be_written_otherwise(tmp_path):
    order = [*reversed(ALL_BANDS)]
    texts = h5py.string_dtype()
    names = ["Clear sky", "water", "SHADOW", "cirrus", "cloud", "Snow/Ice"]
    changes = {"band": np.array(order, texts), "class_names": np.array(names, texts)}
    samples = read_labels(write_hollstein(tmp_path / "labels.hdf5", **changes))
    plain = read_labels(write_hollstein(tmp_path / "plain.h5"))
    np.testing.assert_array_equal(samples.reflectance["B12"], plain.reflectance["B1"])
    np.testing.assert_array_equal(samples.classes, plain.classes)


BAD_FILES = {
    "missing": (["spectra", "classes"], {}, "datasets missing: spectra, classes; needed are"),
    "nan": ([], {"spectra": np.full((PIXELS, 13), np.nan)}, "of 60 pixels are not finite"),
    "numbers": ([], {"spectra": np.full((PIXELS, 13), 1500)}, "reach 1500, expected TOA"),
    "shape": ([], {"spectra": np.ones((PIXELS, 12))}, r"shape \(60, 12\), expected \(60, 13\)"),
    "unnamed": ([], {"classes": np.full(PIXELS, 70)}, r"classes has \[70\], of which class_ids"),
    "unknown": ([], {"class_names": np.array([*"abcdef"], "S1")}, "has a, b, c, d, e, f, expected"),
    "bands": ([], {"band": np.array(["1"] * 13, "S1")}, "band has no B2, B3"),
}


@pytest.mark.parametrize(("drop", "changes", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_wrong_hollstein_file_is_refused_with_what_is_wrong(tmp_path, drop, changes, message):
    with pytest.raises(UnusableSamples, match=message):
        read_labels(write_hollstein(tmp_path / "labels.h5", drop, **changes))


def test_a_file_that_is_no_hdf5_is_refused(tmp_path):
    (tmp_path / "labels.h5").write_text("scene,class")
    with pytest.raises(UnusableSamples, match="cannot be read as HDF5"):
        read_labels(tmp_path / "labels.h5")


def test_so_many_of_each_class_of_each_scene_are_chosen_and_no_more(tmp_path):
    rng = np.random.default_rng(2)
    classes, scenes = (
        rng.integers(0, 5, 5000),
        rng.choice(["a", "b", "c"], 5000, p=[0.9, 0.09, 0.01]),
    )
    chosen = stratified(classes, scenes, 20, seed=3)
    for scene in "abc":
        for kind in range(5):
            there = ((classes == kind) & (scenes == scene)).sum()
            took = ((classes[chosen] == kind) & (scenes[chosen] == scene)).sum()
            assert took == min(20, there)
    assert len(set(chosen.tolist())) == len(chosen)
    np.testing.assert_array_equal(chosen, stratified(classes, scenes, 20, seed=3))
    assert chosen.tolist() != stratified(classes, scenes, 20, seed=4).tolist()


@pytest.fixture(scope="module")
def judged():
    """Shares as a forest might give them: right more often than not."""
    rng = np.random.default_rng(4)
    cloudy = rng.random(20_000) < 0.4
    share = np.clip(rng.normal(np.where(cloudy, 0.65, 0.35), 0.2), 0, 1)
    shares = np.zeros((len(cloudy), 5))
    shares[:, CLOUD], shares[:, CLEAR] = share, 1 - share
    return Judged(shares, np.where(cloudy, CLOUD, CLEAR), np.arange(len(cloudy)) % 10)


@pytest.mark.parametrize("ratio", [0.5, *COST_RATIOS.values()])
def test_a_cut_off_is_what_calibrated_probabilities_make_cheapest(judged, ratio):
    probability = calibrated(judged, calibrate(judged))
    points = curve(probability, np.isin(judged.classes, CLOUDY), ratio)
    # Flagging costs 1 - p, not flagging ratio * p: equal at this probability.
    assert cheapest(points) == pytest.approx(1 / (1 + ratio), abs=0.06)
    found = next(point for point in points if point.cutoff == cheapest(points))
    flagged, cloudy = probability >= found.cutoff, judged.classes == CLOUD
    assert found.recall == pytest.approx((flagged & cloudy).sum() / cloudy.sum())
    assert found.precision == pytest.approx((flagged & cloudy).sum() / flagged.sum())
    assert found.false_cloud == pytest.approx((flagged & ~cloudy).sum() / (~cloudy).sum())


def test_a_purpose_is_known_or_its_cost_stated():
    assert purpose_of("vegetation") == Purpose()
    assert purpose_of("vegetation", 2.5).cost_ratio == 2.5
    with pytest.raises(InvalidConfiguration, match="--purpose is 'art', expected vegetation, comp"):
        purpose_of("art")
    for ratio in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidConfiguration, match="expected a number above 0"):
            purpose_of("vegetation", ratio)


def test_what_a_study_says_of_features_is_so():
    pixels = simulated(6000, 5)
    noise = np.random.default_rng(6).random(6000)
    # B2 alone tells the classes apart, the other bands are noise.
    reflectance = dict.fromkeys(SIX_BANDS, noise) | {"B2": 0.1 + pixels.classes / 5}
    samples = Samples(reflectance, pixels.background, pixels.classes, pixels.scenes)
    found = study(samples, SIX_BANDS, ForestSize(trees=4, leaves=32))
    by_name = {one["feature"]: one["permutation"] for one in found["importances"]}
    assert by_name["B12"] == pytest.approx(0, abs=0.03)
    assert sum(one["gini"] for one in found["importances"]) == pytest.approx(1, abs=0.01)
    assert [one["trees"] for one in found["by_trees"]] == list(TREES)
    assert found["by_trees"][-1]["classes"] >= found["by_trees"][0]["classes"]
    assert found["by_trees"][-1]["classes"] > 0.95
    assert found["by_features"][-1]["features"] == len(found["importances"])


def test_a_build_writes_the_purpose_into_the_model_and_reports(tmp_path):
    size, purpose = ForestSize(trees=2, leaves=16), purpose_of("composite")
    report = build_with_report("cloud-6", simulated(3000, 7), size, "a test", tmp_path, purpose)
    model = json.loads((tmp_path / "cloud-6.json").read_text())
    assert model["purpose"] == report["purpose"] == {"name": "composite", "cost_ratio": 4}
    assert model["cutoffs"] == report["cutoffs"]
    assert report["cutoffs"]["cloud"] == min(report["curve"], key=lambda p: p["cost"])["cutoff"]
    assert report["cutoffs"]["cloud"] < 0.35
    assert json.loads((tmp_path / "cloud-6.report.json").read_text()) == report
