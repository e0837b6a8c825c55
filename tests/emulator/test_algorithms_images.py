"""Images, asked for through the real client; expectations from guides, numpy and scipy."""

import ee
import numpy as np
import pytest
from scipy import ndimage

pytestmark = pytest.mark.usefixtures("ee_emulator")

GRID = {
    "dimensions": {"width": 12, "height": 9},
    "affineTransform": {
        "scaleX": 10,
        "shearX": 0,
        "translateX": 500_000,
        "shearY": 0,
        "scaleY": -10,
        "translateY": 5_100_000,
    },
    "crsCode": "EPSG:32633",
}


def _pixels(image):
    """Return the bands of an image on the grid by name."""
    request = {"expression": image, "fileFormat": "NUMPY_NDARRAY", "grid": GRID}
    array = ee.data.computePixels(request)
    return {name: array[name] for name in array.dtype.names}


def _noise(seed=0, top=100):
    return ee.Image.random(seed).multiply(top).floor().toInt16().rename("v")


def _at(image):
    """Return the bands of an image at one pixel."""
    point = ee.Geometry.Point([15.0, 46.0])
    return image.reduceRegion(ee.Reducer.first(), point, 500).getInfo()


def test_random_numbers_are_repeatable_and_uniform():
    first, second = _pixels(ee.Image.random(3)), _pixels(ee.Image.random(3))
    assert np.array_equal(first["random"], second["random"])
    assert not np.array_equal(first["random"], _pixels(ee.Image.random(4))["random"])
    assert 0 <= first["random"].min() < first["random"].max() < 1
    assert abs(first["random"].mean() - 0.5) < 0.1


@pytest.mark.parametrize(
    ("build", "reference"),
    [
        (lambda a, b: a.add(b), lambda a, b: a + b),
        (lambda a, b: a.subtract(b), lambda a, b: a - b),
        (lambda a, b: a.multiply(b), lambda a, b: a * b),
        (lambda a, b: a.divide(b), lambda a, b: np.divide(a, b, out=0 * a, where=b != 0)),
        (lambda a, b: a.mod(b), lambda a, b: np.fmod(a, b, out=0 * a, where=b != 0)),
        (lambda a, b: a.min(b), np.minimum),
        (lambda a, b: a.gt(b), np.greater),
        (lambda a, b: a.neq(b), np.not_equal),
        (lambda a, b: a.hypot(b), np.hypot),
        (lambda a, b: a.atan2(b), lambda a, b: np.arctan2(b, a)),
        (
            lambda a, b: a.expression("x > y ? x ** 2 : -y", {"x": a, "y": b}),
            lambda a, b: np.where(a > b, a**2, -b),
        ),
    ],
)
def test_arithmetic_agrees_with_numpy(build, reference):
    a, b = _noise(1).subtract(50), _noise(2).subtract(50)
    x, y = (_pixels(image)["v"].astype(float) for image in (a, b))
    [got] = _pixels(build(a, b)).values()
    assert np.allclose(got, reference(x, y), rtol=1e-6)


def test_the_sum_of_bytes_does_not_overflow():
    assert _at(ee.Image(200).toByte().add(ee.Image(100).toByte())) == {"constant": 300}


def test_integers_divide_to_fractions_but_not_in_an_expression():
    # https://developers.google.com/earth-engine/guides/image_math
    assert _at(ee.Image(1).divide(4)) == {"constant": 0.25}
    assert _at(ee.Image(10).expression("b(0) / 20")) == {"constant": 0}


def test_select_patterns_are_anchored_and_names_stay_unique():
    image = ee.Image([1, 2, 3]).rename(["B1", "B11", "QA"])
    assert image.select("B1").bandNames().getInfo() == ["B1"]
    assert image.select("B.*").bandNames().getInfo() == ["B1", "B11"]
    assert image.addBands(image.select("QA")).bandNames().getInfo()[-1] == "QA_1"
    with pytest.raises(ee.EEException, match="Band pattern 'x' did not match any bands"):
        image.select("x").getInfo()


def test_masks_multiply_and_unmask_fills():
    image = ee.Image(5).updateMask(0.5).updateMask(0.5)
    assert _at(image.mask()) == {"constant": 0.25}
    assert _at(ee.Image(5).updateMask(0).updateMask(1)) == {"constant": None}
    assert _at(ee.Image(5).updateMask(0).unmask(7)) == {"constant": 7}
    assert _at(ee.Image(0).selfMask()) == {"constant": None}


def test_where_ignores_masked_tests_and_values():
    masked = ee.Image(1).updateMask(0)
    assert _at(ee.Image(1).where(masked, 9)) == {"constant": 1}
    assert _at(ee.Image(1).where(1, ee.Image(9).updateMask(0))) == {"constant": 1}
    assert _at(ee.Image(1).where(1, 9)) == {"constant": 9}


def _stack(n=7):
    images = [_noise(i).updateMask(ee.Image.random(100 + i).gt(0.4)) for i in range(n)]
    values = [_pixels(_noise(i))["v"].astype(float) for i in range(n)]
    masks = [_pixels(ee.Image.random(100 + i))["random"] > 0.4 for i in range(n)]
    return ee.ImageCollection(images), np.where(np.stack(masks), np.stack(values), np.nan)


