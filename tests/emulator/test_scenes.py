"""Scene folders: what is read, what is refused, and whether the synthetic region is as it says."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer

from emulator.scenes.atmosphere import Weather, make_air, shadow_shift
from emulator.scenes.folder import InvalidSceneFolder, SceneFolder, load_folder
from emulator.scenes.landscape import Cover, make_landscape
from emulator.scenes.optics import opacity
from emulator.scenes.sentinel2 import BANDS, CRS, acquisitions, sun
from emulator.scenes.synthetic import (
    LAT,
    LON,
    Truth,
    write_metadata_only,
    write_region,
)
from emulator.scenes.tiff import Truncated, check_complete

REAL = Path(__file__).parents[2].parent / "shared/data/slovenia-s2-l1c"
SIZE = 96
PLACE = {"crs": CRS, "transform": rasterio.Affine(10, 0, 465180, 0, -10, 5080260)}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_region(tmp_path_factory.mktemp("region"), size=SIZE).parent


@pytest.fixture(scope="module")
def truth(region: Path) -> np.ndarray:
    return np.stack([read(image.bands[0].path) for image in load_folder(region / "truth").images])


@pytest.fixture(scope="module")
def scenes(region: Path) -> np.ndarray:
    return np.stack([read(image.bands[0].path) for image in load_folder(region / "scenes").images])


@pytest.fixture
def folder(region: Path, tmp_path: Path) -> Path:
    """A folder of two scenes, to be damaged."""
    manifest = json.loads((region / "scenes/scenes.json").read_text())
    manifest["scenes"] = manifest["scenes"][:2]
    for scene in manifest["scenes"]:
        shutil.copy(region / "scenes" / scene["file"], tmp_path)
    (tmp_path / "scenes.json").write_text(json.dumps(manifest))
    return tmp_path


def read(path: Path | None) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def edit(folder: Path, **scene: object) -> SceneFolder:
    """Change the first scene's entry and load the folder."""
    path = folder / "scenes.json"
    manifest = json.loads(path.read_text())
    manifest["scenes"][0] |= scene
    path.write_text(json.dumps(manifest))
    return load_folder(folder)


def first_file(folder: Path) -> Path:
    return min(folder.glob("*.tif"))


# The folder format


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/slovenia-s2-l1c")
def test_real_scenes_load_with_standard_properties() -> None:
    folder = load_folder(REAL)
    assert (folder.collection, len(folder.images)) == ("COPERNICUS/S2_HARMONIZED", 5)
    assert folder.unreadable == []
    image = folder.images[0]
    assert [band.name for band in image.bands] == list(BANDS)
    assert image.bands[12].index == 13
    assert image.bands[0].transform == (10, 0, 465181, 0, -10, 5080255)
    assert image.properties["system:footprint"] == image.footprint
    assert shapely.geometry.shape(image.footprint).contains(shapely.Point(14.5578, 45.8704))


def test_truncated_file_is_reported_and_the_rest_served(folder: Path) -> None:
    path = first_file(folder)
    path.write_bytes(path.read_bytes()[:-1])
    loaded = load_folder(folder)
    assert len(loaded.images) == 1
    (sentence,) = loaded.unreadable
    assert path.name in sentence
    assert "truncated" in sentence
    assert "copy it again" in sentence


