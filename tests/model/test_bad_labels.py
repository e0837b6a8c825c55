"""What is wrong with the input of `verdure model` is named; the rest is done all the same."""

import json
import shutil

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from cli.model import app
from shared import models
from shared.earth.features import ALL_BANDS, SIX_BANDS

SIDE = 12
DAY = 24 * 3_600_000


def verdure_model(*arguments):
    """Run a command; return its exit code, standard output, and what it told people in one line."""
    models.load.cache_clear()
    result = CliRunner().invoke(app, [*map(str, arguments)])
    models.load.cache_clear()
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def table(path, lines, columns=("scene", "class", *SIX_BANDS)):
    rows = [",".join(map(str, [*line, *["0.1"] * 6])) for line in lines]
    path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return path


GOOD = [(scene, kind) for scene in "abc" for kind in (0, 1)] * 20
BAD_TABLES = {
    "columns": (GOOD, ("scene", "kind", *SIX_BANDS), "columns missing: class; needed are scene"),
    "classes": ([("a", 9)], None, "line 2: class is '9', expected the number or the name of 0"),
    "one class": ([(scene, 0) for scene, _ in GOOD], None, "all 120 pixels are clear; both kinds"),
    "scenes": ([("ab"[kind], kind) for _, kind in GOOD], None, "of 2 scenes, expected at least 3"),
    "empty": ([], None, "has no line of a pixel"),
}


