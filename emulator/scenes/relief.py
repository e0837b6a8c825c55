"""Sun and sky on hilly ground: slopes, and the shadows that hills cast."""

import numpy as np
from scipy.ndimage import gaussian_filter

from emulator.scenes.sentinel2 import PIXEL_M

#: Heights are smoothed over so many pixels before slopes are taken (standard deviation).
SMOOTHING = 2.0
#: Slopes towards a low sun get at most so much of a plain's beam.
BRIGHTEST_SLOPE = 2.5
#: How far shadows are looked for (pixels), and pixels between looks.
REACH, STRIDE = 96, 2


def on_slopes(height: np.ndarray, zenith: float, azimuth: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the sun's beam on each pixel by that on a plain, and the open share of its sky.

    `height` is in m, rows running south; the sun's zenith and azimuth are in degrees.
    """
    smooth = gaussian_filter(height, SMOOTHING)
    southward, eastward = np.gradient(smooth, PIXEL_M)
    theta, phi = np.radians(zenith), np.radians(azimuth)
    upright = 1 / np.sqrt(1 + southward**2 + eastward**2)
    towards_sun = eastward * np.sin(phi) - southward * np.cos(phi)
    cosine = (np.cos(theta) - np.sin(theta) * towards_sun) * upright
    slope = np.clip(cosine / np.cos(theta), 0, BRIGHTEST_SLOPE)
    lit = slope * ~_hidden(smooth, zenith, azimuth)
    return gaussian_filter(lit, 0.7).astype(np.float32), ((1 + upright) / 2).astype(np.float32)


def _hidden(height: np.ndarray, zenith: float, azimuth: float) -> np.ndarray:
    """Return where higher ground stands before the sun."""
    phi = np.radians(azimuth)
    rise = PIXEL_M / np.tan(np.radians(zenith))
    hidden = np.zeros(height.shape, bool)
    for distance in range(STRIDE, REACH, STRIDE):
        if distance * rise > np.ptp(height):
            break
        rows, cols = (round(-distance * np.cos(phi)), round(distance * np.sin(phi)))
        ahead = shifted(height, -rows, -cols)
        hidden |= ahead - distance * rise > height
    return hidden


def shifted(field: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Return the field moved down and right by whole pixels, its edges repeated."""
    height, width = field.shape
    if rows:
        field = field.take(np.clip(np.arange(height) - rows, 0, height - 1), axis=0)
    if cols:
        field = field.take(np.clip(np.arange(width) - cols, 0, width - 1), axis=1)
    return field
