"""What Earth Engine has beside the files: native grids, quality bands, clouds, the weather."""

import json
import shutil
import time
from datetime import date
from pathlib import Path

import ee
import numpy as np
import pytest
import rasterio
from conformance.cases import Grid, pixels

from emulator.catalogue import PublicCollection
from emulator.scenes import cloud_score, weather
from emulator.scenes.folder import load_folder
from emulator.scenes.sentinel2 import BANDS
from emulator.scenes.synthetic import Truth, write_region
from emulator.stored import StoredImage

REAL = Path(__file__).parents[2].parent / "shared/data/slovenia-s2-l1c"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no scenes at {REAL}")
S2, PROBABILITY = "COPERNICUS/S2_HARMONIZED", "COPERNICUS/S2_CLOUD_PROBABILITY"
SIZE = 120  # pixels: whole numbers of 60 m
CRS, ORIGIN = "EPSG:32633", (465180, 5080260)
OPAQUE, CIRRUS = 1024, 2048


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_region(tmp_path_factory.mktemp("region"), images=20, size=SIZE).parent


@pytest.fixture
def scenes(region: Path, tmp_path: Path):
    """A function that makes a folder of scenes, each of its own pixels and properties."""

    def make(values: list[dict[str, float]], **properties: list[object]) -> Path:
        manifest = json.loads((region / "scenes/scenes.json").read_text())
        entries = manifest["scenes"][: len(values)]
        for position, (scene, numbers) in enumerate(zip(entries, values, strict=True)):
            scene["properties"] |= {name: column[position] for name, column in properties.items()}
            path = tmp_path / scene["file"]
            shutil.copy(region / "scenes" / scene["file"], path)
            with rasterio.open(path, "r+") as dataset:
                for index, name in enumerate(BANDS, 1):
                    dataset.write(np.full((SIZE, SIZE), numbers.get(name, 500), "u2"), index)
        (tmp_path / "scenes.json").write_text(json.dumps(manifest | {"scenes": entries}))
        return tmp_path

    return make


def grid(metres: int = 10) -> Grid:
    side = SIZE * 10 // metres
    return Grid(side, side, CRS, (metres, 0, ORIGIN[0], 0, -metres, ORIGIN[1]))


def image(position: int = 0) -> ee.Image:
    return ee.Image(ee.ImageCollection(S2).toList(1, position).get(0))


@needs_real
def test_pixels_of_10_m_are_the_files_whatever_the_bands_own_grid(start_emulator) -> None:
    start_emulator("--scenes", str(REAL))
    for path in REAL.glob("*.tif"):
        with rasterio.open(path) as dataset:
            expected, t = dataset.read(), dataset.transform
        place = Grid(dataset.width, dataset.height, CRS, (10, 0, t.c, 0, -10, t.f))
        got = pixels(ee.Image(f"{S2}/{path.stem}").select(list(BANDS)), place)
        assert np.array_equal(np.stack([got[name] for name in BANDS]), expected)


def test_coarser_pixels_are_means_of_the_bands_own(region: Path, start_emulator) -> None:
    folder = region / "scenes"
    with rasterio.open(min(folder.glob("*.tif"))) as dataset:
        fine = dict(zip(BANDS, dataset.read().astype(float), strict=True))
    start_emulator("--scenes", str(folder))
    # Pixels that are 2^n of the band's own.
    levels = {"B4": (20, 40, 80), "B11": (20, 40, 80), "B1": (60, 120, 240)}
    for name, metres in ((name, metres) for name, sizes in levels.items() for metres in sizes):
        side, times = SIZE * 10 // metres, metres // 10
        expected = fine[name].reshape(side, times, side, times).mean(axis=(1, 3))
        got = pixels(image().select(name), grid(metres))[name]
        assert np.array_equal(got, np.rint(expected)), (name, metres)


def test_qa60_is_classified_from_reflectance(scenes, start_emulator) -> None:
    reflectance = [
        {},
        {"B2": 4000, "B11": 3000},
        {"B2": 8000, "B3": 8000, "B8": 8000, "B11": 800},  # snow
        {"B10": 200},
        {"B2": 4000, "B11": 3000, "B10": 200},
    ]
    start_emulator("--scenes", str(scenes([{"B10": 10} | values for values in reflectance])))
    for position, expected in enumerate([0, OPAQUE, 0, CIRRUS, OPAQUE]):
        for _ in range(2):  # computed, then read
            got = pixels(image(position).select("QA60"), grid(60))["QA60"]
            assert (got == expected).all(), reflectance[position]


