"""Reducers that are regressions, and other fits that look at all records together."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from emulator.errors import memory_exceeded
from emulator.functions.reducers import (
    Reduced,
    Reducer,
    State,
    check_count,
    joined,
    least_weight,
    makes,
    recording,
)
from emulator.functions.statistics import ratio
from emulator.raster import DOUBLE, MATRIX, VECTOR, Array

CHUNK = 2**12  # pixels that are fitted at once
#: Of a term's sum of squares, not explained by those before it; below, it depends on them.
LEAST_PIVOT = 1e-13
MAX_ITERATIONS = 50  # of the iterative fits (a choice of ours)
TALWAR = 2.795  # standard deviations: 95 % efficient with normal errors (Holland & Welsch 1977)
MAD = 0.6745  # median absolute deviation of the standard normal distribution
LEAST_MARGIN = 1e-12  # for a fit that is exact but for rounding
LEAST_DISTANCE = 1e-12  # of a point from the median, in units of the inputs
MAX_SLOPES = 2**24  # pairs of records whose slopes are held at once


class Rows(NamedTuple):
    """Records of a regression, their weights, how many they stand for and all their weight."""

    inputs: Sequence[Array]
    weights: Array
    count: Array
    total: Array


def _rows(inputs: Sequence[Array], weights: Sequence[Array]) -> Rows:
    weight = least_weight(weights)
    rows = Rows(inputs, weight, (weight > 0).sum(axis=0), weight.sum(axis=0, dtype=np.float64))
    return _condensed(rows) if weight.ndim == 1 else rows


def _condensed(rows: Rows) -> Rows:
    """Return as many records as inputs that have the same least squares: a QR decomposition's R."""
    if len(rows.weights) <= len(rows.inputs):
        return rows
    table = np.stack(rows.inputs, axis=-1) * np.sqrt(rows.weights.astype(np.float64))[:, None]
    triangle = np.linalg.qr(table, mode="r")
    return rows._replace(inputs=list(triangle.T), weights=np.ones(len(triangle)))


def _merged(a: Rows, b: Rows) -> Rows:
    weights = np.concatenate([a.weights, b.weights])
    return _condensed(
        Rows(joined(a.inputs, b.inputs), weights, a.count + b.count, a.total + b.total)
    )


class Fit(NamedTuple):
    """Coefficients (p, terms, y), sums of squared residuals (p, y), and where they exist (p,)."""

    coefficients: Array
    squares: Array
    solved: Array


class Design:
    """Terms (n, p) of pixels; those that are the same for all pixels are held once."""

    def __init__(self, terms: Sequence[Array]) -> None:
        self.shared = all(not any(term.strides[1:]) for term in terms)
        axis = -1 if self.shared else 1
        used = [term[:, 0] for term in terms] if self.shared else terms
        self.values = np.stack(used, axis=axis).astype(np.float64)  # (n, terms[, p])

    def products(self, weights: Array) -> Array:
        """Return the terms' weighted products with each other, (terms, terms, p)."""
        if self.shared:
            pairs = self.values[:, :, None] * self.values[:, None, :]
            return np.tensordot(pairs, weights, axes=(0, 0))
        return np.einsum("nip,njp->ijp", self.values * weights[:, None], self.values)

    def times(self, values: Array) -> Array:
        """Return the terms' products with values (n, p) for every pixel: (terms, p)."""
        if self.shared:
            return self.values.T @ values
        return np.einsum("nip,np->ip", self.values, values)

    def fitted(self, coefficients: Array) -> Array:
        """Return the values (n, p) that coefficients (terms, p) give."""
        if self.shared:
            return self.values @ coefficients
        return np.einsum("nip,ip->np", self.values, coefficients)


