"""Labelled pixels of scene folders: what Earth Engine samples, against numpy on the same files."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from emulator.scenes.synthetic import write_region
from model.build import UnusableSamples
from model.sampling import Choice, sample
from model.sources import Wanted, gather
from shared.earth.features import ALL_BANDS, COMPARED, SIX_BANDS, names
from shared.errors import PermanentError

DAY = 24 * 3_600_000
SIZE, IMAGES = 40, 9
CHOICE = Choice(per_class=15, seed=3)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return write_region(tmp_path_factory.mktemp("region"), size=SIZE, images=IMAGES).parent


def sampled(region, work, choice=CHOICE, references=None):
    return sample(region / "scenes", references or region / "truth", work, choice, iter)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def samples(region, work):
    """The region's samples, whose files are in `work`."""
    return sampled(region, work)


def files(work):
    return {path.name: path.stat().st_mtime_ns for path in work.glob("*/*.npz")}


def read(path):
    with rasterio.open(path) as raster:
        return raster.read(masked=True).astype(float).filled(np.nan)


def background(region, scene, scenes):
    """Return the median of the clearest images around a scene in COMPARED bands."""
    clouds = "CLOUDY_PIXEL_PERCENTAGE"

    def after(other):
        return other["properties"]["system:time_start"] - scene["properties"]["system:time_start"]

    # Neither of the same pass; a period's end is not within it.
    others = [o for o in scenes if -60 * DAY <= after(o) < 60 * DAY and abs(after(o)) > 0.75 * DAY]
    others = sorted(others, key=lambda other: other["properties"][clouds])[:20]
    places = [ALL_BANDS.index(band) for band in COMPARED]
    stack = [read(region / "scenes" / other["file"])[places] for other in others]
    with np.errstate(all="ignore"):
        return np.nanmedian(np.array(stack), axis=0)


@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_pixels_are_those_of_the_files_with_their_class_and_background(region, samples):
    chosen = set()
    scenes = json.loads((region / "scenes" / "scenes.json").read_text())["scenes"]
    assert set(samples.scenes) == {scene["id"] for scene in scenes}
    for scene in scenes:
        bands, was = read(region / "scenes" / scene["file"]), background(region, scene, scenes)
        truth = read(region / "truth" / f"{scene['id']}.tif")[0]
        own = samples[samples.scenes == scene["id"]]
        for kind in range(5):
            there = ((truth == kind) & np.isfinite(bands).all(0)).sum()
            assert (own.classes == kind).sum() == min(CHOICE.per_class, there)
        pixels = np.stack([own.reflectance[band] for band in ALL_BANDS], 1) * 10_000
        for i, pixel in enumerate(pixels):
            [[row, column]] = np.argwhere((np.abs(bands.T - pixel) < 0.01).all(-1).T)
            assert truth[row, column] == own.classes[i]
            got = [own.background[band][i] * 10_000 for band in COMPARED]
            np.testing.assert_allclose(got, was[:, row, column], atol=0.02)
            chosen.add((row, column))
    # Were the seed the same for every image, it would choose the same places in all.
    assert len(chosen) > 0.7 * len(samples)


def test_features_are_those_of_earth_engine(samples, work):
    for scene in set(samples.scenes):
        with np.load(next(work.glob(f"*/{scene}-0-0.npz"))) as kept:
            own = samples[samples.scenes == scene].features(ALL_BANDS)
            np.testing.assert_allclose(own, kept["features"], rtol=1e-4, atol=1e-6)
            assert kept["features"].shape[1] == len(names(ALL_BANDS))


LATER = [pytest.param(number, marks=pytest.mark.soak) for number in range(2, IMAGES - 1)]


@pytest.mark.parametrize("blocks", [1, *LATER])
def test_a_killed_sampling_goes_on_where_it_was(region, samples, tmp_path, blocks):
    command = [sys.executable, "-m", "cli.main", "model", "build", "cloud-6", "--simulated", "0"]
    command += ["--scenes", region / "scenes", "--reference", region / "truth", "--trees", "2"]
    command += ["--work", tmp_path / "work", "--out", tmp_path / "out", "--per-class", "15"]
    process = subprocess.Popen([*map(str, command), "--seed", "3"], cwd=ROOT)
    while len(files(tmp_path / "work")) < blocks and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    before = files(tmp_path / "work")
    assert blocks <= len(before) < IMAGES
    resumed = sampled(region, tmp_path / "work")
    after = files(tmp_path / "work")
    assert len(after) == IMAGES
    assert {name: after[name] for name in before} == before
    np.testing.assert_array_equal(resumed.features(ALL_BANDS), samples.features(ALL_BANDS))
    np.testing.assert_array_equal(resumed.classes, samples.classes)