def test_quality_bands_have_pixels_when_the_catalogue_says(scenes, start_emulator) -> None:
    snow = {"B2": 8000, "B3": 8000, "B8": 8000, "B10": 10, "B11": 800}
    days = {  # whether there is QA60, and MSK_CLASSI_*
        "2022-01-31": (True, False),
        "2022-02-01": (False, False),
        "2024-02-27": (False, False),
        "2024-02-28": (True, True),
    }
    sensed = np.array(list(days), "datetime64[ms]").astype(int).tolist()
    start_emulator("--scenes", str(scenes([snow] * 4, **{"system:time_start": sensed})))
    for position, (day, (qa60, classified)) in enumerate(days.items()):
        bands = image(position).select("QA60", "MSK_CLASSI.*")
        valid, values = pixels(bands.mask(), grid(60)), pixels(bands, grid(60))
        assert (valid["QA60"] == qa60).all(), day
        assert (valid["MSK_CLASSI_SNOW_ICE"] == classified).all(), day
        assert (values["MSK_CLASSI_SNOW_ICE"] == classified).all(), day
        assert not values["MSK_CLASSI_OPAQUE"].any(), day


def test_a_changed_scene_is_classified_anew(scenes, start_emulator) -> None:
    for values, expected in (({"B10": 10}, 0), ({"B10": 200}, CIRRUS)):
        running = start_emulator("--scenes", str(scenes([values])))
        assert (pixels(image().select("QA60"), grid(60))["QA60"] == expected).all()
        running.kill()


# Cloud probability


def test_what_belongs_to_scenes_may_be_missing_but_has_a_collection(scenes, start_emulator) -> None:
    folder = scenes([{}])
    content = json.loads((folder / "scenes.json").read_text())
    (folder / "scenes.json").write_text(json.dumps({**content, "collection": "TEST/OTHER"}))
    start_emulator("--scenes", str(folder))
    for collection in (PROBABILITY, cloud_score.CLOUD_SCORE_COLLECTION):
        assert ee.ImageCollection(collection).size().getInfo() == 0
        assert ee.data.getAsset(collection)["type"] == "IMAGE_COLLECTION"
    with pytest.raises(ee.EEException, match="'TEST/NOTHING' not found"):
        ee.ImageCollection("TEST/NOTHING").size().getInfo()


@needs_real
def test_cloud_probability_is_s2cloudless(start_emulator) -> None:
    s2cloudless = pytest.importorskip("s2cloudless")
    # Its paper's post-processing, with which the reference masks were made.
    detector = s2cloudless.S2PixelCloudDetector(0.4, True, 4, 2)
    start_emulator("--scenes", str(REAL))
    assert ee.ImageCollection(PROBABILITY).size().getInfo() == len(list(REAL.glob("*.tif")))
    for path in REAL.glob("*.tif"):
        with rasterio.open(path) as dataset:
            reflectance, t = dataset.read().transpose(1, 2, 0) / 10_000, dataset.transform
        with rasterio.open(REAL / "reference" / f"{path.stem}_CLM.tif") as dataset:
            reference = dataset.read(1)
        [expected] = detector.get_cloud_probability_maps(reflectance[None])
        height, width = expected.shape
        image = ee.Image(f"{PROBABILITY}/{path.stem}")
        place = Grid(width, height, CRS, (10, 0, t.c, 0, -10, t.f))
        got = pixels(image, place)["probability"]
        assert got.dtype == np.uint8
        assert np.array_equal(got, np.rint(expected * 100))
        [mask] = detector.get_mask_from_prob(got[None] / np.float32(100))
        assert (mask == reference).mean() > 0.99


# Cloud Score+


def test_some_scores_are_missing_and_some_come_late(region: Path) -> None:
    images = load_folder(region / "scenes").images
    scores = {image.index: image for image in load_folder(region / "cloud_score_plus").images}
    missing = [i for i, image in enumerate(images) if image.index not in scores]
    late = [i for i, image in enumerate(images) if image.index in scores
            and scores[image.index].available_after]  # fmt: skip
    assert missing == [i for i in range(20) if cloud_score.delay(i) is None] == [11]
    assert late == [6, 16]
    assert {scores[images[i].index].available_after for i in late} == {cloud_score.LATE_DAYS}


def test_an_image_is_there_when_its_days_have_passed() -> None:
    collection = PublicCollection(
        [StoredImage("C/b", ()), StoredImage("C/a", (), available_after=3)]
    )
    shown = {days: [i.id for i in collection.after(days)] for days in (0, 2.9, 3, 4)}
    assert shown == {0: ["C/b"], 2.9: ["C/b"], 3: ["C/a", "C/b"], 4: ["C/a", "C/b"]}