def least_squares(
    terms: Sequence[Array], targets: Sequence[Array], weights: Array, penalty: Array
) -> Fit:
    """Fit targets by terms, all of shape (n, p), with a penalty on every squared coefficient.

    The normal equations are scaled to a unit diagonal, and the solution is refined once with
    its own residuals, so that times in days or years cost no digits that matter.
    """
    weights = np.ascontiguousarray(weights, np.float64)
    design = Design(terms)
    normal = design.products(weights)
    inverse, solved = _inverse(normal + np.diag(penalty)[..., None])
    coefficients, squares = [], []
    for target in targets:
        found = _times(inverse, design.times(weights * target))
        residuals = target - design.fitted(found)
        weighted = weights * residuals
        slope = design.times(weighted)
        step = _times(inverse, slope - penalty[:, None] * found)
        coefficients.append((found + step).T)
        gain = (step * (2 * slope - _times(normal, step))).sum(axis=0)
        squares.append(np.einsum("np,np->p", weighted, residuals) - gain)
    return Fit(np.stack(coefficients, axis=-1), np.stack(squares, axis=-1), solved)


def _times(matrices: Array, vectors: Array) -> Array:
    return np.einsum("ijp,jp->ip", matrices, vectors)


def _inverse(matrices: Array) -> tuple[Array, Array]:
    """Invert symmetric matrices (k, k, p) by Gauss-Jordan steps; tell which could be.

    Scaled to a unit diagonal, a pivot is what the other terms leave of a term's variance.
    """
    diagonal = np.einsum("iip->ip", matrices)
    solved = (diagonal > 0).all(axis=0) & np.isfinite(diagonal).all(axis=0)
    scale = np.sqrt(np.where(solved, diagonal, 1))
    work = matrices / (scale[:, None] * scale[None, :])
    for k in range(len(work)):
        pivot = work[k, k].copy()
        solved &= pivot > LEAST_PIVOT
        pivot[~solved] = 1
        row, column = work[k] / pivot, work[:, k].copy()
        work -= column[:, None] * row[None, :]
        work[k], work[:, k], work[k, k] = row, -column / pivot, 1 / pivot
    return work / (scale[:, None] * scale[None, :]), solved


def _flat(values: Array) -> Array:
    """Return values with all axes but the first as one, without a copy of what is shared."""
    if values.ndim > 1 and not any(values.strides[1:]):
        first = values[(slice(None), *(0,) * (values.ndim - 1))]
        return np.broadcast_to(first[:, None], (len(values), math.prod(values.shape[1:])))
    return values.reshape(len(values), -1)


