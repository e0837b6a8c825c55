"""The default's fit once more, in vectorised numpy: the reference for tests and benchmarks."""

from dataclasses import dataclass

import numpy as np

YEAR, MEAN, MARGIN, STEP, FREEDOM = 365.25, 0.4, 40, 12, 4
#: noise, constant, trend, three harmonics, departures and their memory in days.
PRIORS = (
    (0.001, 1, 1, (1, 1, 1), 0.0, 25),
    (0.045, 0.5, 0.02, (0.3, 0.2, 0.1), 0.2, 25),
    (0.04, 0.5, 0.02, (0.5, 0.07, 0.03), 0.2, 100),
    (0.1, 0.5, 0.05, (0.15, 0.02, 0.005), 0.05, 25),
    (0.065, 0.5, 0.03, (0.3, 0.1, 0.1), 0.18, 18),
)
WATCHFUL = (0.065, 0.5, 0.02, (0.15, 0.05, 0.02), 0.2, 25)
WIDENING = 1.75


@dataclass
class Fit:
    """Coefficients (pixels, terms), their covariance, variance of an observation (pixels,).

    `lowest` and `highest` (pixels,) are the curve's limits.
    """

    first: float
    after: float
    coefficients: np.ndarray
    covariance: np.ndarray
    noise: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    def at(self, days):
        """Return values and standard deviations of observations, (times, pixels)."""
        design = basis(days, self.first, self.after)
        variance = ((design @ self.covariance) * design).sum(axis=-1) + self.noise[:, None]
        free = (self.coefficients @ design.T + MEAN).T
        values = np.clip(free, self.lowest, self.highest)
        return values, np.sqrt(variance.T + (free - values) ** 2)


def basis(days, first, after):
    days = np.asarray(days, float)
    middle, half, frequencies = _sines(first, after)
    waves = [2 * np.pi * k * days / YEAR for k in (1, 2, 3)]
    columns = [np.ones_like(days), (days - middle) / YEAR]
    columns += [wave(angle) for angle in waves for wave in (np.cos, np.sin)]
    sines = np.sin((days - middle + half)[:, None] * frequencies) / np.sqrt(half)
    return np.column_stack([*columns, sines])


def _sines(first, after):
    half = (after - first) / 2 + MARGIN
    count = int(np.ceil(2 * half / STEP))
    return (first + after) / 2, half, np.pi * np.arange(1, count + 1) / (2 * half)


def scales(prior, first, after):
    _, constant, trend, waves, departure, memory = prior
    frequencies = _sines(first, after)[2]
    rate = np.sqrt(3) / memory
    density = 4 * rate**3 / (rate**2 + frequencies**2) ** 2
    return np.concatenate([[constant, trend], np.repeat(waves, 2), departure * np.sqrt(density)])


def fit(days, values, first, after, trust=1.0):
    """Fit values (times, pixels), NaN where not observed; `trust` is what each counts."""
    seen = ~np.isnan(values).T
    trust = np.where(seen, np.broadcast_to(trust, values.shape).T, 0)
    departures = np.where(seen, values.T - MEAN, 0)
    design = basis(days, first, after)
    weights = _weights(design, departures, trust, first, after)
    gram = (design.T * weights[:, None, :]) @ design
    moment = (weights * departures) @ design
    square, count = (weights * departures**2).sum(1), weights.sum(1)
    parts = [_posterior(p, scales(p, first, after), gram, moment, square, count) for p in PRIORS]
    evidence = np.array([part[3] for part in parts])
    shares = np.exp(evidence - evidence.max(axis=0))
    shares /= shares.sum(axis=0)
    mean = sum(share[:, None] * part[0] for share, part in zip(shares, parts, strict=True))
    covariance = noise = 0
    for share, (coefficients, within, variance, _) in zip(shares, parts, strict=True):
        apart = coefficients - mean
        between = apart[:, :, None] * apart[:, None, :]
        covariance = covariance + share[:, None, None] * (within + between)
        noise = noise + share * variance
    low = values.T.min(axis=1, where=seen, initial=1)
    high = values.T.max(axis=1, where=seen, initial=-1)
    margin = np.maximum(0.5 * (high - low), 0.3)
    known = seen.any(axis=1)
    lowest = np.where(known, np.maximum(low - margin, -1), -1)
    highest = np.where(known, np.minimum(high + margin, 1), 1)
    return Fit(first, after, mean, covariance * WIDENING, noise, lowest, highest)


def _posterior(prior, scale, gram, moment, square, count):
    noise = prior[0]
    precision = gram * np.outer(scale, scale) / noise**2 + np.eye(len(scale))
    inverse = np.linalg.inv(precision)
    right = moment * scale / noise**2
    solution = (inverse @ right[..., None])[..., 0]
    misfit = np.maximum(square / noise**2 - (right * solution).sum(axis=1), 0)
    size = (FREEDOM + misfit) / (FREEDOM + count)
    determinant = np.linalg.slogdet(precision)[1] + 2 * count * np.log(noise)
    evidence = -((FREEDOM + count) * np.log1p(misfit / FREEDOM) + determinant) / 2
    covariance = inverse * np.outer(scale, scale) * size[:, None, None]
    return solution * scale, covariance, size * noise**2, evidence


def _weights(design, departures, trust, first, after):
    scaled = design * scales(WATCHFUL, first, after) / WATCHFUL[0]
    gram = (scaled.T * trust[:, None, :]) @ scaled
    inverse = np.linalg.inv(gram + np.eye(len(gram[0])))
    curve = ((inverse @ ((trust * departures) @ scaled)[..., None])[..., 0]) @ scaled.T
    free = 1 - trust * ((scaled @ inverse) * scaled).sum(axis=-1)
    standard = np.where(trust > 0, departures - curve, 0) / np.sqrt(free) / WATCHFUL[0]
    bounded = np.minimum(standard**2, 4).sum(axis=1) + FREEDOM
    standard /= np.sqrt(bounded / ((trust > 0).sum(axis=1) + FREEDOM))[:, None]
    return trust * (2 / np.maximum(-standard, 2)) ** 2
