"""Other people's cloud masks of an image, each of which may be missing: then it says nothing.

A band is masked, never 0, where its source has no pixel, and the property `<name>_present` is 0
where it has no image (yet).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import ee

#: QA60 has no pixels between these days; from then on it is made of MSK_CLASSI_* (catalogue of
#: COPERNICUS/S2_HARMONIZED).
QA60_GAP = (datetime(2022, 2, 1, tzinfo=UTC), datetime(2024, 2, 28, tzinfo=UTC))
QA60_OPAQUE, QA60_CIRRUS = 1 << 10, 1 << 11

#: From which value of a band on a pixel is cloud. s2cloudless: Sentinel Hub's own cut-off (README
#: of sentinel2-cloud-detector). Cloud Score+: below 0.6 a pixel is taken for occluded, by cloud or
#: by a cloud's shadow (example of its catalogue page).
CLOUDY_FROM = {"qa60": 1, "s2cloudless": 0.4, "cloud_score_plus": 0.4}

#: Inputs that do not tell a cloud from its shadow.
BLIND_TO_SHADOW = ("cloud_score_plus",)

#: Probability of cloud in per cent by s2cloudless, of the same `system:index` (catalogue).
PROBABILITY_COLLECTION = "COPERNICUS/S2_CLOUD_PROBABILITY"
PERCENT = 100

#: Cloud Score+, 0 occluded to 1 clear; may come days after the image, or never (catalogue).
CLOUD_SCORE_COLLECTION = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
CLOUD_SCORE_BAND = "cs"


def qa60(image: ee.Image) -> tuple[ee.Image, ee.Number]:
    """Return 1 where QA60 says opaque cloud or cirrus, else 0, and whether the image has it."""
    present = _has_qa60(image)
    # A second band of a name gets another one: without QA60 this is the empty band.
    bits = image.addBands(_nothing("QA60")).select("QA60")
    cloud = bits.bitwiseAnd(QA60_OPAQUE | QA60_CIRRUS).gt(0)
    return cloud.updateMask(present), present


def _has_qa60(image: ee.Image) -> ee.Number:
    time = image.date().millis()
    start, end = (int(day.timestamp() * 1000) for day in QA60_GAP)
    has_band = image.bandNames().contains("QA60")
    return ee.Number(has_band).And(time.lt(start).Or(time.gte(end)))


def s2cloudless(image: ee.Image) -> tuple[ee.Image, ee.Number]:
    """Return s2cloudless's probability of cloud from 0 to 1, and whether the image has it."""
    probability, present = _linked(image, PROBABILITY_COLLECTION, "probability")
    return probability.divide(PERCENT), present


def cloud_score_plus(image: ee.Image) -> tuple[ee.Image, ee.Number]:
    """Return Cloud Score+ turned round, from 0 clear to 1 occluded, and whether it is there."""
    score, present = _linked(image, CLOUD_SCORE_COLLECTION, CLOUD_SCORE_BAND)
    return ee.Image(1).subtract(score), present


REFERENCES: dict[str, Callable[[ee.Image], tuple[ee.Image, ee.Number]]] = {
    "qa60": qa60,
    "s2cloudless": s2cloudless,
    "cloud_score_plus": cloud_score_plus,
}


def presence(
    images: ee.List, names: Sequence[str], select: Callable[[str], ee.ImageCollection]
) -> Callable[[ee.Image], dict[str, ee.Number]]:
    """Return a function of one of the images: which references it has by now, 1 or 0 by name.

    Other collections are asked once for all images; `select` narrows one down, by its id, to where
    and when the images are.
    """
    collections = {
        "s2cloudless": PROBABILITY_COLLECTION,
        "cloud_score_plus": CLOUD_SCORE_COLLECTION,
    }
    indices = images.map(lambda image: ee.Image(image).get("system:index"))
    of_images = ee.Filter.inList("system:index", indices)
    there = {
        name: select(collection).filter(of_images).aggregate_array("system:index")
        for name, collection in collections.items()
        if name in names
    }

    def of(image: ee.Image) -> dict[str, ee.Number]:
        index = image.get("system:index")
        found = {name: ee.Number(known.contains(index)) for name, known in there.items()}
        return found | ({"qa60": _has_qa60(image)} if "qa60" in names else {})

    return of


def reference_bands(image: ee.Image, names: Sequence[str]) -> ee.Image:
    """Return a band for each name: 1 is cloud, 0 is not, masked is unknown."""
    unknown = [name for name in names if name not in REFERENCES]
    if unknown or not names:
        raise ValueError(f"No reference masks {unknown}; there are {', '.join(REFERENCES)}.")
    found = {name: REFERENCES[name](image) for name in names}
    bands = [band.toDouble().rename(name) for name, (band, _) in found.items()]
    return ee.Image.cat(bands).set({f"{n}_present": there for n, (_, there) in found.items()})


def _linked(image: ee.Image, collection: str, band: str) -> tuple[ee.Image, ee.Number]:
    """Return a band of the image of the same index in another collection, or a masked one."""
    same = ee.Filter.eq("system:index", image.get("system:index"))
    found = ee.ImageCollection(collection).filter(same).select(band)
    first = found.merge(ee.ImageCollection([_nothing(band)])).first()
    return ee.Image(first), found.size()


def _nothing(band: str) -> ee.Image:
    return ee.Image.constant(0).rename(band).updateMask(0)
