"""Where clouds can throw their shadows: projected along the sun's azimuth."""

import math

import ee

#: Heights of clouds that throw sharp shadows, in metres: higher ones are mostly thin cirrus.
HIGHEST_CLOUD = 6_000

#: The projection is looked for on pixels of this size (metres): shadows are larger, and the
#: search gets 36 times cheaper than on 10 m.
COARSE = 60

#: Longest shadow looked for (metres): at low sun the search would cover most of the image.
LONGEST = 9_000

#: Sun's zenith angle (degrees) where an image does not say it, and the greatest that counts.
USUAL_ZENITH, GREATEST_ZENITH = 45, 80

UNKNOWN = -1  # azimuth of an image that does not say it


def may_be_shaded(clouds: ee.Image, image: ee.Image, projection: ee.Projection) -> ee.Image:
    """Return 1 where a cloud stands between the pixel and the sun, else 0.

    Where the image does not say where the sun is (MEAN_SOLAR_AZIMUTH_ANGLE), 1 everywhere:
    then darkness alone decides.
    """
    azimuth = _property(image, "MEAN_SOLAR_AZIMUTH_ANGLE", UNKNOWN)
    zenith = _property(image, "MEAN_SOLAR_ZENITH_ANGLE", USUAL_ZENITH).min(GREATEST_ZENITH)
    length = zenith.multiply(math.pi / 180).tan().multiply(HIGHEST_CLOUD).min(LONGEST)
    # Angles count from the x axis against the clock, azimuths from north with the clock.
    towards_sun = ee.Number(90).subtract(azimuth)
    shaded = (
        clouds.unmask(0, False)
        .directionalDistanceTransform(towards_sun, length.divide(COARSE).ceil().int())
        .reproject(projection.atScale(COARSE))
        .select("distance")
        .mask()
        .gt(0)
    )
    return shaded.Or(ee.Image.constant(azimuth.eq(UNKNOWN)))


def _property(image: ee.Image, name: str, otherwise: float) -> ee.Number:
    """Return a property as a number, or another where the image has none."""
    return ee.Number(ee.List([image.get(name), otherwise]).reduce(ee.Reducer.firstNonNull()))