@pytest.mark.parametrize("bigtiff", ["NO", "YES"])
def test_every_shorter_file_is_truncated(tmp_path: Path, bigtiff: str) -> None:
    path = tmp_path / "masked.tif"
    profile = PLACE | {"driver": "GTiff", "dtype": "uint8", "count": 2, "height": 64, "width": 64}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", **profile, tiled=True, blockxsize=16, blockysize=16, BIGTIFF=bigtiff
        ) as dataset,
    ):
        dataset.write(np.full((2, 64, 64), 7, np.uint8))
        dataset.write_mask(np.eye(64, dtype=bool))
    check_complete(path)
    whole = path.read_bytes()
    for length in (*range(16, len(whole), 97), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(Truncated):
            check_complete(path)


def test_other_than_geotiff_is_reported(folder: Path) -> None:
    first_file(folder).write_text("<html>404</html>")
    assert "is not a GeoTIFF" in load_folder(folder).unreadable[0]


def test_other_band_count_is_reported(folder: Path) -> None:
    profile = PLACE | {"dtype": "uint16", "count": 3, "height": SIZE, "width": SIZE}
    with rasterio.open(first_file(folder), "w", driver="GTiff", **profile) as dataset:
        dataset.write(np.ones((3, SIZE, SIZE), np.uint16))
    assert "has 3 bands where scenes.json declares 13" in load_folder(folder).unreadable[0]


def test_missing_file_is_reported(folder: Path) -> None:
    first_file(folder).unlink()
    assert "does not exist" in load_folder(folder).unreadable[0]


def test_files_outside_the_folder_are_refused(folder: Path, region: Path) -> None:
    outside = first_file(region / "truth")
    (folder / "link.tif").symlink_to(outside)
    for name in (str(outside), f"../{outside.name}", f"x/../{outside.name}", "link.tif"):
        loaded = edit(folder, file=name)
        assert "points out of the folder" in loaded.unreadable[0]


def test_given_properties_and_footprint_are_kept(folder: Path) -> None:
    triangle = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 1], [0, 0]]]}
    image = edit(folder, footprint=triangle, properties={"system:index": "own"}).images[0]
    assert image.footprint == image.properties["system:footprint"] == triangle
    assert image.properties["system:index"] == "own"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "must be an object"),
        ('{"scenes": []}', "'collection' is missing; it must be a text"),
        ('{"collection": "C", "scenes": {}}', "'scenes' must be a list"),
        ('{"collection": "C", "scenes": [{"file": "a"}]}', r"scenes\[0\]: 'id' is missing"),
        ('{"collection": "C", "scenes": [{"id": "a"}]}', "either 'file' or 'files' or 'grid'"),
        (
            '{"collection": "C", "scenes": [{"id": "a", "file": "a"}, {"id": "a", "file": "b"}]}',
            "must be unique",
        ),
    ],
)
def test_invalid_manifest_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "scenes.json").write_text(text)
    with pytest.raises(InvalidSceneFolder, match=message):
        load_folder(tmp_path)


def test_missing_manifest_says_what_a_folder_needs(tmp_path: Path) -> None:
    with pytest.raises(InvalidSceneFolder, match="a scene folder needs one"):
        load_folder(tmp_path)


def test_metadata_only_folder_has_distinct_images_over_the_season(tmp_path: Path) -> None:
    images = load_folder(write_metadata_only(tmp_path, 500)).images
    assert len({image.id for image in images}) == 500
    assert all(band.path is None for image in images for band in image.bands)
    times = [image.properties["system:time_start"] for image in images]
    assert max(times) - min(times) > 200 * 86_400_000


# The synthetic region


def test_the_seed_decides_every_pixel(tmp_path: Path) -> None:
    again = load_folder(write_region(tmp_path / "again", images=4, size=SIZE))
    once_more = load_folder(write_region(tmp_path / "more", images=4, size=SIZE))
    other = load_folder(write_region(tmp_path / "other", seed=1, images=4, size=SIZE))
    pixels = [read(folder.images[0].bands[0].path) for folder in (again, once_more, other)]
    assert np.array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels[0], pixels[2])


def test_writing_again_changes_nothing_and_spares_what_others_made(
    folder: Path, region: Path
) -> None:
    before = (region / "scenes/scenes.json").stat().st_mtime_ns
    write_region(region, size=SIZE)
    assert (region / "scenes/scenes.json").stat().st_mtime_ns == before
    (folder / "scenes").mkdir()
    (folder / "scenes/scenes.json").write_text("{}")
    with pytest.raises(FileExistsError):
        write_region(folder)


def test_the_season_has_every_class_in_plausible_shares(truth: np.ndarray) -> None:
    classes = truth[:, 0]
    valid = classes != Truth.NODATA
    shares = {kind: (classes[valid] == kind).mean() for kind in Truth}
    assert 0.4 < shares[Truth.CLEAR] < 0.7
    assert 0.15 < shares[Truth.CLOUD] < 0.4
    assert 0.02 < shares[Truth.SHADOW] < 0.15
    assert 0.005 < shares[Truth.SNOW] < 0.1
    assert 0.05 < shares[Truth.THIN_CLOUD] < 0.25


def test_truth_nodata_is_what_the_scene_and_the_footprint_leave_out(
    region: Path, scenes: np.ndarray, truth: np.ndarray
) -> None:
    nodata = truth[:, 0] == Truth.NODATA
    assert np.array_equal(nodata, (scenes == 0).all(1))
    assert np.array_equal(nodata, (scenes == 0).any(1))
    to_lon_lat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    images = load_folder(region / "scenes").images
    rows, cols = np.indices((SIZE, SIZE)) + 0.5
    _, _, west, _, _, north = images[0].bands[0].transform
    lon, lat = to_lon_lat.transform(west + 10 * cols, north - 10 * rows)
    for image, missing in zip(images, nodata, strict=True):
        footprint = shapely.geometry.shape(image.footprint)
        assert np.array_equal(shapely.contains_xy(footprint, lon, lat), ~missing)
    assert 2 <= (nodata.mean((1, 2)) > 0.85).sum() <= 3


