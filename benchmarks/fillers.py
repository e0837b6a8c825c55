"""Ways to fill gaps that the presets are held against, in numpy, scipy and scikit-learn.

Each takes days since 1970 (times,), values (times, pixels) with NaN in gaps, and returns values of
the same shape without gaps.
"""

from collections.abc import Callable

import numpy as np
from scipy.signal import savgol_filter
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

Array = np.ndarray
Filler = Callable[[Array, Array], Array]

YEAR = 365.25  # days
WHITTAKER_STEP, WHITTAKER_LAMBDA = 5, 30  # days; as in shared/data/README.md
SAVGOL_STEP, SAVGOL_WINDOW, SAVGOL_ORDER = 5, 13, 2  # days, steps
GP_PIXELS = 20  # on which hyperparameters are fitted, then used for all


def cascade(days: Array, values: Array) -> Array:
    """Fill as the system of 2019: 10, 5 or 1 harmonics with trend; no gate but the equations'."""
    result = harmonics(days, values, 1, trend=True)
    for order in (5, 10):
        fit = harmonics(days, values, order, trend=True)
        result = np.where(np.abs(fit) < 1, fit, result)
    return result


def one_harmonic(days: Array, values: Array) -> Array:
    return harmonics(days, values, 1)


def two_harmonics(days: Array, values: Array) -> Array:
    return harmonics(days, values, 2)


def three_harmonics(days: Array, values: Array) -> Array:
    return harmonics(days, values, 3)


def harmonics(days: Array, values: Array, order: int, trend: bool = False) -> Array:
    """Least squares; NaN where there are no more observations than terms."""
    angles = [2 * np.pi * k * days / YEAR for k in range(1, order + 1)]
    terms = [np.ones_like(days), *[wave for a in angles for wave in (np.cos(a), np.sin(a))]]
    design = np.stack(terms + [(days - days.mean()) / YEAR] * trend, axis=1)

    def fit(known: Array, observed: Array) -> Array:
        if known.sum() <= design.shape[1]:
            return np.full((len(days), observed.shape[1]), np.nan)
        return design @ np.linalg.lstsq(design[known], observed, rcond=None)[0]

    return _by_pattern(values, fit)


def linear(days: Array, values: Array) -> Array:
    """Straight lines between observations."""
    return _by_pattern(
        values,
        lambda known, observed: np.stack(
            [np.interp(days, days[known], one) for one in observed.T], axis=1
        ),
    )


def savitzky_golay(days: Array, values: Array) -> Array:
    """Straight lines to steps of 5 days, then a moving parabola over 13 of them."""
    steps = np.arange(days[0], days[-1] + SAVGOL_STEP, SAVGOL_STEP)

    def fit(known: Array, observed: Array) -> Array:
        regular = [np.interp(steps, days[known], one) for one in observed.T]
        smooth = savgol_filter(regular, SAVGOL_WINDOW, SAVGOL_ORDER, axis=1)
        return np.stack([np.interp(days, steps, one) for one in smooth], axis=1)

    return _by_pattern(values, fit)


def whittaker(days: Array, values: Array) -> Array:
    """Second differences penalised, on steps of 5 days (Eilers 2003)."""
    steps = np.arange(days[0], days[-1] + WHITTAKER_STEP, WHITTAKER_STEP)
    differences = np.diff(np.eye(len(steps)), 2, axis=0)
    penalty = WHITTAKER_LAMBDA * differences.T @ differences
    where = np.rint((days - days[0]) / WHITTAKER_STEP).astype(int).clip(0, len(steps) - 1)

    def fit(known: Array, observed: Array) -> Array:
        weights, sums = np.zeros(len(steps)), np.zeros((len(steps), observed.shape[1]))
        np.add.at(weights, where[known], 1)
        np.add.at(sums, where[known], observed)
        smooth = np.linalg.solve(np.diag(weights) + penalty, sums)
        return np.stack([np.interp(days, steps, one) for one in smooth.T], axis=1)

    return _by_pattern(values, fit)


def gaussian_process(days: Array, values: Array) -> Array:
    """scikit-learn's, squared exponential with noise, hyperparameters from some of the pixels."""
    kernel = ConstantKernel(0.05, (1e-3, 1)) * RBF(40, (10, 200))
    kernel += WhiteKernel(0.003, (1e-4, 0.1))
    chosen = []
    for pixel in range(0, values.shape[1], max(1, values.shape[1] // GP_PIXELS)):
        known = ~np.isnan(values[:, pixel])
        model = GaussianProcessRegressor(kernel, random_state=0)
        observed = values[known, pixel]
        chosen.append(model.fit(days[known, None], observed - observed.mean()).kernel_.theta)
    shared = kernel.clone_with_theta(np.median(chosen, axis=0))

    def fit(known: Array, observed: Array) -> Array:
        mean = observed.mean(axis=0)
        model = GaussianProcessRegressor(shared, optimizer=None)
        return mean + model.fit(days[known, None], observed - mean).predict(days[:, None]).reshape(
            len(days), -1
        )

    return _by_pattern(values, fit)


def _by_pattern(values: Array, fit: Callable[[Array, Array], Array]) -> Array:
    """Apply a fit to all pixels that are observed at the same times."""
    result = np.full(values.shape, np.nan)
    patterns, which = np.unique(~np.isnan(values).T, axis=0, return_inverse=True)
    for index, known in enumerate(patterns):
        pixels = which.ravel() == index
        if known.any():
            result[:, pixels] = fit(known, values[known][:, pixels])
    return result


OTHERS: dict[str, Filler] = {
    "linear": linear,
    "Savitzky-Golay": savitzky_golay,
    "Whittaker": whittaker,
    "1 harmonic": one_harmonic,
    "2 harmonics": two_harmonics,
    "3 harmonics": three_harmonics,
    "Gaussian process": gaussian_process,
}
