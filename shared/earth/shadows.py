"""Where clouds can throw their shadows: projected along the sun's azimuth."""

import math

import ee

#: Heights of clouds that throw sharp shadows, in metres: higher ones are mostly thin cirrus.
HIGHEST_CLOUD = 3_500

#: Clouds are looked for on pixels of this size (metres): shadows are larger, and clouds are
#: classified and searched 36 times faster than on 10 m.
COARSE = 60

#: Longest shadow looked for (metres): at low sun the search would cover most of the image.
LONGEST = 6_000

#: Sun's zenith angle (degrees) where nothing tells it, and the greatest that counts.
USUAL_ZENITH, GREATEST_ZENITH = 45, 80

#: How far a shadow's cloud is at most (metres) where its direction is not known.
NEAR = 3_000

#: Share of the way to a cloud that must lie inside the image for "no cloud" to be certain.
INSIDE = 0.5

#: What is known of a cloud that could shade a pixel: there is none, it may stand outside the
#: image's pixels, it is there.
NONE, UNSEEN, SEEN = 0, 1, 2

UNKNOWN = -1  # azimuth that nothing tells

#: 1 January 2000, 12:00 (ms since 1970): the epoch of the sun's position.
EPOCH, DAY = 946_728_000_000, 86_400_000

DEGREE = math.pi / 180  # radians


def shading_clouds(clouds: ee.Image, image: ee.Image, dated: bool) -> ee.Image:
    """Return SEEN where one of `clouds` (1, else 0) stands between the pixel and the sun.

    UNSEEN where the way to the sun leaves the image's pixels soon, else NONE. Where an image is
    not dated and has no sun in its properties, any way may be the one, NEAR long. That a pixel is
    dark is for the forest to say.
    """
    zenith, azimuth = sun(image, dated)
    # Angles count from the x axis against the clock, azimuths from north with the clock.
    towards_sun = ee.Number(90).subtract(azimuth)

    def found(what: ee.Image, share: float) -> ee.Image:
        pixels = _longest_shadow(zenith, share)
        return what.directionalDistanceTransform(towards_sun, pixels).select("distance").mask()

    outside = image.select(0).mask().unmask(0, False).eq(0)
    clouds = clouds.unmask(0, False)
    shading = found(outside, INSIDE).gt(0).where(found(clouds, 1), SEEN)

    def around(what: ee.Image, metres: float) -> ee.Image:
        pixels = int(metres / COARSE)
        return what.fastDistanceTransform(pixels).lte(pixels**2).unmask(0, False)

    if not dated:
        near = around(outside, NEAR * INSIDE).where(around(clouds, NEAR), SEEN)
        # Both are valid whatever the image says, so it does no harm if both are evaluated.
        shading = ee.Image(ee.Algorithms.If(azimuth.eq(UNKNOWN), near, shading))
    return shading.reproject(image.select(0).projection().atScale(COARSE))


def _longest_shadow(zenith: ee.Number, share: float) -> ee.Number:
    """Return a share of the longest shadow at a zenith angle, in COARSE pixels."""
    length = f"{HIGHEST_CLOUD} * tan({DEGREE} * min(zenith, {GREATEST_ZENITH}))"
    pixels = f"int(ceil(min({length}, {LONGEST}) * {share} / {COARSE}))"
    return ee.Number.expression(pixels, {"zenith": zenith})


def sun(image: ee.Image, dated: bool) -> tuple[ee.Number, ee.Number]:
    """Return the sun's zenith and azimuth (degrees, from north with the clock) over an image.

    They are its MEAN_SOLAR_ angles, else computed from its time and place; where it is not dated,
    USUAL_ZENITH and UNKNOWN.
    """
    zenith, azimuth = _position(image) if dated else (USUAL_ZENITH, UNKNOWN)
    known = image.toDictionary()
    return (
        ee.Number(known.get("MEAN_SOLAR_ZENITH_ANGLE", zenith)),
        ee.Number(known.get("MEAN_SOLAR_AZIMUTH_ANGLE", azimuth)),
    )


def _position(image: ee.Image) -> tuple[ee.Number, ee.Number]:
    """Return the sun's zenith and azimuth at an image's time and place.

    Michalsky 1988 (doi 10.1016/0038-092X(88)90045-X), who gives it as exact to 0.01° until 2050.
    """
    days = image.date().millis().subtract(EPOCH).divide(DAY)
    place = image.geometry().centroid(COARSE).coordinates()
    anomaly = f"{DEGREE} * (357.528 + 0.9856003 * days)"
    tilt = f"{DEGREE} * (23.439 - 0.0000004 * days)"
    longitude = ee.Number.expression(
        f"{DEGREE} * ((280.460 + 0.9856474 * days) % 360"
        f" + 1.915 * sin({anomaly}) + 0.020 * sin(2 * {anomaly}))",
        {"days": days},
    )
    sky = {"days": days, "lon": place.get(0), "longitude": longitude}
    declination = ee.Number.expression(f"asin(sin({tilt}) * sin(longitude))", sky)
    # How far the sun is east of the meridian. Earth Engine's atan2 takes x before y.
    eastward = ee.Number.expression(
        f"atan2(cos(longitude), cos({tilt}) * sin(longitude))"
        f" - {DEGREE} * ((280.46062 + 360.98564737 * days) % 360 + lon)",
        sky,
    )
    latitude = ee.Number(place.get(1)).multiply(DEGREE)
    here = {"lat": latitude, "dec": declination, "eastward": eastward}
    zenith = ee.Number.expression(
        f"acos(sin(dec) * sin(lat) + cos(dec) * cos(lat) * cos(eastward)) / {DEGREE}", here
    )
    azimuth = ee.Number.expression(
        "(atan2(sin(dec) * cos(lat) - cos(dec) * sin(lat) * cos(eastward),"
        f" cos(dec) * sin(eastward)) / {DEGREE} + 360) % 360",
        here,
    )
    return zenith, azimuth