def references(folder, region, change=None, count=1):
    """Write some of the region's references, the first of them changed."""
    folder.mkdir()
    for path in sorted((region / "truth").glob("*.tif"))[:count]:
        with rasterio.open(path) as raster:
            values, profile = raster.read(1), raster.profile
        profile.update(count=1, nodata=None)
        if change:
            values, profile = change(values, profile)
        with rasterio.open(folder / path.name, "w", **profile) as raster:
            raster.write(values, 1)
    return folder


def test_what_was_sampled_with_other_references_is_not_taken(region, tmp_path):
    folder = references(tmp_path / "references", region)
    [path] = folder.glob("*.tif")
    once = sampled(region, tmp_path / "work", references=folder)
    with rasterio.open(path, "r+") as raster:
        raster.write(np.where(raster.read(1) == 255, 255, 4), 1)
    again = sampled(region, tmp_path / "work", references=folder)
    assert len(set(once.classes)) > 1
    assert set(again.classes) == {4}


BAD_REFERENCES = {
    "classes": (lambda v, p: (np.full_like(v, 7), p), r"classes are \[7\], which is none of"),
    "nothing": (lambda v, p: (np.full_like(v, 255), p), "none of its labelled pixels is a"),
    "no crs": (lambda v, p: (v, {**p, "crs": None}), "no coordinate reference system"),
}


@pytest.mark.parametrize(("change", "message"), BAD_REFERENCES.values(), ids=BAD_REFERENCES)
def test_wrong_references_are_named(region, tmp_path, change, message):
    folder = references(tmp_path / "references", region, change)
    with pytest.raises(UnusableSamples, match=message) as caught:
        sampled(region, tmp_path / "work", references=folder)
    [path] = folder.glob("*.tif")
    assert path.name in str(caught.value)


def test_an_image_whose_pixels_cannot_be_read_is_named(region, tmp_path):
    folder = references(tmp_path / "references", region)
    shutil.copytree(region / "scenes", tmp_path / "scenes")
    path = tmp_path / "scenes" / next(folder.glob("*.tif")).name
    content = path.read_bytes()
    # Behind the header, where pixels are: only who reads these will notice.
    first, last = len(content) // 10, len(content) // 5
    path.write_bytes(content[:first] + bytes(last - first) + content[last:])
    with pytest.raises(PermanentError, match=f"{path.stem}: Earth Engine: .*before is kept"):
        sample(tmp_path / "scenes", folder, tmp_path / "work", CHOICE, iter)


def test_a_folder_without_references_or_with_two_of_an_image_is_refused(region, tmp_path):
    with pytest.raises(UnusableSamples, match=r"no raster is named <image id>\*.tif"):
        sampled(region, tmp_path / "work", references=tmp_path)
    folder = references(tmp_path / "references", region)
    [path] = folder.glob("*.tif")
    path.with_name(f"{path.stem}_other.tif").write_bytes(path.read_bytes())
    with pytest.raises(UnusableSamples, match="expected one raster"):
        sampled(region, tmp_path / "work", references=folder)


def test_sources_are_joined_and_none_lacks_a_band_in_silence(region, samples, work, tmp_path):
    wanted = Wanted(
        scenes=((region / "scenes", region / "truth"),),
        simulated=500,
        choice=CHOICE,
        work=work,
    )
    joined, text = gather(wanted, SIX_BANDS, iter)
    assert len(joined) == len(samples) + 500
    assert len(set(joined.scenes)) == IMAGES + 1
    assert text.endswith("; 500 pixels of model.simulate, seed 1")
    table = tmp_path / "six.csv"
    line = ["a", "1", *["0.1"] * 6]
    table.write_text(",".join(["scene", "class", *SIX_BANDS]) + "\n" + ",".join(line) + "\n")
    with pytest.raises(UnusableSamples, match=r"six.csv: bands missing: B1, B5, B6"):
        gather(Wanted(labels=(table,)), ALL_BANDS, iter)
    with pytest.raises(UnusableSamples, match="there are no pixels to learn from"):
        gather(Wanted(), ALL_BANDS, iter)
