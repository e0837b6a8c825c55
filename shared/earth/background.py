"""What a place looks like without clouds: which images tell it, and what they say."""

from dataclasses import dataclass
from enum import IntEnum

import ee

#: An acquisition's neighbours from the same pass, and its reprocessed twin, are within this.
SAME_PASS_HOURS = 18

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

#: Properties of Sentinel-2 images (Earth Engine catalogue).
TIME, TILE, CLOUDINESS = "system:time_start", "MGRS_TILE", "CLOUDY_PIXEL_PERCENTAGE"

#: Properties that background images get, each an order of them: of neighbours, of cloud cover.
NEAREST, CLEAREST, CLOUDIEST = "nearest_first", "clearest_first", "cloudiest_first"

#: Footprints are compared to this many metres: their edges are not known better.
FOOTPRINT_ERROR = 100

#: More days than there are between any two images, and more per cent than there are of clouds:
#: added to an image's place in an order, it puts the image behind all others.
LAST = 1_000_000

#: Pixels read to see whether an image is mostly masked; Earth Engine coarsens to stay below.
CHECKED_PIXELS = 10_000

#: Of the whole archive, so many least cloudy images have their footprints compared.
ARCHIVE_PRESELECT = 200

#: Cloud cover in per cent of an image that has no such property.
UNKNOWN_CLOUDINESS = 100


class Selection(IntEnum):
    """Which images are the background: the original's five ways, by its numbers."""

    NEIGHBOURS = 1
    """The nearest in time."""

    CLEAR_NEIGHBOURS = 2
    """The nearest in time of those below the cloud-cover threshold."""

    CLEAREST_EVER = 3
    """The least cloudy of the whole archive."""

    CLOUDIEST_NEIGHBOURS = 4
    """Of the preselected neighbours the most cloudy: a control that a method must not beat."""

    CLEAREST_NEIGHBOURS = 5
    """Of the preselected neighbours the least cloudy."""


@dataclass(frozen=True)
class BackgroundRules:
    """How background images are chosen; the values are those of the 2019 system.

    `number_of_images` are chosen, of `number_preselect` neighbours; `cloud_threshold` is in per
    cent of cloud cover. None is within `same_pass_hours` of the image, each has `common_share` of
    the image's footprint in common. Without `allow_future` all are older than the image. An
    image with pixels in less than `valid_share` of the footprint is chosen only when there are not
    enough others (0: pixels are not looked at). `days` bounds the search on both sides of the
    image, except in the archive of CLEAREST_EVER; the 2019 system had no such bound and compared
    the footprints of the whole archive.
    """

    number_of_images: int = 20
    number_preselect: int = 40
    cloud_threshold: float = 20
    same_pass_hours: float = SAME_PASS_HOURS
    common_share: float = 0.95
    allow_future: bool = True
    valid_share: float = 0.5
    days: int = 365


#: The order in which a selection's images are taken.
ORDERS = {
    Selection.NEIGHBOURS: NEAREST,
    Selection.CLEAR_NEIGHBOURS: NEAREST,
    Selection.CLEAREST_EVER: CLEAREST,
    Selection.CLOUDIEST_NEIGHBOURS: CLOUDIEST,
    Selection.CLEAREST_NEIGHBOURS: CLEAREST,
}


def select_background(
    image: ee.Image, scenes: ee.ImageCollection, selection: Selection, rules: BackgroundRules
) -> ee.ImageCollection:
    """Return a selection's images, best first; there may be none."""
    pool = _candidates(image, scenes, selection, rules)
    by_cloudiness = selection is Selection.CLEAREST_EVER
    chosen = pool.sort(CLEAREST if by_cloudiness else NEAREST).limit(rules.number_preselect)
    if rules.valid_share > 0:
        chosen = chosen.map(lambda other: _masked_last(ee.Image(other), image, rules))
    return chosen.sort(ORDERS[selection]).limit(rules.number_of_images)


