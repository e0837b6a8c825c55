"""Any image asset: out of Earth Engine and back, with nothing lost, by every way."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import ee
import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emulator import client, launch
from shared.adapters.earth_engine import EarthEngineClient
from shared.adapters.earth_engine_assets import EarthEngineAssets
from shared.adapters.folder import FolderObjects
from shared.adapters.storage import CloudObjects
from shared.archiving import grid_problem
from shared.domain import archive, copies, sidecars
from shared.domain.archive import Asset, Way
from shared.earth import copies as graphs
from shared.services import Copy

from .conftest import ROOT, until_done

TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
#: Reference systems with a place each: a UTM zone, one at the antimeridian, degrees, a polar one.
PLACES = {
    "EPSG:32633": (499_980.0, 5_000_040.0, 20.0),
    "EPSG:32601": (290_000.0, -1_900_000.0, 20.0),
    "EPSG:4326": (179.5, 10.05, 0.01),
    "EPSG:3413": (-100_000.0, -900_000.0, 60.0),
}

values = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30),
    st.text("ab", min_size=copies.MAX_TEXT, max_size=copies.MAX_TEXT + 40),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    st.lists(st.integers(-9, 9), max_size=3),
    st.lists(st.text("xyz", max_size=4), min_size=1, max_size=3),
)
keys = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,12}", fullmatch=True)


@st.composite
def rasters(draw):
    """An image: bands of any types with any masks on a grid that need not be a nice one."""
    crs = draw(st.sampled_from(sorted(PLACES)))
    west, north, side = PLACES[crs]
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    aspect = draw(st.sampled_from([1.0, 1.0, 0.5, 1.75]))
    offset = draw(st.sampled_from([0.0, 0.3, 7.125]))
    transform = Affine(side, 0, west + offset * side, 0, -side * aspect, north)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    bands = []
    for dtype in draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=4)):
        if np.dtype(dtype).kind == "f":
            pixels = random.normal(0, 1e3, (height, width)).astype(dtype)
        else:
            limits = np.iinfo(dtype)
            pixels = random.integers(limits.min, limits.max, (height, width), dtype, endpoint=True)
            if draw(st.booleans()):  # the values that stand for masked pixels are valid here
                pixels[0, 0] = int(copies.NODATA[dtype])
        share = draw(st.sampled_from([0.0, 0.3, 1.0]))
        bands.append((dtype, pixels, random.random((height, width)) >= share))
    return crs, transform, bands


@st.composite
def footprints(draw):
    """Nothing, a ring, a ring with a hole, two parts: in shares of the raster's sides."""
    outer = [(0.1, 0.1), (0.9, 0.2), (0.8, 0.9), (0.2, 0.8)]
    hole = [(0.4, 0.4), (0.4, 0.6), (0.6, 0.6)]
    second = [(0.05, 0.85), (0.1, 0.95), (0.05, 0.95)]
    return draw(st.sampled_from([None, [[outer]], [[outer, hole]], [[outer], [second]]]))


images = st.tuples(
    rasters(),
    footprints(),
    st.dictionaries(keys, values, max_size=5),
    st.integers(0, 2**41),
    st.sampled_from(["MEAN", "MODE", "SAMPLE"]),
)


@pytest.fixture(scope="module")
def earth(earth_engine):
    """An Earth Engine's assets and objects as the archive sees them, and the bucket's folder.

    Objects by both adapters: of the embedded stack, and by Cloud Storage's own client.
    """
    data, url = earth_engine
    bucket = data / "buckets" / "demo-archive"
    bucket.mkdir(parents=True, exist_ok=True)
    client.connect(url)
    connection = EarthEngineClient(launch.PROJECT, url)
    client_of_objects = CloudObjects(launch.PROJECT, url)
    yield (
        EarthEngineAssets(connection),
        (FolderObjects(data / "buckets"), client_of_objects),
        bucket,
    )
    client_of_objects.close()
    connection.close()
    client.disconnect()


