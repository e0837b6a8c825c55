"""Stored pixels: grids, pyramids, masks, and files that come back as they were written."""

import math
import re
import shutil

import ee
import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine

from emulator import engine, grids, raster
from emulator.band_files import stored_band, write_bands
from emulator.errors import EarthEngineError
from emulator.functions import elementwise
from emulator.stored import StoredBand

UTM = "EPSG:32633"
TRANSFORM = (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_100_000.0)
GRID = grids.Grid(UTM, TRANSFORM)
SIZE = 64


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(1, 10_000, (SIZE, SIZE)).astype("uint16")


@pytest.fixture
def stored(tmp_path, values):
    """A file of one band whose first three rows are nodata."""
    values[:3] = 0
    path = tmp_path / "band.tif"
    profile = {"driver": "GTiff", "count": 1, "width": SIZE, "height": SIZE, "dtype": "uint16"}
    with rasterio.open(
        path, "w", crs=UTM, transform=Affine(*TRANSFORM), nodata=0, **profile
    ) as file:
        file.write(values, 1)
    return StoredBand("B", "uint16", UTM, TRANSFORM, SIZE, SIZE, path)


def _read(stored, box):
    [pixels] = raster.read(raster.Image([stored_band(stored)]), box)
    return pixels


def test_the_own_grid_comes_back_pixel_by_pixel(stored, values):
    data, mask = _read(stored, grids.PixelBox(GRID, SIZE, SIZE))
    assert np.array_equal(data, values)
    assert np.array_equal(mask, (values > 0).astype("float32"))


def test_a_box_that_reaches_outside_is_masked_there(stored, values):
    data, mask = _read(stored, grids.PixelBox(GRID, 10, 10, x=-5, y=SIZE - 5))
    assert np.array_equal(data[:5, 5:], values[-5:, :5])
    assert mask[:5, 5:].all()
    assert mask.sum() == 25


def test_another_projection_takes_the_nearest_pixel(stored, values):
    degree = 1e-4
    to_lonlat = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    west, north = to_lonlat.transform(500_100, 5_099_900)
    grid = grids.Grid("EPSG:4326", (degree, 0.0, west, 0.0, -degree, north))
    data, mask = _read(stored, grids.PixelBox(grid, 30, 20))
    x, y = np.meshgrid(
        west + degree * (np.arange(30) + 0.5), north - degree * (np.arange(20) + 0.5)
    )
    easting, northing = pyproj.Transformer.from_crs("EPSG:4326", UTM, always_xy=True).transform(
        x, y
    )
    columns = np.floor((easting - 500_000) / 10).astype(int)
    rows = np.floor((5_100_000 - northing) / 10).astype(int)
    inside = (rows >= 0) & (rows < SIZE) & (columns >= 0) & (columns < SIZE)
    assert np.array_equal(mask > 0, inside)
    assert np.array_equal(data[inside], values[rows[inside], columns[inside]])