def test_late_scores_are_not_to_be_found(region: Path, start_emulator) -> None:
    start_emulator("--scenes", str(region))
    images, scores = ee.ImageCollection(S2), ee.ImageCollection(cloud_score.CLOUD_SCORE_COLLECTION)
    assert images.size().getInfo() == 20
    assert scores.size().getInfo() == 17
    names = images.aggregate_array("system:index").getInfo()
    late = f"{cloud_score.CLOUD_SCORE_COLLECTION}/{names[6]}"
    with pytest.raises(ee.EEException, match="not found"):
        ee.Image(late).bandNames().getInfo()
    with pytest.raises(ee.EEException, match="does not exist"):
        ee.data.getAsset(late)
    listed = ee.data.listAssets(cloud_score.CLOUD_SCORE_COLLECTION)["assets"]
    assert len(listed) == 17


def test_late_scores_appear_in_the_emulators_time(region: Path, start_emulator) -> None:
    start_emulator("--scenes", str(region), "--speed", "1e6")  # 3 days in a quarter of a second
    scores = ee.ImageCollection(cloud_score.CLOUD_SCORE_COLLECTION)
    deadline = time.monotonic() + 20
    while scores.size().getInfo() < 19:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    names = ee.ImageCollection(S2).aggregate_array("system:index").getInfo()
    late = ee.Image(f"{cloud_score.CLOUD_SCORE_COLLECTION}/{names[6]}")
    assert late.bandNames().getInfo() == cloud_score.CLOUD_SCORE_BANDS


def test_scores_tell_what_the_truth_is_but_not_quite(region: Path) -> None:
    by_class: dict[int, list[np.ndarray]] = {}
    for image in load_folder(region / "cloud_score_plus").images:
        with rasterio.open(image.bands[0].path) as dataset:
            score, likelihood = dataset.read()
        with rasterio.open(region / f"truth/{image.index}.tif") as dataset:
            truth = dataset.read(1)
        valid = truth != Truth.NODATA
        assert np.array_equal(valid, score >= 0)
        order = np.argsort(score[valid])
        assert (np.diff(likelihood[valid][order]) >= 0).all()
        for kind in np.unique(truth[valid]):
            by_class.setdefault(int(kind), []).append(score[truth == kind])
    means = {kind: np.concatenate(parts).mean() for kind, parts in by_class.items()}
    assert means[Truth.CLEAR] > 0.8
    assert means[Truth.CLOUD] < 0.3
    assert means[Truth.SHADOW] < 0.4
    assert means[Truth.CLOUD] < means[Truth.THIN_CLOUD] < means[Truth.CLEAR]
    clear = np.concatenate(by_class[Truth.CLEAR])
    assert 0 < (clear < 0.5).mean() < 0.1


# Weather


@pytest.mark.parametrize(
    ("day", "latitude", "expected"),
    [(246, -20.0, 32.2), (105, 13 + 44 / 60, 38.06), (196, 45 + 43 / 60, 40.55)],
)
def test_radiation_above_is_that_of_the_manual(day: int, latitude: float, expected: float) -> None:
    """FAO Irrigation and Drainage Paper 56, examples 8, 17 and 20: MJ a square metre and day."""
    [got] = weather.radiation_above(day, np.array([latitude]))
    assert got / 1e6 == pytest.approx(expected, abs=0.01)


def test_a_year_of_weather_is_plausible(region: Path) -> None:
    folder = load_folder(region / "weather")
    assert folder.collection == weather.WEATHER_COLLECTION
    stack = np.stack([rasterio.open(image.bands[0].path).read() for image in folder.images])
    mean, radiation, rain, low, high = stack[:, :, 3, 3].T
    day = np.arange(1, 366)
    above = np.concatenate([weather.radiation_above(int(d), np.array([45.9])) for d in day])
    assert (radiation > 0.2 * above).all()
    assert (radiation < 0.8 * above).all()
    assert radiation[150:210].mean() > 3 * radiation[335:365].mean()
    assert (low < mean).all()
    assert (mean < high).all()
    assert 268 < mean[:31].mean() < 280 < 288 < mean[181:212].mean() < 300
    assert 0.4 < rain.sum() < 2  # m a year
    assert np.corrcoef(high - low, radiation / above)[0, 1] > 0.9


def test_the_weather_follows_the_satellites_sky(region: Path) -> None:
    days = {image.index: image for image in load_folder(region / "weather").images}
    share = {}
    for scene in load_folder(region / "scenes").images:
        with rasterio.open(days[scene.index[:8]].bands[0].path) as dataset:
            radiation = dataset.read(2)[3, 3]
        day = date.fromisoformat(scene.index[:8]).timetuple().tm_yday
        above = weather.radiation_above(day, np.array([45.9]))[0]
        share[scene.index] = radiation / above, scene.properties["CLOUDY_PIXEL_PERCENTAGE"]
    dull = [radiation for radiation, cloudy in share.values() if cloudy > 90]
    bright = [radiation for radiation, cloudy in share.values() if cloudy < 5]
    assert max(dull) < min(bright)