def make(bucket, name, image):
    """Make the asset by ingestion, with a mask for each band, and return its description."""
    (crs, transform, bands), footprint, properties, time_start, policy = image
    tilesets, entries = [], []
    for number, (dtype, pixels, shown) in enumerate(bands):
        path = bucket / f"{name}-{number}.tif"
        height, width = pixels.shape
        nodata = free_value(pixels)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            dtype=dtype,
            count=1,
            width=width,
            height=height,
            crs=crs,
            transform=transform,
            nodata=nodata,
        ) as raster:
            raster.write(np.where(shown, pixels, np.asarray(nodata, dtype)), 1)
        uri = f"gs://{bucket.name}/{path.name}"
        tilesets.append({"id": str(number), "sources": [{"uris": [uri]}]})
        entries.append(
            {"id": f"band_{number}", "tilesetId": str(number), "pyramidingPolicy": policy}
        )
    manifest = {
        "name": f"{ROOT}/{name}",
        "tilesets": tilesets,
        "bands": entries,
        "startTime": datetime.fromtimestamp(time_start / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
    }
    until_done(ee.data.startIngestion(None, manifest)["name"])
    description = ee.data.getAsset(manifest["name"])
    # What ingestion cannot make and exports can: as the archive would find it.
    return {
        **description,
        "properties": json.loads(json.dumps(properties)),
        **({"geometry": on_earth(footprint, image[0])} if footprint else {}),
    }


def free_value(pixels):
    if pixels.dtype.kind == "f":
        return float("nan")
    used = set(pixels.ravel().tolist())
    return next(x for x in range(101) if x not in used)


def on_earth(parts, raster):
    crs, transform, bands = raster
    height, width = bands[0][1].shape
    from rasterio.warp import transform as warp

    def ring(points):
        closed = [*points, points[0]]
        xs = [transform.c + transform.a * x * width for x, _ in closed]
        ys = [transform.f + transform.e * y * height for _, y in closed]
        return [list(p) for p in zip(*warp(crs, "EPSG:4326", xs, ys), strict=True)]

    polygons = [[ring(points) for points in part] for part in parts]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def pixels_of(image, description):
    """Values and masks of every band on its own grid."""
    found = {}
    for band in description["bands"]:
        one = ee.Image(image).select([band["id"]])
        both = one.unmask(0, False).toDouble().addBands(one.mask().rename("mask").toDouble())
        request = {"expression": both, "fileFormat": "NUMPY_NDARRAY", "grid": band["grid"]}
        array = ee.data.computePixels(request)
        found[band["id"]] = (array[band["id"]], array["mask"])
    return found


def assert_same(one, other):
    assert list(one) == list(other)
    for name, (data, mask) in one.items():
        assert np.array_equal(data, other[name][0], equal_nan=True)
        assert np.array_equal(mask, other[name][1])


COUNT = iter(range(10**9))


def examples(count):
    return settings(
        max_examples=count,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),  # to shrink an example takes minutes
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


@examples(3)
@given(image=images)
def test_nothing_is_lost(earth, image):
    check_round_trip(*earth, image)


@pytest.mark.soak
@examples(60)
@given(image=images)
def test_nothing_is_lost_of_many(earth, image):
    check_round_trip(*earth, image)


def check_round_trip(assets: EarthEngineAssets, stores, bucket: Path, image) -> None:
    name = f"image_{time.time_ns()}_{next(COUNT)}"
    description = make(bucket, name, image)
    before = pixels_of(description["name"], description)
    record = Asset(
        archive.record_id(description["name"], "v"),
        "demo",
        description["name"],
        name,
        "v",
        datetime(2018, 1, 1, tzinfo=UTC),
        json.dumps(description),
        1,
    )
    layout, uris, statistics = verified_copy(assets, bucket, record, description)
    description = of_sidecar(stores, replace(record, layout=layout), uris, statistics)
    virtual = graphs.with_metadata(graphs.opened(description, layout, uris), description, name)
    assert_same(pixels_of(virtual, description), before)
    seen = virtual.toDictionary().getInfo()
    seen = {k: v for k, v in seen.items() if not k.startswith("system:")}
    assert seen == description["properties"]
    assert virtual.get("system:time_start").getInfo() == image[3]
    ways = [Way.EXPORT] if layout == copies.WITH_MASKS else [Way.INGEST, Way.COG]
    if one_grid(description) and Way.EXPORT not in ways:
        ways.append(Way.EXPORT)
    for way in ways:
        assets.delete(description["name"])
        come_back(assets, record, description, layout, uris, way)
        now = ee.data.getAsset(description["name"])
        assert copies.differences(description, now) == []
        assert_same(pixels_of(description["name"], description), before)
    assets.delete(description["name"])


def one_grid(description):
    return len({json.dumps(band["grid"]) for band in description["bands"]}) == 1


def verified_copy(assets, bucket, record, description):
    """Export with the first layout whose copy passes, as the archive does."""
    for layout in (copies.WITH_NODATA, copies.WITH_MASKS):
        uris = []
        for number, part in enumerate(copies.parts(description, layout)):
            uri = f"gs://{bucket.name}/{layout}/{record.image_id}{part.suffix}.tif"
            attempt = replace(record, record_id=archive.record_id(record.asset_id, layout))
            until_done(assets.start_copy(attempt, part, number, uri, layout))
            uris.append(uri)
        copy = Copy("x", record.asset_id, description, layout, tuple(uris))
        facts = assets.compare([copy])["x"]
        if not any(facts["different"].values()) and not grid_problem(description, facts["grids"]):
            return layout, uris, facts["statistics"]
    raise AssertionError(facts["different"])


def of_sidecar(stores, record, uris, statistics):
    """Return an asset's description from what its sidecar says, by each adapter of objects."""
    parts = copies.parts(json.loads(record.description), record.layout)
    for objects in stores:
        files = [objects.stat(uri) for uri in uris]
        pairs = list(zip(parts, files, strict=True))
        item = sidecars.item(record, pairs, statistics, record.sensed_at)
        assert pystac.Item.from_dict(item).id == record.record_id
        text = json.dumps(item, allow_nan=False).encode()
        uri = sidecars.uri_of(item)
        written = objects.write(uri, text, "application/geo+json")
        read = sidecars.from_item(objects.read(uri))
        found = sidecars.archived(read, written, record.run)
        assert found.files == (*files, written)
        assert found.layout == record.layout
        assert archive.change_of(found.files, lambda file, by=objects: by.stat(file.uri)) == ""
    assert json.loads(found.description) == json.loads(record.description)
    return json.loads(found.description)


def come_back(assets, record, description, layout, uris, way):
    wanted = replace(
        record, way=way, layout=layout, record_id=archive.record_id(record.asset_id, way)
    )
    operation = assets.start_restore(wanted, description, uris)
    if "/operations/" in operation:
        until_done(operation)