def _chunks(inputs: Sequence[Array], weights: Array) -> Iterator[tuple[list[Array], Array]]:
    """Yield the inputs and weights of some pixels after the other, as (n, p)."""
    flat, weight = [_flat(v) for v in inputs], _flat(weights)
    for start in range(0, weight.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        yield [v[:, part] for v in flat], weight[:, part]


Solver = Callable[[Sequence[Array], Sequence[Array], Array], Fit]


def _fit(rows: Rows, terms: int, solve: Solver) -> Fit:
    """Fit all pixels, chunk by chunk; the results have the pixels' own shape."""
    fits = [
        solve(inputs[:terms], inputs[terms:], weights)
        for inputs, weights in _chunks(rows.inputs, rows.weights)
    ]
    shape = np.shape(rows.count)
    parts = (np.concatenate(part) for part in zip(*fits, strict=True))
    return Fit(*[part.reshape((*shape, *part.shape[1:])) for part in parts])


def _residuals(fit: Fit, total: Array) -> Array:
    """Return the root mean square of the residuals of every target."""
    return np.sqrt(ratio(np.maximum(fit.squares, 0), total[..., None]))


def _dimensions(name: str, terms: int, targets: int) -> int:
    check_count(name, "numX", terms)
    check_count(name, "numY", targets)
    return terms + targets


@makes("linearRegression")
def linear_regression(terms: int, targets: int) -> Reducer:
    def solve(x: Sequence[Array], y: Sequence[Array], weights: Array) -> Fit:
        return least_squares(x, y, weights, np.zeros(terms))

    def finish(rows: Rows) -> list[Reduced]:
        fit = _fit(rows, terms, solve)
        valid = (rows.count > terms) & fit.solved
        return [Reduced(fit.coefficients, valid), Reduced(_residuals(fit, rows.total), valid)]

    inputs = _dimensions("linearRegression", terms, targets)
    outputs, types = ("coefficients", "residuals"), (MATRIX, VECTOR)
    return Reducer(outputs, types, _rows, _merged, finish, inputs, numbers=terms * targets)


@makes("ridgeRegression")
def ridge_regression(terms: int, targets: int, penalty: float) -> Reducer:
    """Fit with an intercept, which comes last and is not penalised."""
    penalties = np.array([penalty] * terms + [0.0])

    def summarise(inputs: Sequence[Array], weights: Sequence[Array]) -> State:
        intercept = np.broadcast_to(np.float64(1), inputs[0].shape)
        return _rows([*inputs[:terms], intercept, *inputs[terms:]], [least_weight(weights)])

    def solve(x: Sequence[Array], y: Sequence[Array], weights: Array) -> Fit:
        return least_squares(x, y, weights, penalties)

    def mean_only(x: Sequence[Array], y: Sequence[Array], weights: Array) -> Fit:
        return least_squares(x[-1:], y, weights, np.zeros(1))

    def finish(rows: Rows) -> list[Reduced]:
        fit, flat = _fit(rows, terms + 1, solve), _fit(rows, terms + 1, mean_only)
        valid = (rows.count >= terms + 1) & fit.solved
        freedom = np.maximum(rows.count - terms - 1, 0)[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            f = (flat.squares - fit.squares) / terms / (fit.squares / freedom)
            p = special.fdtrc(terms, freedom, np.maximum(f, 0))
        values = (fit.coefficients, _residuals(fit, rows.total), p)
        return [Reduced(value, valid) for value in values]

    inputs = _dimensions("ridgeRegression", terms, targets)
    outputs, types = ("coefficients", "residuals", "pValue"), (MATRIX, VECTOR, VECTOR)
    numbers = (terms + 1) * targets
    return Reducer(outputs, types, summarise, _merged, finish, inputs, numbers=numbers)


@makes("robustLinearRegression")
def robust_linear_regression(terms: int, targets: int, beta: float | None) -> Reducer:
    """Fit again without what lies further off than `beta`, until that changes no more.

    Without `beta` it is Talwar's constant times a robust standard deviation of the residuals.
    """

    def solve(x: Sequence[Array], y: Sequence[Array], weights: Array) -> Fit:
        weights = weights.astype(np.float64)
        used, fit = weights, None
        for _ in range(MAX_ITERATIONS):
            fit = least_squares(x, y, used, np.zeros(terms))
            distances = _distances(fit, x, y)
            inliers = np.where(distances <= _margin(distances, weights, beta), weights, 0)
            if np.array_equal(inliers, used):
                break
            used = inliers
        assert fit is not None
        shares = used.sum(axis=0)[:, None]
        return fit._replace(squares=fit.squares / np.where(shares > 0, shares, 1))

    def function(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        weight = least_weight(weights)
        rows = Rows(inputs, weight, (weight > 0).sum(axis=0), np.ones(weight.shape[1:]))
        fit = _fit(rows, terms, solve)
        valid = (rows.count >= terms) & fit.solved
        return [Reduced(fit.coefficients, valid), Reduced(_residuals(fit, rows.total), valid)]

    inputs = _dimensions("robustLinearRegression", terms, targets)
    outputs, types = ("coefficients", "residuals"), (MATRIX, VECTOR)
    return recording(outputs, types, function, inputs=inputs, numbers=terms * targets)


def _distances(fit: Fit, x: Sequence[Array], y: Sequence[Array]) -> Array:
    """Return for every record the root mean square of its residuals over the targets."""
    design = Design(x)
    squares = [(t - design.fitted(fit.coefficients[..., i].T)) ** 2 for i, t in enumerate(y)]
    return np.sqrt(np.mean(squares, axis=0))


def _margin(distances: Array, weights: Array, beta: float | None) -> Array:
    """Return for every pixel the distance above which a record is an outlier."""
    if beta is not None:
        return np.full(weights.shape[1:], beta)
    deviation = _median(np.where(weights > 0, distances, np.nan)) / MAD
    return np.maximum(TALWAR * np.nan_to_num(deviation), LEAST_MARGIN)


@makes("sensSlope")
def sens_slope() -> Reducer:
    """Return the median of the slopes of all pairs, and of y − slope · x between the medians."""

    def function(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        weight = least_weight(weights)
        flat = [_flat(v).astype(np.float64) for v in inputs]
        valid, n = _flat(weight) > 0, len(weight)
        step = max(1, MAX_SLOPES // max(n * (n - 1) // 2, 1))
        parts = [
            _slopes(*[v[:, i : i + step] for v in (*flat, valid)])
            for i in range(0, valid.shape[1], step)
        ]
        slope, offset = (
            np.concatenate(p).reshape(weight.shape[1:]) for p in zip(*parts, strict=True)
        )
        some = np.isfinite(slope)
        return [Reduced(np.where(some, v, 0), some) for v in (slope, offset)]

    return recording(["slope", "offset"], [DOUBLE, DOUBLE], function, inputs=2, weighted=False)


def _slopes(x: Array, y: Array, valid: Array) -> tuple[Array, Array]:
    first, second = np.triu_indices(len(x), 1)
    if len(first) > MAX_SLOPES:
        raise memory_exceeded()
    run, rise = x[second] - x[first], y[second] - y[first]
    usable = valid[first] & valid[second] & (run != 0)
    slopes = np.divide(rise, run, out=np.full(run.shape, np.nan), where=usable)
    slope = _median(slopes)
    x, y = (_median(np.where(valid, v, np.nan)) for v in (x, y))
    return slope, y - slope * x


def _median(values: Array) -> Array:
    """Return medians that leave NaN out, and are NaN where there is nothing else."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = (~np.isnan(values)).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, max(len(values) - 1, 0))
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    below, above = (np.take_along_axis(ordered, i[None], axis=0)[0] for i in (low, high))
    return (below + above) / 2


@makes("geometricMedian")
def geometric_median(dimensions: int, least_gain: float, first_step: float) -> Reducer:
    """Find the point with the least sum of distances by Weiszfeld's iteration."""
    check_count("geometricMedian", "numX", dimensions)

    def function(inputs: Sequence[Array], weights: Sequence[Array]) -> list[Reduced]:
        weight = least_weight(weights)
        parts = [_weiszfeld(x, w, least_gain) for x, w in _chunks(inputs, weight)]
        centre = np.concatenate(parts, axis=-1).reshape(dimensions, *weight.shape[1:])
        valid = (weight > 0).any(axis=0)
        return [Reduced(values, valid) for values in centre]

    outputs = [f"median_{i}" for i in range(dimensions)]
    return recording(outputs, [DOUBLE] * dimensions, function, inputs=dimensions)


def _weiszfeld(inputs: Sequence[Array], weights: Array, least_gain: float) -> Array:
    """Return the geometric medians (inputs, p) of points (n, p) in each input."""
    points, weights = np.stack(inputs).astype(np.float64), weights.astype(np.float64)
    centre = ratio((points * weights).sum(axis=1), weights.sum(axis=0))
    cost = np.inf
    for _ in range(MAX_ITERATIONS):
        distances = np.sqrt(((points - centre[:, None]) ** 2).sum(axis=0))
        previous, cost = cost, (weights * distances).sum(axis=0)
        if np.all(previous - cost < least_gain):
            break
        pull = weights / np.maximum(distances, LEAST_DISTANCE)
        centre = ratio((points * pull).sum(axis=1), pull.sum(axis=0))
    return centre