@pytest.mark.parametrize(
    ("reducer", "reference"),
    [
        ("median", np.nanmedian),
        ("mean", np.nanmean),
        ("stdDev", np.nanstd),
        ("min", np.nanmin),
        ("max", np.nanmax),
        ("sum", np.nansum),
        ("count", lambda values, axis: (~np.isnan(values)).sum(axis=axis)),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN", "ignore:Mean of empty", "ignore:Degrees of")
def test_reductions_of_a_collection_agree_with_numpy(reducer, reference):
    collection, values = _stack()
    got = _pixels(collection.reduce(getattr(ee.Reducer, reducer)()).unmask(-1))
    some = (~np.isnan(values)).any(axis=0)
    [band] = got.values()
    assert list(got) == [f"v_{reducer}"]
    assert np.allclose(band[some], reference(values, axis=0)[some], rtol=1e-6)
    assert (band[~some] == -1).all()


def test_percentiles_and_the_mosaic_of_a_collection():
    collection, values = _stack()
    got = _pixels(collection.reduce(ee.Reducer.percentile([25, 90])))
    full = (~np.isnan(values)).any(axis=0)
    assert list(got) == ["v_p25", "v_p90"]
    for name, share in (("v_p25", 25), ("v_p90", 90)):
        expected = np.nanpercentile(values[:, full], share, axis=0)
        assert np.allclose(got[name][full], expected)
    last = values[-1]
    top = _pixels(collection.mosaic())["v"]
    assert np.array_equal(top[~np.isnan(last)], last[~np.isnan(last)])


@pytest.mark.parametrize("side", ["Min", "Max"])
def test_focal_extremes_agree_with_scipy(side):
    image = _noise(5)
    # The client's grid has no neighbours outside itself, so they come from a larger one.
    around = _pixels(image)["v"]
    got = _pixels(getattr(image, f"focal{side}")(2, "circle", "pixels"))["v"]
    y, x = np.mgrid[-2:3, -2:3]
    run = ndimage.minimum_filter if side == "Min" else ndimage.maximum_filter
    expected = run(around, footprint=x**2 + y**2 <= 4)
    assert np.array_equal(got[2:-2, 2:-2], expected[2:-2, 2:-2])


def test_a_mean_filter_is_a_normalised_convolution():
    image = _noise(6)
    mean = _pixels(image.focalMean(1, "square", "pixels"))["v"]
    convolved = _pixels(image.convolve(ee.Kernel.square(1)))["v"]
    expected = ndimage.uniform_filter(_pixels(image)["v"].astype(float), 3)
    assert np.allclose(mean[1:-1, 1:-1], expected[1:-1, 1:-1])
    assert np.allclose(convolved, mean, rtol=1e-5)


def test_weighted_and_unweighted_reductions_of_a_region():
    # 2.5 by 2 pixels: https://developers.google.com/earth-engine/guides/reducers_reduce_region
    region = ee.Geometry.Rectangle([0, 0, 25, 20], "EPSG:3857", False)

    def total(reducer):
        return (ee.Image(1).reduceRegion(reducer, region, crs="EPSG:3857", scale=10).getInfo())[
            "constant"
        ]

    assert total(ee.Reducer.sum()) == pytest.approx(5)
    assert total(ee.Reducer.sum().unweighted()) in (4, 6)
    assert total(ee.Reducer.count()) in (4, 6)


def test_too_many_pixels_in_a_region_is_an_error():
    region = ee.Geometry.Rectangle([0, 0, 1000, 1000], "EPSG:3857", False)
    request = ee.Image(1).reduceRegion(ee.Reducer.sum(), region, 1, "EPSG:3857", maxPixels=10)
    with pytest.raises(ee.EEException, match=r"Too many pixels in the region. Found 1000000"):
        request.getInfo()


def test_the_pixel_areas_of_the_earth_add_up():
    whole = ee.Geometry.Rectangle([-180, -90, 180, 90], "EPSG:4326", False)
    area = ee.Image.pixelArea().reduceRegion(
        ee.Reducer.sum(), whole, crs="EPSG:4326", crsTransform=[1, 0, -180, 0, -1, 90]
    )
    assert area.getInfo()["area"] == pytest.approx(5.10065621724e14, rel=1e-6)  # WGS 84


def test_composites_have_a_grid_of_one_degree():
    # https://developers.google.com/earth-engine/guides/projections
    projection = ee.ImageCollection([ee.Image(1)]).mean().projection().getInfo()
    assert (projection["crs"], projection["transform"]) == ("EPSG:4326", [1, 0, 0, 0, 1, 0])


def test_visualize_stretches_to_bytes():
    shown = ee.Image([0, 50, 200]).visualize(min=0, max=100)
    assert _at(shown) == {"red": 0, "green": 128, "blue": 255}
    assert _at(ee.Image(1).visualize(min=0, max=1, palette=["black", "00FF00"])) == {
        "red": 0,
        "green": 255,
        "blue": 0,
    }


def test_a_clip_masks_what_is_outside():
    square = ee.Geometry.Rectangle([500_020, 5_099_950, 500_050, 5_100_000], "EPSG:32633", False)
    got = _pixels(ee.Image(1).clip(square))["constant"]
    expected = np.zeros((9, 12))
    expected[:5, 2:5] = 1
    assert np.array_equal(got, expected)


def test_unmask_fills_inside_the_footprint_unless_told_otherwise():
    square = ee.Geometry.Rectangle([500_020, 5_099_950, 500_050, 5_100_000], "EPSG:32633", False)
    image = ee.Image(1).clip(square)
    assert _pixels(image.unmask(5))["constant"].sum() == 15
    assert _pixels(image.unmask(5, False))["constant"].sum() == 15 + 5 * (9 * 12 - 15)
