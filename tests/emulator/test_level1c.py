"""Level-1C products and band files as scenes: what is read, through the client, and what is not."""

import re
import shutil
from pathlib import Path

import ee
import numpy as np
import pytest
import rasterio
from conformance.cases import Grid, pixels

from emulator.scenes.folder import InvalidSceneFolder
from emulator.scenes.jpeg2000 import check_complete
from emulator.scenes.load import load_scenes
from emulator.scenes.sentinel2 import BANDS
from emulator.scenes.tiff import Truncated

PYRENEES = Path(__file__).parents[2].parent / "shared/data/pyrenees-l1c-jp2"
needs_pyrenees = pytest.mark.skipif(not PYRENEES.is_dir(), reason=f"no JP2 files at {PYRENEES}")

CRS, WEST, NORTH, SIDE_M = "EPSG:32633", 465_180, 5_080_260, 1200
PRODUCT = "S2B_MSIL1C_20240611T100029_N0510_R122_T33TVL_20240611T121500"
GRANULE = "L1C_T33TVL_A037938_20240611T100559"
INDEX = "20240611T100029_20240611T100559_T33TVL"
NAMES = {f"B{name[1:].zfill(2)}": name for name in BANDS}
PRODUCT_METADATA = """<?xml version="1.0"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-15.sentinel2.eo.esa.int/PSD/x.xsd">
 <n1:General_Info>
  <Product_Info>
   <PRODUCT_URI>{product}.SAFE</PRODUCT_URI>
   <PROCESSING_BASELINE>05.10</PROCESSING_BASELINE>
   <GENERATION_TIME>2024-06-11T12:15:00.000000Z</GENERATION_TIME>
   <Datatake datatakeIdentifier="GS2B_20240611T100029_037938_N05.10">
    <SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME>
    <DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
    <SENSING_ORBIT_NUMBER>122</SENSING_ORBIT_NUMBER>
    <SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION>
   </Datatake>
  </Product_Info>
  <Product_Image_Characteristics>
   <QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
   <Radiometric_Offset_List><RADIO_ADD_OFFSET band_id="0">-1000</RADIO_ADD_OFFSET>
   </Radiometric_Offset_List>
   <Reflectance_Conversion><U>0.970721142888558</U><Solar_Irradiance_List>
     <SOLAR_IRRADIANCE bandId="8" unit="W/m2/um">953.93</SOLAR_IRRADIANCE>
   </Solar_Irradiance_List></Reflectance_Conversion>
  </Product_Image_Characteristics>
 </n1:General_Info>
 <n1:Geometric_Info><Product_Footprint><Product_Footprint><Global_Footprint>
   <EXT_POS_LIST>45.9 14.5 45.9 14.6 45.8 14.6 45.8 14.5 45.9 14.5 </EXT_POS_LIST>
 </Global_Footprint></Product_Footprint></Product_Footprint></n1:Geometric_Info>
 <n1:Quality_Indicators_Info>
  <Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment>
  <Quality_Inspections>
   <quality_check checkType="SENSOR_QUALITY">PASSED</quality_check>
  </Quality_Inspections>
 </n1:Quality_Indicators_Info>
</n1:Level-1C_User_Product>
"""
TILE_METADATA = """<?xml version="1.0"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-15.sentinel2.eo.esa.int/PSD/y.xsd">
 <n1:General_Info><SENSING_TIME>2024-06-11T10:08:17.123456Z</SENSING_TIME></n1:General_Info>
 <n1:Geometric_Info><Tile_Angles>
  <Mean_Sun_Angle><ZENITH_ANGLE>25.5</ZENITH_ANGLE><AZIMUTH_ANGLE>150.25</AZIMUTH_ANGLE>
  </Mean_Sun_Angle>
  <Mean_Viewing_Incidence_Angle_List><Mean_Viewing_Incidence_Angle bandId="12">
    <ZENITH_ANGLE>5.5</ZENITH_ANGLE><AZIMUTH_ANGLE>100.5</AZIMUTH_ANGLE>
  </Mean_Viewing_Incidence_Angle></Mean_Viewing_Incidence_Angle_List>
 </Tile_Angles></n1:Geometric_Info>
 <n1:Quality_Indicators_Info><Image_Content_QI>
  <CLOUDY_PIXEL_PERCENTAGE>11.25</CLOUDY_PIXEL_PERCENTAGE>
 </Image_Content_QI></n1:Quality_Indicators_Info>
</n1:Level-1C_Tile_ID>
"""


def write_jp2(path: Path, bands: np.ndarray, metres: int) -> None:
    """Write bands without loss, as ESA does but for the losses."""
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", dtype=bands.dtype, count=count, width=width, height=height,
        crs=CRS, transform=rasterio.Affine(metres, 0, WEST, 0, -metres, NORTH),
        QUALITY="100", REVERSIBLE="YES",
    ) as dataset:  # fmt: skip
        dataset.write(bands)


