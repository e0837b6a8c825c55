"""`verdure model evaluate`: scores against scikit-learn's, and what is said of bad references."""

import json

import numpy as np
import pytest
import rasterio
from sklearn.metrics import f1_score, precision_score, recall_score
from typer.testing import CliRunner

from cli.main import app

SHAPE = (20, 30)
CRS, TRANSFORM = "EPSG:32633", rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)


def write(path, values, crs=CRS, transform=TRANSFORM, nodata=None):
    path.parent.mkdir(exist_ok=True)
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype=values.dtype, count=1, height=height, width=width,
        crs=crs, transform=transform, nodata=nodata,
    ) as raster:  # fmt: skip
        raster.write(values, 1)


def draw(seed, classes=(0, 1, 2, 3, 4, 255)):
    return np.random.default_rng(seed).choice(classes, SHAPE).astype("u1")


@pytest.fixture
def masks(tmp_path):
    """Masks of images "a" and "a_b": the name of one begins that of the other."""
    for seed, name in enumerate(("a", "a_b")):
        write(tmp_path / "masks" / f"{name}_class.tif", draw(seed))
    return tmp_path / "masks"


def run(masks, truth, *more):
    out = masks.parent / "model.json"
    options = ["--masks", masks, "--truth", truth, "--out", out, *more]
    result = CliRunner().invoke(app, ["model", "evaluate", *map(str, options)])
    return result, json.loads(out.read_text()) if out.exists() else None


def test_scores_are_those_of_scikit_learn(masks, tmp_path):
    truths = {"a": draw(2), "a_b": draw(3).astype("i2")}
    truths["a_b"][:3] = -32768
    write(tmp_path / "truth" / "a.tif", truths["a"])
    write(tmp_path / "truth" / "a_b_CLM.tif", truths["a_b"], nodata=-32768)
    result, figures = run(masks, tmp_path / "truth", "--json")
    assert result.exit_code == 0, result.output
    found = np.concatenate([draw(0).ravel(), draw(1).ravel()])
    truth = np.concatenate([truths["a"].ravel(), truths["a_b"].ravel()])
    known = (found != 255) & (truth != 255) & (truth != -32768)
    found, truth = found[known], truth[known]
    for kind, classes in (("cloud", (1, 4)), ("shadow", (2,)), ("snow", (3,))):
        said, is_so = np.isin(found, classes), np.isin(truth, classes)
        for name, score in (("precision", precision_score), ("recall", recall_score),
                            ("f1", f1_score)):  # fmt: skip
            value = figures[f"{kind}_{name}"]["value"]
            assert value == pytest.approx(score(is_so, said), abs=1e-4)
    clear = ~np.isin(truth, (1, 4))
    expected = np.isin(found, (1, 4))[clear].mean()
    assert figures["false_cloud"]["value"] == pytest.approx(expected, abs=1e-4)
    assert set(figures["cloud_f1"]["by_image"]) == {"a", "a_b"}
    printed = json.loads(result.stdout)
    assert printed["pixels"] == known.sum() == np.sum(printed["confusion"])
    assert printed["confusion"][2][1] == ((truth == 2) & (found == 1)).sum()


def test_figures_of_others_stay_in_the_file(masks, tmp_path):
    (tmp_path / "model.json").write_text('{"another": {"value": 1}}')
    for name in ("a", "a_b"):
        write(tmp_path / "truth" / f"{name}.tif", draw(4))
    result, figures = run(masks, tmp_path / "truth")
    assert result.exit_code == 0
    assert figures["another"] == {"value": 1}
    assert {"value", "unit", "baseline", "ratio", "target", "machine"} <= set(figures["cloud_f1"])
    assert "a_b" in result.stdout


def test_a_mask_without_reference_is_named_and_the_others_judged(masks, tmp_path):
    write(tmp_path / "truth" / "a_b.tif", draw(3))
    result, figures = run(masks, tmp_path / "truth")
    assert result.exit_code == 1
    assert set(figures["cloud_f1"]["by_image"]) == {"a_b"}
    assert "a: no reference in" in result.stderr


def of_other_shape(folder):
    write(folder / "a.tif", draw(2)[:10])


def of_other_classes(folder):
    write(folder / "a.tif", draw(2, (0, 1, 7)))


def of_other_crs(folder):
    write(folder / "a.tif", draw(2), crs="EPSG:32634")


def moved(folder):
    write(folder / "a.tif", draw(2), transform=rasterio.Affine(10, 0, 500_010, 0, -10, 5_000_000))


def no_raster(folder):
    (folder / "a.tif").write_bytes(b"not a TIFF")


def twice(folder):
    for name in ("a_1", "a_2"):
        write(folder / f"{name}.tif", draw(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (of_other_shape, "a.tif: 10 rows × 30 columns, expected those of the image: 20 × 30"),
        (of_other_classes, "classes are 7, expected 0 clear, 1 cloud, 2 shadow"),
        (of_other_crs, "a.tif: CRS is EPSG:32634, expected the image's: EPSG:32633"),
        (moved, "a.tif: transform is (10.0, 0.0, 500010.0, 0.0, -10.0, 5000000.0), expected"),
        (no_raster, "a.tif: cannot be read as a raster"),
        (twice, "a_1.tif and a_2.tif are both named after a, expected one"),
        (lambda folder: None, "has no raster of a_b or any other of 2 masks, expected a_b.tif"),
    ],
)
def test_a_bad_reference_is_an_error_for_people(masks, tmp_path, make, message):
    (tmp_path / "truth").mkdir()
    make(tmp_path / "truth")
    result, figures = run(masks, tmp_path / "truth")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert figures is None


def test_missing_folders_are_named(masks, tmp_path):
    result, _ = run(masks, tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "is no folder" in " ".join(result.stderr.split())
    (tmp_path / "empty").mkdir()
    result, _ = run(tmp_path / "empty", tmp_path / "empty")
    assert result.exit_code == 2
    assert "has no <image id>_class.tif" in " ".join(result.stderr.split())
