"""The classes of a mask's pixels: band `class`, files, and what the forests tell apart."""

CLASS_NAMES = ("clear", "cloud", "shadow", "snow", "thin cloud")
CLEAR, CLOUD, SHADOW, SNOW, THIN = range(len(CLASS_NAMES))

#: What counts as cloud.
CLOUDY = (CLOUD, THIN)

#: In files; in Earth Engine such pixels are masked.
NODATA = 255