def numbers(name: str) -> np.ndarray:
    """Return a band's digital numbers, with one pixel of no data and one below 1000."""
    side = SIDE_M // BANDS[name][1]
    values = np.random.default_rng(len(name)).integers(1001, 6000, (side, side), np.uint16)
    values[0, :2] = 0, 990
    return values


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A SAFE product of baseline 05.10 in a folder of its own."""
    root = tmp_path / "products" / f"{PRODUCT}.SAFE"
    granule = root / "GRANULE" / GRANULE
    for folder in (granule / "IMG_DATA", granule / "QI_DATA"):
        folder.mkdir(parents=True)
    (root / "MTD_MSIL1C.xml").write_text(PRODUCT_METADATA.format(product=PRODUCT))
    (granule / "MTD_TL.xml").write_text(TILE_METADATA)
    for suffix, name in NAMES.items():
        path = granule / "IMG_DATA" / f"T33TVL_20240611T100029_{suffix}.jp2"
        write_jp2(path, numbers(name)[None], BANDS[name][1])
    write_jp2(granule / "IMG_DATA/T33TVL_20240611T100029_TCI.jp2", np.ones((3, 4, 4), "u1"), 10)
    masks = np.zeros((3, SIDE_M // 60, SIDE_M // 60), np.uint8)
    masks[0, :10], masks[1, 5:15], masks[2, 19] = 1, 1, 1
    write_jp2(granule / "QI_DATA/MSK_CLASSI_B00.jp2", masks, 60)
    return root


def left_out(path: Path) -> str:
    """Return the sentence for the only scene of a folder, which is not served."""
    folders = load_scenes(path)
    assert not any(folder.images for folder in folders)
    (sentence,) = [text for folder in folders for text in folder.unreadable]
    return sentence


def granule_file(product: Path, pattern: str) -> Path:
    [path] = product.glob(f"GRANULE/*/{pattern}")
    return path


def test_a_product_is_an_image_of_both_collections(product: Path, start_emulator) -> None:
    start_emulator("--scenes", str(product.parent))
    ids = [f"{collection}/{INDEX}" for collection in ("COPERNICUS/S2", "COPERNICUS/S2_HARMONIZED")]
    for asset_id in ids:
        assert ee.Image(asset_id).get("system:index").getInfo() == INDEX
    for name in ("B4", "B8A", "B10"):
        metres = BANDS[name][1]
        side = SIDE_M // metres
        grid = Grid(side, side, CRS, (metres, 0, WEST, 0, -metres, NORTH))
        raw, harmonized = (pixels(ee.Image(i).select(name), grid)[name] for i in ids)
        expected = numbers(name).astype(int)
        assert np.array_equal(raw, expected)
        assert np.array_equal(harmonized, np.maximum(expected - 1000, 0))
        valid = pixels(ee.Image(ids[1]).select(name).mask(), grid)[name]
        assert np.array_equal(valid, expected > 0)


def test_properties_are_named_as_in_the_catalogue(product: Path) -> None:
    image = load_scenes(product)[0].images[0]
    expected = {
        "system:index": INDEX,
        "system:time_start": 1718100497123,
        "CLOUDY_PIXEL_PERCENTAGE": 11.25,
        "CLOUD_COVERAGE_ASSESSMENT": 12.5,
        "DATATAKE_IDENTIFIER": "GS2B_20240611T100029_037938_N05.10",
        "GENERATION_TIME": 1718108100000,
        "GRANULE_ID": GRANULE,
        "MEAN_INCIDENCE_ZENITH_ANGLE_B12": 5.5,
        "MEAN_SOLAR_AZIMUTH_ANGLE": 150.25,
        "MEAN_SOLAR_ZENITH_ANGLE": 25.5,
        "MGRS_TILE": "33TVL",
        "PROCESSING_BASELINE": "05.10",
        "PRODUCT_ID": PRODUCT,
        "RADIO_ADD_OFFSET_B1": -1000,
        "REFLECTANCE_CONVERSION_CORRECTION": 0.970721142888558,
        "SENSING_ORBIT_DIRECTION": "DESCENDING",
        "SENSING_ORBIT_NUMBER": 122,
        "SENSOR_QUALITY": "PASSED",
        "SOLAR_IRRADIANCE_B8A": 953.93,
        "SPACECRAFT_NAME": "Sentinel-2B",
    }
    assert {name: image.properties.get(name) for name in expected} == expected
    assert image.footprint["coordinates"][0][0] == [14.5, 45.9]


def test_qa60_packs_the_products_own_masks(product: Path, start_emulator) -> None:
    start_emulator("--scenes", str(product))
    image = ee.Image(f"COPERNICUS/S2_HARMONIZED/{INDEX}")
    side = SIDE_M // 60
    got = pixels(
        image.select("QA60", "MSK_CLASSI_SNOW_ICE"),
        Grid(side, side, CRS, (60, 0, WEST, 0, -60, NORTH)),
    )
    rows = np.repeat([1024, 2048, 0], [10, 5, 5])
    assert np.array_equal(got["QA60"], np.broadcast_to(rows[:, None], (side, side)))
    assert got["MSK_CLASSI_SNOW_ICE"].sum(axis=1).tolist() == [0] * 19 + [side]


@needs_pyrenees
def test_band_files_are_read_at_their_native_pixels(start_emulator) -> None:
    start_emulator("--scenes", str(PYRENEES))
    image = ee.Image("COPERNICUS/S2_HARMONIZED/20150726T105026_20150726T105026_T31TDH")
    names = [file.stem.rpartition("_")[2] for file in PYRENEES.glob("*_B*.jp2")]
    assert len(names) == len(BANDS)
    for suffix in names:
        name = NAMES[suffix]
        metres = BANDS[name][1]
        assert image.select(name).projection().nominalScale().getInfo() == metres
        [path] = PYRENEES.glob(f"*_{suffix}.jp2")
        with rasterio.open(path) as dataset:
            expected, t = dataset.read(1), dataset.transform
        times = metres // 10
        fine = np.kron(expected, np.ones((times, times), np.uint16))
        grid = Grid(300, 300, "EPSG:32631", (10, 0, t.c, 0, -10, t.f))
        assert np.array_equal(pixels(image.select(name), grid)[name], fine)
    at_noon = image.date().format("YYYY-MM-dd HH:mm:ss").getInfo()
    assert at_noon == "2015-07-26 10:50:26"


# What cannot be read


def test_every_shorter_jp2_is_truncated(product: Path, tmp_path: Path) -> None:
    path = granule_file(product, "IMG_DATA/*_B01.jp2")
    check_complete(path)
    whole, short = path.read_bytes(), tmp_path / "short.jp2"
    for length in (*range(12, len(whole), 41), len(whole) - 1):
        short.write_bytes(whole[:length])
        with pytest.raises(Truncated):
            check_complete(short)


def test_a_truncated_band_is_named(product: Path) -> None:
    path = granule_file(product, "IMG_DATA/*_B11.jp2")
    path.write_bytes(path.read_bytes()[:-100])
    sentence = left_out(product)
    assert re.search(rf"{PRODUCT}.*{path.name} is truncated .*; copy it again\.", sentence)


def test_another_file_in_a_bands_place_is_named(product: Path) -> None:
    granule_file(product, "IMG_DATA/*_B02.jp2").write_text("<html>404</html>")
    assert "_B02.jp2 is not a JPEG 2000 band" in left_out(product)


def test_missing_bands_are_named(product: Path) -> None:
    for suffix in ("B8A", "B10"):
        granule_file(product, f"IMG_DATA/*_{suffix}.jp2").unlink()
    assert "it has no B8A, B10; Level-1C has 13 bands" in left_out(product)


@pytest.mark.parametrize("name", ["MTD_MSIL1C.xml", "MTD_TL.xml"])
def test_a_product_without_metadata_is_refused(product: Path, name: str) -> None:
    [path] = product.rglob(name)
    path.unlink()
    assert f"it has no {name}; download the whole" in left_out(product)


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ("<n1:General_Info>", "<", "is no XML"),
        (r"<PRODUCT_URI>.*</PRODUCT_URI>", "", "its metadata have no PRODUCT_URI"),
        ("MSIL1C", "MSIL2A", "is not the name of a Level-1C product"),
        (">122<", ">many<", r"its metadata are wrong \(could not convert"),
        ("2024-06-11T12:15:00.000000Z", "soon", "its metadata are wrong"),
    ],
)
def test_wrong_metadata_say_what_is_wrong(
    product: Path, pattern: str, replacement: str, message: str
) -> None:
    path = product / "MTD_MSIL1C.xml"
    path.write_text(re.sub(pattern, replacement, path.read_text()))
    assert re.search(message, left_out(product))


def test_a_product_of_several_granules_is_refused(product: Path) -> None:
    granule = product / "GRANULE" / GRANULE
    shutil.copytree(granule, granule.with_name(GRANULE.replace("33TVL", "33TVM")))
    assert "it has 2 granules" in left_out(product)


def test_band_files_without_tile_and_time_are_refused(product: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for path in product.rglob("IMG_DATA/*_B*.jp2"):
        shutil.copy(path, files / f"summer_{path.name[-7:]}")
    assert "Scene summer is left out: its tile and time are unknown" in left_out(files)


def test_a_folder_of_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(InvalidSceneFolder, match="unless it holds Level-1C products"):
        load_scenes(tmp_path)