@pytest.mark.parametrize(("azimuth", "shift"), [(180, (-10, 0)), (90, (0, -10)), (135, (-7, -7))])
def test_shadows_fall_away_from_the_sun(azimuth: float, shift: tuple[int, int]) -> None:
    assert shadow_shift(100, 45, azimuth) == shift


def test_what_is_between_the_ground_and_the_sun_are_the_clouds_displaced() -> None:
    sky, position = Weather(cover=0.4, base=800, haze=0, cirrus=0), (30.0, 150.0)
    air = make_air(sky, position, 128, np.random.default_rng(1))
    down, right = shadow_shift(sky.base, *position)
    assert down < 0
    assert right < 0
    cloud = air.clouds[-down:, -right:]
    assert np.array_equal(air.sunward[:down, :right], cloud)
    assert 0.2 < opacity(cloud, 0).mean() < 0.6


def test_the_sun_stands_where_almanacs_say() -> None:
    """On the June solstice it passes south at latitude minus declination from the zenith."""
    times = [scene.time for scene in acquisitions(50) if scene.time.month == 6]
    noon = times[-3].replace(day=21, hour=11, minute=4, second=0)
    zenith, azimuth = sun(noon, LON, LAT)
    assert zenith == pytest.approx(LAT - 23.44, abs=0.05)
    assert azimuth == pytest.approx(180, abs=1.5)


def test_b10_sees_cirrus_and_nothing_else_on_the_ground(
    scenes: np.ndarray, truth: np.ndarray
) -> None:
    b10 = scenes[:, list(BANDS).index("B10")] / 10_000
    clear = truth[:, 0] == Truth.CLEAR
    cloudy = [band[kind == Truth.THIN_CLOUD].max(initial=0) for band, kind in
              zip(b10, truth[:, 0], strict=True)]  # fmt: skip
    assert b10[clear].mean() < 0.004
    assert max(cloudy) > 0.02


def test_deciduous_forest_is_greenest_in_summer() -> None:
    landscape = make_landscape(np.random.default_rng(0), 128)
    forest = landscape.cover == Cover.DECIDUOUS
    assert forest.mean() > 0.1

    def ndvi(day: int) -> float:
        red, infrared = landscape.reflectance(day)[[3, 7]][:, forest]
        return float(((infrared - red) / (infrared + red)).mean())

    season = {day: ndvi(day) for day in range(60, 305, 5)}
    assert 150 < max(season, key=season.__getitem__) < 250
    assert season[60] < 0.5
    assert max(season.values()) > 0.7


def test_scenes_are_numbered_and_timed_as_the_catalogue_does(region: Path) -> None:
    images = load_folder(region / "scenes").images
    ids = [image.id.rpartition("/")[2] for image in images]
    assert ids == sorted(set(ids))
    assert ids[0].startswith("20180301T100021_")
    assert {image.properties["SENSING_ORBIT_NUMBER"] for image in images} == {122, 79}
    assert [image.id.rpartition("/")[2] for image in load_folder(region / "truth").images] == ids
    cloudy = [image.properties["CLOUDY_PIXEL_PERCENTAGE"] for image in images]
    assert min(cloudy) >= 0
    assert max(cloudy) <= 100
    assert np.std(cloudy) > 20


@pytest.mark.parametrize(
    ("kind", "month", "zenith", "class_of_its_own"),
    [("winter", {1, 2, 3}, 50, Truth.SNOW), ("desert", {5, 7}, 20, None), ("coast", {6}, 20, None)],
)
def test_other_kinds_of_region(
    tmp_path: Path, kind: str, month: set[int], zenith: float, class_of_its_own: Truth | None
) -> None:
    folder = load_folder(write_region(tmp_path, images=12, size=64, kind=kind))
    assert min(i.properties["MEAN_SOLAR_ZENITH_ANGLE"] for i in folder.images) > zenith
    truth = np.stack(
        [read(image.bands[0].path)[0] for image in load_folder(tmp_path / "truth").images]
    )
    snow = (truth == Truth.SNOW).mean()
    assert (snow > 0.1) == (class_of_its_own is Truth.SNOW)
    assert month & {int(image.id.rpartition("/")[2][4:6]) for image in folder.images}


def test_an_unknown_kind_of_region_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind is 'moon'; it must be one of foothills, winter"):
        write_region(tmp_path, kind="moon")
