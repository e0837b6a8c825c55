"""Random fields with the texture of land and clouds."""

import numpy as np
from numpy.random import Generator
from scipy.fft import irfft2, rfft2


def turbulence(
    rng: Generator, shape: tuple[int, int], scale: float, slope: float = 8 / 3
) -> np.ndarray:
    """Return a field (shape, float32) of mean 0 and deviation 1 with von Kármán's spectrum.

    Power falls with frequency as f^-slope below the outer scale (pixels) and is flat above it;
    8/3 is Kolmogorov's turbulence in two dimensions.
    """
    rows, cols = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])
    amplitude = (rows**2 + cols**2 + scale**-2) ** (-slope / 4)
    white = rng.standard_normal(shape, dtype=np.float32)
    field = irfft2(rfft2(white) * amplitude, shape)
    return ((field - field.mean()) / field.std()).astype(np.float32)


def ranks(field: np.ndarray) -> np.ndarray:
    """Return the share of the field's values below each value, in [0, 1)."""
    order = np.empty(field.size, np.float32)
    order[field.argsort(axis=None)] = np.linspace(0, 1, field.size, endpoint=False)
    return order.reshape(field.shape)