def test_coarser_pixels_are_means_of_the_valid_ones(stored, values):
    coarse = grids.Grid(UTM, (40.0, 0.0, 500_000.0, 0.0, -40.0, 5_100_000.0))
    data, mask = _read(stored, grids.PixelBox(coarse, SIZE // 4, SIZE // 4))
    blocks = np.where(values > 0, values, np.nan).reshape(SIZE // 4, 4, SIZE // 4, 4)
    assert np.array_equal(data, np.rint(np.nanmean(blocks, axis=(1, 3))))
    assert np.array_equal(mask, (~np.isnan(blocks)).mean(axis=(1, 3)).astype("float32"))


def test_a_scale_between_levels_reads_the_finer_one(stored):
    # https://developers.google.com/earth-engine/guides/scale
    finer = grids.Grid(UTM, (20.0, 0.0, 500_000.0, 0.0, -20.0, 5_100_000.0))
    between = grids.Grid(UTM, (30.0, 0.0, 500_000.0, 0.0, -30.0, 5_100_000.0))
    level = _read(stored, grids.PixelBox(finer, SIZE // 2, SIZE // 2)).data
    got = _read(stored, grids.PixelBox(between, 20, 20)).data
    nearest = np.floor((np.arange(20) + 0.5) * 30 / 20).astype(int)
    assert np.array_equal(got, level[np.ix_(nearest, nearest)])


def test_what_is_written_comes_back(stored, tmp_path):
    image = raster.Image([stored_band(stored), stored_band(stored).renamed("a/b.c")])
    box = grids.PixelBox(GRID, 40, 30, x=5, y=1)
    written = write_bands(image, box, tmp_path, {".default": "MODE", "B": "SAMPLE"})
    assert [band.pyramiding for band in written] == ["SAMPLE", "MODE"]
    assert [band.transform for band in written] == [box.transform] * 2
    assert len({band.path for band in written}) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["B.tif", "a%2Fb%2Ec.tif", "band.tif"]
    expected = raster.read(image, box)
    for band, pixels in zip(written, expected, strict=True):
        back = _read(band, box)
        assert np.array_equal(back.mask, pixels.mask)
        assert np.array_equal(back.data[back.mask > 0], pixels.data[pixels.mask > 0])


def test_fractional_masks_are_kept_in_steps_of_a_255th(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(raster, "TILE", 16)
    box = grids.PixelBox(GRID, SIZE, SIZE)
    source = stored_band(stored)
    shares = np.random.default_rng(1).random((SIZE, SIZE)).astype("float32")
    shares[:20], shares[20:24] = 1, 0  # the first tiles have no fractions

    def fade(box, read):
        data, mask = read(source, box)
        return raster.Pixels(
            data, mask * shares[box.y : box.y + box.height, box.x :][:, : box.width]
        )

    faded = source.derived(fade, [source])
    [written] = write_bands(raster.Image([faded]), box, tmp_path, {})
    back = _read(written, box)
    expected = _read(stored, box).mask * shares
    assert np.array_equal(back.mask > 0, expected > 0)
    assert np.abs(back.mask - expected).max() <= 1 / 255


def test_tiles_make_up_the_whole(stored):
    image = raster.Image([stored_band(stored)])
    box = grids.PixelBox(GRID, SIZE, SIZE)
    [whole] = raster.read(image, box)
    tiles = list(box.tiles(24))
    assert sum(tile.width * tile.height for tile in tiles) == SIZE**2
    for tile in tiles:
        [part] = raster.read(image, tile)
        assert np.array_equal(part.data, whole.data[tile.slices_in(box)])


def test_a_band_with_two_users_is_computed_once_for_a_tile():
    calls = []

    def compute(box, read):
        calls.append(box)
        return raster.Pixels(np.ones(box.shape), raster.ones(box.shape))

    shared = raster.Band("s", raster.DOUBLE, grids.DEFAULT_GRID, compute)
    users = [raster.pointwise(shared, [shared, shared], np.add) for _ in range(3)]
    raster.read(raster.Image(users), grids.PixelBox(grids.DEFAULT_GRID, 4, 4))
    assert len(calls) == 1


def _made(image):
    expression = ee.serializer.encode(image, for_cloud_api=True)
    return engine.evaluate(expression, catalogue=None)


def _stack(count):
    return ee.ImageCollection([ee.Image.pixelLonLat() for _ in range(count)])


@pytest.mark.usefixtures("ee_emulator")
@pytest.mark.parametrize(
    ("make", "side"),
    [
        (lambda: ee.Image.pixelLonLat().add(1), 512),
        (lambda: _stack(300).mean(), 256),
        (lambda: _stack(60).reduce(ee.Reducer.linearRegression(1, 1)).select(0), 512),
        (lambda: _stack(5).toArray(), 64),
        (lambda: _stack(5).reduce(ee.Reducer.fixed2DHistogram(0, 1, 100, 0, 1, 100)), 64),
        (lambda: _stack(5).toArray().arrayProject([0]), 64),
    ],
)
def test_tiles_are_as_large_as_what_pixels_hold_allows(make, side):
    assert raster.tile_side(_made(make()).bands) == side


@pytest.mark.usefixtures("ee_emulator")
def test_what_is_made_of_constants_is_computed_once_for_all_tiles():
    angle = ee.Image.constant(2).multiply(math.pi / 8)
    [band] = _made(angle.cos().add(1).toFloat()).bands
    assert not band.inputs
    [pixels] = raster.read(raster.Image([band]), grids.PixelBox(GRID, 3, 2))
    assert pixels.data.dtype == np.float32
    assert np.array_equal(pixels.data, np.full((2, 3), np.float32(1 + math.cos(math.pi / 4))))
    assert pixels.mask.all()


def test_a_constant_array_of_another_type_is_converted_once():
    ones = np.broadcast_to(np.eye(3, dtype=np.uint8), (4, 3, 3))
    pixels = np.arange(36.0).reshape(4, 3, 3)
    seen = []

    def add(left, right):
        seen.append(right.strides[0])
        return left + right

    result = elementwise.Operation(add, elementwise.union)(raster.DOUBLE, pixels, ones)
    assert seen == [0]
    assert np.array_equal(result, pixels + np.eye(3))


def test_scales_of_grids():
    assert GRID.scale == pytest.approx(10)
    assert grids.Grid("EPSG:4326").scale == pytest.approx(111319.49079327358)
    assert grids.Grid("EPSG:3857").at_scale(30).transform == (30, 0, 0, 0, -30, 0)


def test_an_unbounded_image_has_no_export_grid():
    with pytest.raises(EarthEngineError, match="unbounded"):
        raster.export_grid(raster.Image([raster.constant_band("c", 1, raster.BOOLEAN)]))


def test_the_footprint_is_the_outline_of_the_box():
    box = grids.PixelBox(GRID, SIZE, SIZE)
    [ring] = grids.footprint(box)["coordinates"]
    area, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(*zip(*ring, strict=True))
    scale = 0.9996  # of the UTM projection on its central meridian
    assert area == pytest.approx((SIZE * 10 / scale) ** 2, rel=1e-4)
    assert math.dist(ring[0], ring[-1]) == 0


def test_a_geotiff_in_a_bucket_is_an_image(ee_emulator, stored, values):
    bucket = ee_emulator.data / "buckets" / "tiles"
    bucket.mkdir(parents=True)
    shutil.copy(stored.path, bucket / "band.tif")
    (bucket / "text.tif").write_text("no raster")
    image = ee.Image.loadGeoTIFF("gs://tiles/band.tif")
    [band] = image.getInfo()["bands"]
    assert (band["id"], band["crs"], band["dimensions"]) == ("B0", UTM, [SIZE, SIZE])
    region = ee.Geometry.Rectangle([500_000, 5_099_360, 500_640, 5_100_000], UTM, False)
    total = image.reduceRegion(ee.Reducer.sum(), region, crs=UTM, crsTransform=list(TRANSFORM))
    assert total.getInfo() == {"B0": values.sum()}
    for uri in ("gs://tiles/text.tif", "gs://tiles/../emulator.sqlite", "gs://tiles/none.tif"):
        with pytest.raises(ee.EEException, match=re.escape(uri)):
            ee.Image.loadGeoTIFF(uri).getInfo()
