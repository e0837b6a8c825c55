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


def shading_clouds(clouds: ee.Image, image: ee.Image) -> ee.Image:
    """Return SEEN where one of `clouds` (1, else 0) stands between the pixel and the sun.

    UNSEEN where the way to the sun leaves the image's pixels soon, else NONE. Where neither the
    image's properties nor its time say where the sun is, any way may be the one, NEAR long. That a
    pixel is dark is for the forest to say.
    """
    zenith, azimuth = sun(image)
    length = _radians(zenith.min(GREATEST_ZENITH)).tan().multiply(HIGHEST_CLOUD).min(LONGEST)
    # Angles count from the x axis against the clock, azimuths from north with the clock.
    towards_sun = ee.Number(90).subtract(azimuth)

    def found(what: ee.Image, distance: ee.Number) -> ee.Image:
        pixels = distance.divide(COARSE).ceil().int()
        return what.directionalDistanceTransform(towards_sun, pixels).select("distance").mask()

    outside = image.select(0).mask().gt(0).unmask(0, False).Not()
    clouds = clouds.unmask(0, False)
    towards = found(outside, length.multiply(INSIDE)).gt(0).where(found(clouds, length).gt(0), SEEN)

    def around(what: ee.Image, metres: float) -> ee.Image:
        pixels = int(metres / COARSE)
        return what.fastDistanceTransform(pixels).lte(pixels**2).unmask(0, False)

    near = around(outside, NEAR * INSIDE).where(around(clouds, NEAR), SEEN)
    # Both are valid whatever the image says, so it does no harm if both are evaluated.
    shading = ee.Image(ee.Algorithms.If(azimuth.eq(UNKNOWN), near, towards))
    return shading.reproject(image.select(0).projection().atScale(COARSE))


def sun(image: ee.Image) -> tuple[ee.Number, ee.Number]:
    """Return the sun's zenith and azimuth (degrees, from north with the clock) over an image.

    They are its MEAN_SOLAR_ angles, else computed from its time and place; without a time
    USUAL_ZENITH and UNKNOWN.
    """
    time = ee.Number(_first(image.get("system:time_start"), 0))
    zenith, azimuth = _position(time, image.geometry().centroid(COARSE).coordinates())
    dated = time.neq(0)
    zenith = ee.Algorithms.If(dated, zenith, USUAL_ZENITH)
    azimuth = ee.Algorithms.If(dated, azimuth, UNKNOWN)
    return (
        ee.Number(_first(image.get("MEAN_SOLAR_ZENITH_ANGLE"), zenith)),
        ee.Number(_first(image.get("MEAN_SOLAR_AZIMUTH_ANGLE"), azimuth)),
    )


def _position(time: ee.Number, place: ee.List) -> tuple[ee.Number, ee.Number]:
    """Return zenith and azimuth at a time (ms) and place (lon, lat).

    Michalsky 1988 (doi 10.1016/0038-092X(88)90045-X), who gives it as exact to 0.01° until 2050.
    """
    days = time.subtract(EPOCH).divide(DAY)

    def turned(start: float, per_day: float) -> ee.Number:
        return _radians(days.multiply(per_day).add(start).mod(360))

    anomaly = turned(357.528, 0.9856003)
    longitude = (
        turned(280.460, 0.9856474)
        .add(anomaly.sin().multiply(math.radians(1.915)))
        .add(anomaly.multiply(2).sin().multiply(math.radians(0.020)))
    )
    tilt = _radians(days.multiply(-4e-7).add(23.439))
    # Earth Engine's atan2 takes x before y.
    ascension = longitude.cos().atan2(longitude.sin().multiply(tilt.cos()))
    declination = longitude.sin().multiply(tilt.sin()).asin()
    sidereal = turned(280.46062, 360.98564737)
    hour_angle = sidereal.add(_radians(ee.Number(place.get(0)))).subtract(ascension)
    latitude = _radians(ee.Number(place.get(1)))
    east = declination.cos().multiply(hour_angle.sin()).multiply(-1)
    across = declination.cos().multiply(hour_angle.cos())
    north = declination.sin().multiply(latitude.cos()).subtract(across.multiply(latitude.sin()))
    up = declination.sin().multiply(latitude.sin()).add(across.multiply(latitude.cos()))
    azimuth = north.atan2(east).multiply(180 / math.pi).add(360).mod(360)
    return up.acos().multiply(180 / math.pi), azimuth


def _radians(degrees: ee.Number) -> ee.Number:
    return degrees.multiply(math.pi / 180)


def _first(value: ee.ComputedObject, otherwise: float | ee.ComputedObject) -> ee.ComputedObject:
    """Return a value, or another where it is null."""
    return ee.List([value, otherwise]).reduce(ee.Reducer.firstNonNull())
