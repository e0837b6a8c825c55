"""Where clouds can throw their shadows: projected along the sun's azimuth."""

import math

import ee

#: Heights of clouds that throw sharp shadows, in metres: higher ones are mostly thin cirrus.
HIGHEST_CLOUD = 5_000

#: The projection is looked for on pixels of this size (metres): shadows are larger, and the
#: search gets 36 times cheaper than on 10 m.
COARSE = 60

#: Longest shadow looked for (metres): at low sun the search would cover most of the image.
LONGEST = 6_000

#: Sun's zenith angle (degrees) where an image does not say it, and the greatest that counts.
USUAL_ZENITH, GREATEST_ZENITH = 45, 80

#: How far a shadow's cloud is at most (metres) where its direction is not known.
NEAR = 3_000

#: Clouds that throw shadows are brighter than this in B2 (Mateo-García et al. 2018, brightness),
#: and in B2 less half of B4 (Zhu and Woodcock 2012, HOT).
BRIGHT_BLUE, BRIGHT_HOT = 0.175, 0.08

UNKNOWN = -1  # azimuth of an image that does not say it


def may_be_shaded(reflectance: ee.Image, image: ee.Image) -> ee.Image:
    """Return 1 where a bright cloud stands between the pixel and the sun, else 0.

    Where the image does not say where the sun is (MEAN_SOLAR_AZIMUTH_ANGLE), 1 where a cloud
    is within NEAR in any direction. What is taken for a cloud here may be snow or sand: that a
    pixel is dark is for the forest to say.
    """
    azimuth = _property(image, "MEAN_SOLAR_AZIMUTH_ANGLE", UNKNOWN)
    zenith = _property(image, "MEAN_SOLAR_ZENITH_ANGLE", USUAL_ZENITH).min(GREATEST_ZENITH)
    length = zenith.multiply(math.pi / 180).tan().multiply(HIGHEST_CLOUD).min(LONGEST)
    # Angles count from the x axis against the clock, azimuths from north with the clock.
    towards_sun = ee.Number(90).subtract(azimuth)
    blue, red = reflectance.select("B2"), reflectance.select("B4")
    hot = blue.subtract(red.divide(2))
    clouds = blue.gt(BRIGHT_BLUE).And(hot.gt(BRIGHT_HOT)).unmask(0, False)
    towards = clouds.directionalDistanceTransform(towards_sun, length.divide(COARSE).ceil().int())
    near = clouds.fastDistanceTransform(NEAR // COARSE).lte((NEAR // COARSE) ** 2).unmask(0, False)
    # Both are valid whatever the image says, so it does no harm if both are evaluated.
    found = ee.Algorithms.If(azimuth.eq(UNKNOWN), near, towards.select("distance").mask().gt(0))
    return ee.Image(found).reproject(blue.projection().atScale(COARSE))


def _property(image: ee.Image, name: str, otherwise: float) -> ee.Number:
    """Return a property as a number, or another where the image has none."""
    return ee.Number(ee.List([image.get(name), otherwise]).reduce(ee.Reducer.firstNonNull()))
