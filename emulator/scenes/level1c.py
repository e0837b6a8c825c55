"""Sentinel-2 Level-1C as ESA delivers it: SAFE products, or folders of their band files.

Format: Sentinel-2 Products Specification Document (ESA, S2-PDGS-TAS-DI-PSD), products from December
2016 on, one tile each. Images and properties are named as in Earth Engine. From processing baseline
04.00 on, reflectance 0 is the digital number 1000: COPERNICUS/S2 has the product's numbers,
COPERNICUS/S2_HARMONIZED has 1000 less, but not less than 0
(https://developers.google.com/earth-engine/datasets/catalog/COPERNICUS_S2_HARMONIZED).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import rasterio
from rasterio.errors import RasterioIOError

from emulator.clock import to_milliseconds
from emulator.scenes.folder import SceneFolder, UnreadableScene, outline
from emulator.scenes.jpeg2000 import NotJpeg2000, check_complete
from emulator.scenes.sentinel2 import BANDS, CLASSI_STARTS, COLLECTION
from emulator.scenes.tiff import Truncated
from emulator.stored import StoredBand, StoredImage

PRODUCT_METADATA, TILE_METADATA = "MTD_MSIL1C.xml", "MTD_TL.xml"
#: How the file of a band is named, and a file apart from a product.
FILE_BANDS = {f"B{band[1:].zfill(2)}": band for band in BANDS}
BAND_FILE = re.compile(r"(?P<scene>.+)_(?P<band>B\d[\dA])\.jp2")
SCENE_NAME = re.compile(r"T?(?P<tile>\d{2}[A-Z]{3})_(?P<time>\d{8}T\d{6})")
PRODUCT_NAME = re.compile(r"S2[A-D]_MSIL1C_(?P<time>\d{8}T\d{6})_N\d{4}_R\d{3}_T.{5}_\d{8}T\d{6}")
GRANULE_NAME = re.compile(r"L1C_T(?P<tile>\d{2}[A-Z]{3})_A\d{6}_(?P<time>\d{8}T\d{6})")
#: ESA's cloud masks in products from baseline 04.00 on, in the order of the file's bands.
CLASSI_FILE = "QI_DATA/MSK_CLASSI_B00.jp2"
CLASSI_BANDS = ("MSK_CLASSI_OPAQUE", "MSK_CLASSI_CIRRUS", "MSK_CLASSI_SNOW_ICE")
NODATA = 0
#: The digital number of reflectance 0 from baseline 04.00 on, and when that came into use.
SHIFT, SHIFTED_SINCE = 1000, to_milliseconds("2022-01-25")

#: Attribute of the product's metadata -> property.
IDENTIFIERS = {
    "datatakeIdentifier": "DATATAKE_IDENTIFIER",
    "datastripIdentifier": "DATASTRIP_ID",
}
#: Property -> the element of either metadata file that has it.
TEXTS = {
    "DATATAKE_TYPE": "DATATAKE_TYPE",
    "PROCESSING_BASELINE": "PROCESSING_BASELINE",
    "SENSING_ORBIT_DIRECTION": "SENSING_ORBIT_DIRECTION",
    "SPACECRAFT_NAME": "SPACECRAFT_NAME",
}
NUMBERS = {
    "CLOUDY_PIXEL_PERCENTAGE": "CLOUDY_PIXEL_PERCENTAGE",
    "CLOUD_COVERAGE_ASSESSMENT": "Cloud_Coverage_Assessment",
    "DEGRADED_MSI_DATA_PERCENTAGE": "DEGRADED_MSI_DATA_PERCENTAGE",
    "MEAN_SOLAR_AZIMUTH_ANGLE": "Mean_Sun_Angle/AZIMUTH_ANGLE",
    "MEAN_SOLAR_ZENITH_ANGLE": "Mean_Sun_Angle/ZENITH_ANGLE",
    "REFLECTANCE_CONVERSION_CORRECTION": "Reflectance_Conversion/U",
    "SENSING_ORBIT_NUMBER": "SENSING_ORBIT_NUMBER",
}
#: The same per band: the element has the band's number as `bandId` or `band_id`.
BAND_NUMBERS = {
    "MEAN_INCIDENCE_AZIMUTH_ANGLE": ("Mean_Viewing_Incidence_Angle", "AZIMUTH_ANGLE"),
    "MEAN_INCIDENCE_ZENITH_ANGLE": ("Mean_Viewing_Incidence_Angle", "ZENITH_ANGLE"),
    "RADIO_ADD_OFFSET": ("RADIO_ADD_OFFSET", "."),
    "SOLAR_IRRADIANCE": ("SOLAR_IRRADIANCE", "."),
}


def is_product(path: Path) -> bool:
    """Tell whether a folder is, or should be, a SAFE product."""
    return path.suffix == ".SAFE" or (path / PRODUCT_METADATA).is_file()


def load_products(paths: Iterable[Path]) -> SceneFolder:
    """Read SAFE products as images of both collections of Level-1C."""
    return _folders({path.name: partial(_product, path) for path in paths})


def load_band_files(files: Iterable[Path]) -> SceneFolder:
    """Read band files such as T31TDH_20150726T105026_B02.jp2: an image for each tile and time.

    Their names say no more than that: properties are few, and what was sensed since baseline 04.00
    is in use is taken to have it.
    """
    scenes: dict[str, dict[str, Path]] = {}
    for file in files:
        if (match := BAND_FILE.fullmatch(file.name)) and match["band"] in FILE_BANDS:
            scenes.setdefault(match["scene"], {})[FILE_BANDS[match["band"]]] = file
    return _folders({name: partial(_scene, name, bands) for name, bands in scenes.items()})


def _folders(scenes: Mapping[str, Callable[[], StoredImage]]) -> SceneFolder:
    images, unreadable = [], []
    for name, load in scenes.items():
        try:
            images.append(load())
        except UnreadableScene as problem:
            unreadable.append(f"Scene {name} is left out: {problem}.")
    return SceneFolder(COLLECTION, images, unreadable, harmonized=True)


def _scene(name: str, files: Mapping[str, Path]) -> StoredImage:
    match = SCENE_NAME.fullmatch(name)
    if match is None:
        raise UnreadableScene(
            "its tile and time are unknown; name its files as T31TDH_20150726T105026_B02.jp2"
        )
    sensed = to_milliseconds(match["time"])
    properties = {
        "system:index": f"{match['time']}_{match['time']}_T{match['tile']}",
        "system:time_start": sensed,
        "system:time_end": sensed,
        "MGRS_TILE": match["tile"],
    }
    return _image(files, SHIFT if sensed >= SHIFTED_SINCE else 0, properties, None)


def _product(path: Path) -> StoredImage:
    product = _metadata(path / PRODUCT_METADATA)
    granules = [entry for entry in path.glob("GRANULE/*") if GRANULE_NAME.fullmatch(entry.name)]
    if len(granules) != 1:
        raise UnreadableScene(
            f"it has {len(granules)} granules L1C_T…, where products since December 2016 have one"
        )
    granule = granules[0]
    tile = _metadata(granule / TILE_METADATA)
    files = {
        FILE_BANDS[match["band"]]: file
        for file in granule.glob("IMG_DATA/*.jp2")
        if (match := BAND_FILE.fullmatch(file.name)) and match["band"] in FILE_BANDS
    }
    try:
        properties = _product_properties(product, tile, granule.name)
        shift = -int(product.findtext(".//RADIO_ADD_OFFSET", "0"))
        footprint = _footprint(product)
    except (ValueError, IndexError) as problem:
        raise UnreadableScene(f"its metadata are wrong ({problem}); download it again") from None
    image = _image(files, shift, properties, footprint)
    classified = granule / CLASSI_FILE
    if properties["system:time_start"] < CLASSI_STARTS or not classified.is_file():
        return image
    masks = (_band(name, classified, i, None) for i, name in enumerate(CLASSI_BANDS, 1))
    return replace(image, bands=(*image.bands, *masks))


def _metadata(path: Path) -> Xml.Element:
    if not path.is_file():
        raise UnreadableScene(f"it has no {path.name}; download the whole Level-1C product")
    try:
        return Xml.parse(path).getroot()  # noqa: S314 - expat limits the growth of entities
    except Xml.ParseError as problem:
        raise UnreadableScene(f"{path.name} is no XML ({problem}); download it again") from None


def _product_properties(product: Xml.Element, tile: Xml.Element, granule: str) -> dict[str, Any]:
    name = _text(product, "PRODUCT_URI").removesuffix(".SAFE")
    match, part = PRODUCT_NAME.fullmatch(name), GRANULE_NAME.fullmatch(granule)
    if match is None or part is None:
        raise UnreadableScene(f"{name} is not the name of a Level-1C product of one tile")
    sensed = to_milliseconds(_text(tile, "SENSING_TIME"))
    properties: dict[str, Any] = {
        "system:index": f"{match['time']}_{part['time']}_T{part['tile']}",
        "system:time_start": sensed,
        "system:time_end": sensed,
        "GENERATION_TIME": to_milliseconds(_text(product, "GENERATION_TIME")),
        "GRANULE_ID": granule,
        "MGRS_TILE": part["tile"],
        "PRODUCT_ID": name,
    }
    for root in (product, tile):
        properties |= {check.get("checkType"): check.text for check in root.iter("quality_check")}
        properties |= dict(_properties(root))
    for attribute, key in IDENTIFIERS.items():
        if (node := product.find(f".//*[@{attribute}]")) is not None:
            properties[key] = node.get(attribute)
    return properties


def _properties(root: Xml.Element) -> Iterator[tuple[str, str | float]]:
    """Yield the properties that a metadata file has."""
    for key, element in TEXTS.items():
        if text := root.findtext(f".//{element}"):
            yield key, text
    for key, element in NUMBERS.items():
        if text := root.findtext(f".//{element}"):
            yield key, float(text)
    for key, (element, part) in BAND_NUMBERS.items():
        for node in root.iter(element):
            band = list(BANDS)[int(node.get("bandId") or node.get("band_id", "-1"))]
            yield f"{key}_{band}", float(node.findtext(part) if part != "." else node.text)


def _text(root: Xml.Element, element: str) -> str:
    text = root.findtext(f".//{element}")
    if text is None:
        raise UnreadableScene(f"its metadata have no {element}; download the product again")
    return text


def _footprint(product: Xml.Element) -> dict[str, Any] | None:
    """Return the product's footprint, which is written as latitude before longitude."""
    text = product.findtext(".//Global_Footprint/EXT_POS_LIST")
    if text is None:
        return None
    numbers = [float(number) for number in text.split()]
    ring = [[lon, lat] for lat, lon in zip(numbers[::2], numbers[1::2], strict=True)]
    return {"type": "Polygon", "coordinates": [ring]}


