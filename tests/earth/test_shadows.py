"""Where the sun is, and where its clouds' shadows may be."""

from datetime import UTC, datetime

import ee
import numpy as np
import pytest

from emulator.scenes.sentinel2 import sun as spencers_sun
from shared.earth.shadows import SEEN, UNKNOWN, UNSEEN, USUAL_ZENITH, shading_clouds, sun

from .conftest import COLLECTION, pixels

SUN = ("MEAN_SOLAR_ZENITH_ANGLE", "MEAN_SOLAR_AZIMUTH_ANGLE")
#: In the square's middle; as rows and columns.
CLOUD = (slice(24, 36), slice(30, 36))


@pytest.fixture
def scene(region):
    """An image without angles, whose pixels are 10 m wide, and its grid."""
    image_id = next(name for name in region.properties if _whole(region, name))
    image = ee.Image(f"{COLLECTION}/{image_id}")
    return without(image.select(["B2"]), *SUN), region.grid(image_id)


def without(image, *names):
    bare = image.multiply(1).copyProperties(image, image.propertyNames().removeAll(list(names)))
    return ee.Image(bare)


def _whole(region, image_id):
    return np.isfinite(region.reflectance(image_id)["B2"]).all()


def angles(image, dated=True):
    return ee.List(list(sun(image, dated))).getInfo()


@pytest.mark.parametrize(
    ("when", "lon", "lat"),
    [
        (datetime(2018, 6, 21, 10, 0, 21, tzinfo=UTC), 14.5, 46),
        (datetime(2018, 12, 21, 10, 0, 21, tzinfo=UTC), 14.5, 46),
        (datetime(2024, 3, 1, 23, 50, tzinfo=UTC), 151, -33),
        (datetime(2021, 9, 9, 13, 30, tzinfo=UTC), -55, 2),
        (datetime(2022, 4, 25, 11, 0, tzinfo=UTC), 23, 68),
    ],
)
def test_the_sun_is_where_another_formula_has_it(region, when, lon, lat):
    image = ee.Image(0).clip(ee.Geometry.Point(lon, lat).buffer(500))
    found = angles(image.set("system:time_start", when.timestamp() * 1000))
    zenith, azimuth = spencers_sun(when, lon, lat)
    # Spencer's year is the same every year, which is up to half a day (0.2°) wrong; under a high
    # sun the azimuth is more so.
    np.testing.assert_allclose(found, [zenith, azimuth % 360], atol=1)


def test_the_sun_is_where_a_published_example_has_it(region):
    image = ee.Image(0).clip(ee.Geometry.Point(-105.1786, 39.742476).buffer(10))
    when = datetime(2003, 10, 17, 19, 30, 30, tzinfo=UTC)
    found = angles(image.set("system:time_start", when.timestamp() * 1000))
    # Reda and Andreas 2004 (doi 10.1016/j.solener.2003.12.003), table of section A.5.
    np.testing.assert_allclose(found, [50.11, 194.34], atol=0.05)


def test_an_images_own_angles_come_first_and_without_a_time_there_are_none(scene):
    image, _ = scene
    assert angles(image.set(SUN[0], 50, SUN[1], 120)) == [50, 120]
    undated = without(image, "system:time_start")
    assert angles(undated, dated=False) == [USUAL_ZENITH, UNKNOWN]
    assert angles(undated.set(SUN[0], 50, SUN[1], 120), dated=False) == [50, 120]


def shading(scene, zenith, azimuth, cloudy=True, dated=True):
    """Return what is known of CLOUD, or none, over each pixel."""
    image, grid = scene
    west, north = (grid["affineTransform"][name] for name in ("translateX", "translateY"))
    rows, cols = CLOUD
    xs, ys = ([10 * part.start, 10 * part.stop] for part in (cols, rows))
    corners = [west + xs[0], north - ys[1], west + xs[1], north - ys[0]]
    square = ee.Geometry.Rectangle(corners, grid["crsCode"], False)
    clouds = image.multiply(0).paint(square, int(cloudy))
    lit = image.set(SUN[0], zenith, SUN[1], azimuth) if zenith is not None else image
    return pixels(shading_clouds(clouds, lit, dated), grid)


@pytest.mark.parametrize(
    ("azimuth", "rows", "cols"),
    [(90, (27, 33), (20, 28)), (180, (12, 22), (31, 35)), (0, (38, 44), (31, 35))],
)
def test_shadows_lie_away_from_the_sun(scene, azimuth, rows, cols):
    found = shading(scene, 2.5, azimuth) == SEEN  # 153 m long at most
    assert found[slice(*rows), slice(*cols)].all()
    opposite = np.roll(found[::-1, ::-1], (-4, 2), (0, 1))
    assert not opposite[slice(*rows), slice(*cols)].any()
    assert found[12:52, 12:52].mean() < 0.3


def test_a_cloud_may_stand_outside_the_image(scene):
    found = shading(scene, 7.0, 90, cloudy=False)  # 430 m, of which half must be inside
    assert (found[:, 50:] == UNSEEN).all()
    assert not found[:, :36].any()


def test_where_the_sun_is_unknown_clouds_shade_what_is_near(scene):
    image, grid = scene
    undated = without(image, "system:time_start"), grid
    assert (shading(undated, None, None, dated=False) == SEEN).all()
    # 640 m across: an unseen cloud may stand on all sides.
    assert (shading(undated, None, None, cloudy=False, dated=False) == UNSEEN).all()