@pytest.mark.parametrize(("lines", "columns", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_labels_that_nothing_can_be_learnt_from(tmp_path, lines, columns, message):
    path = table(tmp_path / "labels.csv", lines, columns or ("scene", "class", *SIX_BANDS))
    command = ["build", "cloud-6", "--labels", path, "--simulated", 0, "--out", tmp_path / "model"]
    code, _, told = verdure_model(*command)
    assert code == 2
    assert message in told
    assert not (tmp_path / "model").exists()


BAD_OPTIONS = {
    "name": (["cloud-7"], "NAME is 'cloud-7', expected cloud-13 or cloud-6"),
    "nothing": (["cloud-6", "--simulated", 0], "there are no pixels to learn from; give --labels"),
    "reference": (
        ["cloud-6", "--scenes", "x"],
        "--scenes is given 1 times and --reference 0 times",
    ),
    "purpose": (["cloud-6", "--purpose", "x"], "--purpose is 'x', expected vegetation, composite"),
    "cost": (["cloud-6", "--cost-ratio", -2], "--cost-ratio is -2.0, expected a number above 0"),
    "kind": (["cloud-6", "--synthetic", "sea"], "kind is 'sea'; it must be one of foothills"),
    "number": (
        ["cloud-6", "--scenes", "x", "--reference", "y", "--per-class", 5000],
        "pixels of each class are 5000, expected 1 to 1000",
    ),
}


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_options_that_make_no_sense(tmp_path, options, message):
    code, _, told = verdure_model("build", *options, "--out", tmp_path, "--work", tmp_path / "work")
    assert code == 2
    assert message in told


def damaged(folder, change):
    """Copy the project's models and change cloud-13."""
    for path in models.FOLDER.glob("cloud-*"):
        shutil.copy(path, folder)
    change(folder / "cloud-13.json", folder / "cloud-13.trees.gz")


def with_fields(**fields):
    def change(facts, trees):
        facts.write_text(json.dumps(json.loads(facts.read_text()) | fields))

    return change


BAD_MODELS = {
    "format": (with_fields(format=9), "format is 9, expected 1: made by another version"),
    "features": (with_fields(features=["B2", "haze"]), "features differ from this version's in"),
    "cutoffs": (with_fields(cutoffs={"cloud": 0.4}), "cutoffs differ from this version's in shad"),
    "cutoff": (
        with_fields(cutoffs=dict.fromkeys(models.load("cloud-13").cutoffs, 40)),
        "cutoff cloud is 40.0, expected a share from 0 to 1",
    ),
    "calibration": (with_fields(calibration=[[0, 1], [1, 0]]), "calibration does not rise"),
    "json": (lambda facts, trees: facts.write_text("{"), "cannot be read as a model"),
    "trees": (lambda facts, trees: trees.write_bytes(b"x"), "trees.gz: cannot be read"),
    "other trees": (
        lambda facts, trees: shutil.copy(trees.with_name("cloud-6.trees.gz"), trees),
        "sha256 is",
    ),
    "none": (lambda facts, trees: [path.unlink() for path in facts.parent.iterdir()], "no model"),
}


@pytest.mark.parametrize(("change", "message"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_models_that_are_damaged_or_of_another_version(tmp_path, change, message):
    (tmp_path / "models").mkdir()
    damaged(tmp_path / "models", change)
    command = ["apply", "--scenes", tmp_path, "--out", tmp_path / "out"]
    code, _, told = verdure_model(*command, "--models", tmp_path / "models")
    assert code == 1
    assert message in told
    assert str(tmp_path / "models") in told


class Folder:
    """A scene folder of small images; those of a name have a tile and pixels of their own."""

    def __init__(self, path):
        path.mkdir()
        self.path, self.scenes = path, []
        self.rng = np.random.default_rng(1)

    def add(self, name, bands=ALL_BANDS, tile=None, day=0, pixels=None):
        if pixels is None:
            pixels = self.rng.integers(300, 4000, (len(bands), SIDE, SIDE))
        with rasterio.open(
            self.path / f"{name}.tif", "w", driver="GTiff", dtype="uint16", count=len(bands),
            width=SIDE, height=SIDE, crs="EPSG:32633", nodata=0, compress="deflate",
            transform=rasterio.Affine(10, 0, 465_180, 0, -10, 5_080_260),
        ) as raster:  # fmt: skip
            raster.write(pixels.astype("u2"))
            for index, band in enumerate(bands, 1):
                raster.set_band_description(index, band)
        time = {} if day is None else {"system:time_start": 1_530_000_000_000 + day * DAY}
        properties = {"MGRS_TILE": tile or name, "CLOUDY_PIXEL_PERCENTAGE": 5.0, **time}
        self.scenes.append({"id": name, "file": f"{name}.tif", "properties": properties})
        return pixels

    def write(self, collection="TEST/SCENES"):
        manifest = {"collection": collection, "scenes": self.scenes}
        (self.path / "scenes.json").write_text(json.dumps(manifest))
        return self.path


@pytest.fixture(scope="module")
def applied(tmp_path_factory):
    """What apply made of a folder of all kinds: exit code, results by image, told, files."""
    base = tmp_path_factory.mktemp("apply")
    folder, out = Folder(base / "scenes"), base / "out"
    pixels = folder.add("alone")
    folder.add("undated", day=None, pixels=pixels)
    for i in range(3):  # within 60 days the first has one other, the second two
        folder.add(f"spaced-{i}", tile="spaced", day=50 * i)
    folder.add("six", SIX_BANDS)
    folder.add("voted", (*SIX_BANDS, "QA60"))
    folder.add("masked", pixels=np.zeros((len(ALL_BANDS), SIDE, SIDE)))
    folder.add("no-blue", ("B3", "B4", "B8", "B11", "B12"))
    folder.add("truncated")
    path = folder.path / "truncated.tif"
    path.write_bytes(path.read_bytes()[:-2000])
    # Noise would be stored as it is, and no decoder would notice.
    smooth = np.arange(len(ALL_BANDS) * SIDE**2).reshape(len(ALL_BANDS), SIDE, SIDE)
    folder.add("damaged", pixels=300 + smooth)
    path = folder.path / "damaged.tif"
    content = path.read_bytes()
    # Behind the header, where pixels are: only who reads these will notice.
    first, last = len(content) // 10, len(content) // 5
    path.write_bytes(content[:first] + bytes(last - first) + content[last:])
    folder.add("gone")
    (folder.path / "gone.tif").unlink()
    others, scores = Folder(base / "others"), Folder(base / "scores")
    others.add("alone")
    scores.add("alone", ("cs", "cs_cdf"))
    folders = [folder.write(), others.write("TEST/OTHERS"), scores.write("TEST/SCORES")]
    options = [part for path in folders for part in ("--scenes", path)]
    code, printed, told = verdure_model("apply", *options, "--out", out, "--json")
    results = json.loads(printed)
    return code, {one["image_id"]: one for one in reversed(results)}, told, out


def test_images_that_cannot_be_masked_are_named_and_the_others_done(applied):
    code, results, told, out = applied
    assert code == 1
    assert "no-blue: bands missing: B2" in told
    assert "truncated.tif is truncated" in told
    assert "gone.tif does not exist" in told
    assert "damaged: Earth Engine: " in told
    assert "alone: TEST/OTHERS has an image of the same id as another collection" in told
    # Scores are for others to use, and nothing to be masked.
    assert "TEST/SCORES" not in told
    assert told.count("Error: ") == 5
    done = {name for name, one in results.items() if not one["problem"]}
    spaced = {f"spaced-{i}" for i in range(3)}
    assert done == {"alone", "undated", "six", "voted", "masked"} | spaced
    assert {path.name for path in out.iterdir()} == {
        f"{name}_{what}.tif" for name in done for what in ("class", "probability", "agreement")
    }


def recorded(out, name):
    with rasterio.open(out / f"{name}_class.tif") as raster:
        tags = raster.tags()
    return json.loads(tags["fallbacks"]), json.loads(tags["background_images"])


FALLBACKS = {
    "alone": (["no background: no other image of the tile within 60 days"], 0),
    "undated": (
        [
            "no background: the image has no date (system:time_start)",
            "shadows in any direction: the image has no date and no MEAN_SOLAR_AZIMUTH_ANGLE",
        ],
        0,
    ),
    "spaced-0": (["background of 1 image only: clouds in it may remain"], 1),
    "spaced-1": (["background of 2 images only: clouds in it may remain"], 2),
}
NO_VOTES = "agreement without qa60, cloud_score_plus: not there for this image"


@pytest.mark.parametrize("name", FALLBACKS)
def test_a_background_of_no_or_few_images_is_recorded_on_the_output(applied, name):
    _, results, _, out = applied
    fallbacks, number = FALLBACKS[name]
    fallbacks = [*fallbacks, NO_VOTES]
    assert recorded(out, name) == (fallbacks, number)
    assert results[name]["fallbacks"] == fallbacks
    assert ("background" in results[name]["inputs"]) == (number > 0)


def test_without_a_background_the_image_is_masked_by_itself(applied):
    *_, out = applied
    both = []
    for name in ("alone", "undated"):
        with rasterio.open(out / f"{name}_probability.tif") as raster:
            both.append(raster.read(1))
    np.testing.assert_array_equal(*both)
    assert (both[0] <= 100).all()


def test_an_image_without_the_thirteen_bands_gets_the_model_of_six(applied):
    _, results, _, out = applied
    assert results["six"]["model"].startswith("cloud-6-")
    first, *_ = recorded(out, "six")[0]
    assert first == "cloud-6 instead of cloud-13: bands missing: B1, B5, B6, B7, B8A, B9, B10"


def test_other_peoples_masks_vote_where_an_image_has_them(applied):
    _, results, _, out = applied
    assert results["voted"]["inputs"] == [*SIX_BANDS, "qa60"]
    assert recorded(out, "voted")[0][-1].startswith("agreement without cloud_score_plus:")
    assert "qa60" not in results["six"]["inputs"]


def test_an_image_without_a_valid_pixel_has_an_empty_mask_that_says_so(applied):
    _, results, _, out = applied
    assert "the image has no valid pixel: the mask is empty" in recorded(out, "masked")[0]
    assert results["masked"]["share_flagged"] is None
    for what in ("class", "probability"):
        with rasterio.open(out / f"masked_{what}.tif") as raster:
            assert (raster.read(1) == 255).all()


def test_folders_that_cannot_be_masked_at_all(tmp_path):
    empty = Folder(tmp_path / "empty").write()
    code, _, told = verdure_model("apply", "--scenes", empty, "--out", tmp_path / "out")
    assert code == 2
    assert "TEST/SCENES: there is no image to mask" in told
    code, _, told = verdure_model("apply", "--scenes", tmp_path / "no", "--out", tmp_path / "out")
    assert code == 2
    assert "scenes.json does not exist" in told
