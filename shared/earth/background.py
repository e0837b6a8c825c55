"""What a place looks like without clouds: the median of the clearest images around a date."""

import ee

#: An acquisition's neighbours from the same pass, and its reprocessed twin, are within this.
SAME_PASS_HOURS = 18


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
        .filter(ee.Filter.eq("MGRS_TILE", image.get("MGRS_TILE")))
        .filter(passes.Not())
        .limit(number, "CLOUDY_PIXEL_PERCENTAGE")
    )


def median(images: ee.ImageCollection, like: ee.Image) -> ee.Image:
    """Return the per-pixel median of the bands of `like`, masked where there is no image."""
    # An empty collection would reduce to an image without bands, on which all that follows
    # fails; and a collection's images must have the same bands and types.
    nothing = ee.ImageCollection([like.updateMask(0)])
    return images.select(like.bandNames()).merge(nothing).median()