def _image(
    files: Mapping[str, Path],
    shift: int,
    properties: Mapping[str, Any],
    footprint: dict[str, Any] | None,
) -> StoredImage:
    if missing := [band for band in BANDS if band not in files]:
        raise UnreadableScene(f"it has no {', '.join(missing)}; Level-1C has 13 bands")
    bands = tuple(replace(_band(name, files[name], 1, NODATA), shift=shift) for name in BANDS)
    footprint = footprint or outline(bands[0])
    return StoredImage(
        f"{COLLECTION}/{properties['system:index']}",
        bands,
        {"system:footprint": footprint, **properties},
        footprint,
        size_bytes=sum(file.stat().st_size for file in files.values()),
    )


def _band(name: str, path: Path, index: int, nodata: int | None) -> StoredBand:
    try:
        check_complete(path)
        with rasterio.open(path, driver="JP2OpenJPEG") as dataset:
            if dataset.crs is None:
                raise UnreadableScene(f"{path.name} has no coordinate reference system")
            grid = tuple(dataset.transform)[:6], dataset.width, dataset.height
            crs, dtype = dataset.crs.to_string(), dataset.dtypes[index - 1]
    except Truncated as problem:
        raise UnreadableScene(f"{path.name} is truncated ({problem}); copy it again") from None
    except (NotJpeg2000, RasterioIOError, IndexError):
        raise UnreadableScene(f"{path.name} is not a JPEG 2000 band; copy it again") from None
    return StoredBand(name, dtype, crs, *grid, path=path, index=index, nodata=nodata)
