"""Which images are a background: the graphs against plain Python over the scenes' metadata."""

from dataclasses import replace

import ee
import pytest

from emulator import client, launch
from shared.earth.background import BackgroundRules, Selection, latest, median, select_background

from .archive import COLLECTION, NORTH, PIXEL, SIDE, WEST, hard_archive
from .conftest import pixels
from .numpy_background import chosen

DEFAULT = BackgroundRules()
RULES = {
    "default": DEFAULT,
    "past": replace(DEFAULT, allow_future=False),
    "few": replace(DEFAULT, number_of_images=5, number_preselect=9),
    "year": replace(DEFAULT, number_of_images=60, number_preselect=100, days=120),
    "strict": replace(DEFAULT, cloud_threshold=3, common_share=0.98),
    "unseen": replace(DEFAULT, valid_share=0),
}
IMAGES = ["P001", "P050", "P098", "LONG_AGO"]
GRID = {
    "dimensions": {"width": SIDE, "height": SIDE},
    "affineTransform": {
        "scaleX": PIXEL,
        "shearX": 0,
        "translateX": WEST,
        "shearY": 0,
        "scaleY": -PIXEL,
        "translateY": NORTH,
    },
    "crsCode": "EPSG:32633",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    made = hard_archive(tmp_path_factory.mktemp("archive") / "scenes")
    with launch.running(tmp_path_factory.mktemp("data"), [made.write()]) as url:
        client.connect(url)
        yield made


def image_of(name):
    return ee.Image(f"{COLLECTION}/{name}")


def names_of(image, scenes, rules=DEFAULT):
    """Return the ids of all selections, as the graph chooses them."""
    lists = [
        select_background(image, scenes, selection, rules).aggregate_array("system:index")
        for selection in Selection
    ]
    return dict(zip(Selection, ee.List(lists).getInfo(), strict=True))


@pytest.mark.parametrize("rules", RULES.values(), ids=list(RULES))
def test_membership_is_what_plain_python_makes_of_the_metadata(archive, rules):
    # Looking at pixels takes the emulator most of the time.
    looked_at = [scene for scene in archive.scenes if scene["id"] in IMAGES]
    for scene in looked_at if rules.valid_share > 0 else archive.scenes[::4]:
        got = names_of(image_of(scene["id"]), ee.ImageCollection(COLLECTION), rules)
        expected = {s: chosen(scene, archive.scenes, s, rules) for s in Selection}
        assert got == expected, scene["id"]


def test_neither_the_image_nor_its_reprocessed_twin_nor_its_pass(archive):
    everything = BackgroundRules(200, 200, days=2000, valid_share=0)
    for name in ("P050", "TWIN", "SAME_PASS"):
        got = set().union(
            *names_of(image_of(name), ee.ImageCollection(COLLECTION), everything).values()
        )
        assert len(got) > 70
        assert not got & {"P050", "TWIN", "SAME_PASS"}
    assert (
        "JUST_OUTSIDE"
        in names_of(image_of("P050"), ee.ImageCollection(COLLECTION), everything)[
            Selection.NEIGHBOURS
        ]
    )


def test_mostly_masked_images_are_taken_only_when_there_are_no_others(archive):
    some = ee.ImageCollection(COLLECTION).filter(
        ee.Filter.inList("system:index", ["P050", "ALL_MASKED", "P051", "P049"])
    )
    got = names_of(image_of("P050"), some)
    assert got[Selection.NEIGHBOURS] == ["P049", "P051", "ALL_MASKED"]
    assert got[Selection.CLEAREST_EVER][-1] == "ALL_MASKED"
    assert got[Selection.CLOUDIEST_NEIGHBOURS][-1] == "ALL_MASKED"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_candidates_are_all_taken_and_none_leaves_everything_masked(archive, count):
    names = ["P049", "P051"][:count]
    some = ee.ImageCollection(COLLECTION).filter(ee.Filter.inList("system:index", ["P050", *names]))
    image = image_of("P050")
    assert names_of(image, some)[Selection.NEIGHBOURS] == names
    found = select_background(image, some, Selection.NEIGHBOURS, DEFAULT)
    for predict in (median, latest):
        values = pixels(predict(found, image.select(["B4"])), GRID)
        if count == 0:
            assert (values == -1).all()
        elif count == 1 or predict is latest:
            assert (values == pixels(image_of("P049").select(["B4"]), GRID)).all()


def test_the_latest_of_the_least_cloudy_is_not_from_the_future(archive):
    scenes = ee.ImageCollection(COLLECTION)
    image = image_of("P050")
    found = select_background(image, scenes, Selection.CLEAREST_EVER, DEFAULT)
    times = {scene["id"]: scene["time"] for scene in archive.scenes}
    names = found.aggregate_array("system:index").getInfo()
    newest = max((n for n in names if times[n] < times["P050"]), key=times.__getitem__)
    assert any(times[name] > times["P050"] for name in names)
    got = pixels(latest(found, image.select(["B4"])), GRID)
    assert (got == pixels(image_of(newest).select(["B4"]), GRID)).all()


def test_images_without_tile_names_are_each_others_background(archive):
    got = names_of(image_of("UNKNOWN_TILE"), ee.ImageCollection(COLLECTION))
    assert got[Selection.NEIGHBOURS] == ["UNKNOWN_TILE_TOO"]
