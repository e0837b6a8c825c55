import json
import shutil

import numpy as np
import pystac
import pytest
import rasterio
from PIL import Image
from rasterio.warp import transform

from emulator.scenes.sentinel2 import BANDS

from .conftest import REAL_SCENES, needs_real_scenes, verdure

CLEAR, HAZE, THICK = ("20150711", "20150830", "20150909"), "20150731", "20150820"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    out = tmp_path_factory.mktemp("real")
    return verdure("demo", "--scenes", REAL_SCENES, "--out", out, "--json"), out


@needs_real_scenes
def test_five_real_scenes_are_masked(real):
    ended, _ = real
    assert ended.code == 0, ended.err
    numbers = ended.summary
    assert (numbers["images_found"], numbers["succeeded"]) == (5, 5)
    assert (numbers["failed"], numbers["skipped"], numbers["exports_started"]) == (0, 0, 5)
    assert numbers["ledger_writes_per_image"] == 4


@needs_real_scenes
def test_haze_and_thick_cloud_are_flagged_and_clear_scenes_are_not(real):
    _, out = real
    flagged = {}
    for path in (out / "masks").glob("*.tif"):
        with rasterio.open(path) as mask:
            classes = mask.read(1)
        flagged[path.name[:8]] = np.isin(classes, (1, 4)).sum() / (classes != 255).sum()
    assert flagged[THICK] >= 0.95
    assert flagged[HAZE] >= 0.95
    assert all(flagged[day] <= 0.02 for day in CLEAR), flagged


@needs_real_scenes
def test_every_output_is_there_and_well_formed(real):
    _, out = real
    collection = pystac.Collection.from_file(str(out / "stac" / "collection.json"))
    items = list(collection.get_items())
    assert len(items) == 5
    for item in items:
        assert item.properties["verdure:run_key"].startswith("mask-")
        with rasterio.open(out / "masks" / f"{item.id}.tif") as mask:
            assert mask.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert (mask.dtypes, mask.nodata, mask.res) == (("uint8",), 255, (20, 20))
            assert mask.crs.to_string() == "EPSG:32633"
            assert mask.transform.c % 20 == mask.transform.f % 20 == 0
            cover = np.isin(mask.read(1), (1, 4)).sum() / (mask.read(1) != 255).sum()
        assert item.properties["eo:cloud_cover"] == pytest.approx(100 * cover, abs=2)
        with Image.open(out / "quicklooks" / f"{item.id}.png") as picture:
            assert np.asarray(picture).std() > 5, "a picture of something"
    assert (out / "overview.png").exists()
    assert json.loads((out / "summary.json").read_text())["succeeded"] == 5


@needs_real_scenes
def test_a_truncated_scene_is_named_and_stops_no_other(tmp_path):
    scenes = tmp_path / "scenes"
    shutil.copytree(REAL_SCENES, scenes, copy_function=shutil.copyfile)
    [broken] = scenes.glob("20150830*.tif")
    broken.write_bytes(broken.read_bytes()[:100_000])
    ended = verdure("demo", "--scenes", scenes, "--out", tmp_path / "out", "--json")
    assert ended.code == 1, "one scene could not be read"
    assert broken.name in ended.err
    assert "truncated" in ended.err
    assert ended.summary["succeeded"] == 4
    assert broken.name in ended.summary["unreadable_scenes"][0]


def test_a_folder_without_scenes_is_refused(tmp_path):
    ended = verdure("demo", "--scenes", tmp_path, "--out", tmp_path / "out")
    assert ended.code == 2
    assert "scenes.json" in ended.err


@needs_real_scenes
def test_a_folder_that_holds_another_demo_is_left_alone(real, scenes):
    _, out = real
    before = (out / "summary.json").read_text()
    ended = verdure("demo", "--scenes", scenes, "--out", out)
    assert ended.code == 2
    assert "holds another demo" in ended.err
    assert (out / "summary.json").read_text() == before


@needs_real_scenes
def test_the_series_of_a_place_is_drawn_with_what_was_rejected(real):
    _, out = real
    where = ("series", 14.5578, 45.8705, "--out", out, "--scenes", REAL_SCENES, "--json")
    ended = verdure(*where, "--csv", out / "series.csv")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    header, *rows = (out / "series.csv").read_text().splitlines()
    assert header == "kind,time,ndvi,std"
    assert len(rows) == sum(len(found[name]) for name in ("observed", "rejected", "curve"))
    assert rows == sorted(rows, key=lambda row: row.split(",")[1])
    assert [row["time"][:10] for row in found["rejected"]] == ["2015-07-31", "2015-08-20"]
    assert [row["time"][:10] for row in found["observed"]] == [
        *("2015-07-11", "2015-08-30", "2015-09-09")
    ]
    assert all(0.6 < row["ndvi"] < 0.9 for row in found["observed"])
    assert all(0.5 < row["ndvi"] < 0.9 for row in found["curve"])
    with Image.open(out / "series.png") as picture:
        assert len(picture.convert("RGB").getcolors(100_000)) > 5


@needs_real_scenes
def test_another_index_of_a_place_is_that_of_its_reflectance(real):
    _, out = real
    place = (14.5578, 45.8705)
    where = ("series", *place, "--out", out, "--scenes", REAL_SCENES, "--index", "EVI2", "--json")
    ended = verdure(*where, "--csv", out / "evi2.csv")
    assert ended.code == 0, ended.err
    assert (out / "evi2.csv").read_text().startswith("kind,time,evi2,std\n")
    observed = json.loads(ended.out)["observed"]
    assert len(observed) == 3
    for row in observed:
        [path] = REAL_SCENES.glob(f"{row['time'][:10].replace('-', '')}*.tif")
        with rasterio.open(path) as scene:
            [x], [y] = transform("EPSG:4326", scene.crs, *([degrees] for degrees in place))
            [numbers] = scene.sample([(x, y)])
            red, near = (numbers[list(BANDS).index(name)] / 10_000 for name in ("B4", "B8"))
        assert row["evi2"] == pytest.approx(2.5 * (near - red) / (near + 2.4 * red + 1), abs=1e-9)


@needs_real_scenes
def test_a_place_outside_the_run_is_explained(real):
    _, out = real
    ended = verdure("series", -10.5, 40, "--out", out, "--scenes", REAL_SCENES)
    assert ended.code == 2
    assert "with a mask is at -10.5 40.0" in ended.err


@needs_real_scenes
def test_a_place_without_land_is_explained(real, tmp_path):
    """The run, had its masks found sea all over the images."""
    _, out = real
    shutil.copytree(out, tmp_path / "run")
    shares = list((tmp_path / "run" / "earth-engine" / "assets").rglob("class.mask.tif"))
    assert len(shares) == 5
    for path in shares:
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as valid:
            valid.write(np.zeros_like(valid.read()))
    ended = verdure("series", 14.5578, 45.8705, "--out", tmp_path / "run", "--scenes", REAL_SCENES)
    assert ended.code == 2
    assert "is masked in all images of run" in ended.err
    assert "no land" in ended.err


def test_help_names_every_command():
    ended = verdure("--help")
    assert ended.code == 0
    assert all(name in ended.out for name in ("demo", "run", "status", "redrive", "series"))