def _candidates(
    image: ee.Image, scenes: ee.ImageCollection, selection: Selection, rules: BackgroundRules
) -> ee.ImageCollection:
    """Return the images of the tile that may be chosen, with their places in each order.

    A neighbour's place counts days: into the past, and then, behind all of the past, into the
    future. So the first n are the n latest before the image, topped up with the earliest after it.
    """
    time = ee.Number(image.get(TIME))
    pool = scenes.filter(_same_tile(image)).filter(_other_pass(time, rules))
    if selection is Selection.CLEAREST_EVER:
        pool = pool.sort(CLOUDINESS).limit(ARCHIVE_PRESELECT)
    else:
        reach = rules.days * DAY_MS
        pool = pool.filter(ee.Filter.gte(TIME, time.subtract(reach))).filter(
            ee.Filter.lte(TIME, time.add(reach))
        )
    if selection is Selection.CLEAR_NEIGHBOURS:
        pool = pool.filter(ee.Filter.lt(CLOUDINESS, rules.cloud_threshold))
    footprint = image.geometry()
    least = footprint.area(FOOTPRINT_ERROR).multiply(rules.common_share)

    def ranked(other: ee.Image) -> ee.Image:
        age = time.subtract(ee.Number(other.get(TIME))).divide(DAY_MS)
        common = footprint.intersection(other.geometry(), FOOTPRINT_ERROR).area(FOOTPRINT_ERROR)
        cloudiness = ee.Number(other.toDictionary().get(CLOUDINESS, UNKNOWN_CLOUDINESS))
        places = {
            NEAREST: age.abs().add(age.lt(0).multiply(LAST)),
            CLEAREST: cloudiness,
            CLOUDIEST: cloudiness.multiply(-1),
        }
        return other.set({**places, "common": common.gte(least)})

    return pool.map(ranked).filter(ee.Filter.eq("common", 1))


def _same_tile(image: ee.Image) -> ee.Filter:
    """Return the filter for an image's tile; images without a tile's name go together."""
    tile = image.toDictionary().get(TILE, "")
    return ee.Filter.Or(ee.Filter.eq(TILE, tile), ee.Filter.notNull([TILE]).Not())


def _other_pass(time: ee.Number, rules: BackgroundRules) -> ee.Filter:
    gap = rules.same_pass_hours * HOUR_MS
    earlier = ee.Filter.lt(TIME, time.subtract(gap))
    if not rules.allow_future:
        return earlier
    return ee.Filter.Or(earlier, ee.Filter.gt(TIME, time.add(gap)))


def _masked_last(other: ee.Image, image: ee.Image, rules: BackgroundRules) -> ee.Image:
    """Put a mostly masked image behind all others in each order."""
    masked = _valid_share(other, image).lt(rules.valid_share)
    # Twice: also behind images of the future.
    behind = masked.multiply(2 * LAST)
    return other.set(
        {name: ee.Number(other.get(name)).add(behind) for name in (NEAREST, CLEAREST, CLOUDIEST)}
    )


def _valid_share(other: ee.Image, image: ee.Image) -> ee.Number:
    """Return the share of an image's footprint in which another has pixels in its first band."""
    first = other.select(0)
    share = (
        first.mask()
        .rename("valid")
        .reduceRegion(
            reducer=ee.Reducer.mean(),
            geometry=image.geometry(),
            crs=first.projection().crs(),
            scale=first.projection().nominalScale(),
            bestEffort=True,
            maxPixels=CHECKED_PIXELS,
        )
    )
    return ee.Number(share.get("valid"))


def latest(images: ee.ImageCollection, like: ee.Image) -> ee.Image:
    """Return of a selection the latest image before the image, or else the earliest after it.

    It has the bands of `like`, and is masked if the selection is empty.
    """
    ordered = images.sort(NEAREST).select(like.bandNames())
    return ee.Image(ordered.merge(_nothing(like)).first())


def background_images(
    image: ee.Image, scenes: ee.ImageCollection, days: int, number: int
) -> ee.ImageCollection:
    """Return the `number` least cloudy images of the same tile within `days`, not of the pass."""
    date = image.date()
    passes = ee.Filter.date(
        date.advance(-SAME_PASS_HOURS, "hour"), date.advance(SAME_PASS_HOURS, "hour")
    )
    return (
        scenes.filterDate(date.advance(-days, "day"), date.advance(days, "day"))
        .filter(_same_tile(image))
        .filter(passes.Not())
        .limit(number, CLOUDINESS)
    )


def median(images: ee.ImageCollection, like: ee.Image) -> ee.Image:
    """Return the per-pixel median of the bands of `like`, masked where there is no image."""
    return images.select(like.bandNames()).merge(_nothing(like)).median()


def _nothing(like: ee.Image) -> ee.ImageCollection:
    """Return one wholly masked image.

    An empty collection would reduce to an image without bands, on which all that follows
    fails; and a collection's images must have the same bands and types.
    """
    return ee.ImageCollection([like.updateMask(0)])
