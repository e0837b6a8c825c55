"""The default fit: an average of Gaussian processes, each weighed by how well it explains a pixel.

A curve is a mean, a trend, three yearly harmonics and a departure from them that forgets itself
within weeks (a Matérn process by its sines; Solin and Särkkä 2020, doi 10.1007/s11222-019-09886-w).
Five priors differ in how fast the curve may turn and how exact observations are: exact harmonics,
quick change under a clear sky, slow change beside one wave a year, little more than that wave among
noise, and fields that are sown and cut. Each gives a posterior with a Student-t evidence, which
says how much of it to take at this pixel. What lies far below the others' curve counts less: cloud,
snow and shadow lower NDVI. docs/science.md has the formulas.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import ee

from shared.earth.curves import (
    Observations,
    Period,
    everywhere,
    harmonics,
    kept_near,
    total,
    trend,
)

SOURCE: Final = 20  # of values that are held by observations; one more where the prior holds them

MEAN: Final = 0.4  # NDVI of a pixel before anything is known of it
HARMONICS: Final = 3
MEAN_TERMS: Final = 2 + 2 * HARMONICS
STEP: Final = 12  # days for each sine: all hold 98 % and more of the departures' variance
MARGIN: Final = 40  # days beyond the period where the sines end, for they are 0 there
EVIDENCE_FREEDOM: Final = 4.0  # degrees of freedom of the scale of a prior
#: An observation so many standard deviations below the curve of the others counts less.
LOW: Final = 2.0
#: Std of a value, in NDVI, from which it is called weak.
WEAK: Final = 0.15


@dataclass(frozen=True)
class Prior:
    """Standard deviations, in NDVI: of an observation, and of each part of the curve."""

    noise: float
    constant: float
    trend: float  # for each year
    waves: tuple[float, ...]  # once, twice … a year
    departure: float
    memory: float = 25.0  # days, the length scale of the departures


EXACT: Final = Prior(0.001, 1.0, 1.0, (1.0, 1.0, 1.0), 0.0)
CLEAR: Final = Prior(0.045, 0.5, 0.02, (0.3, 0.2, 0.1), 0.2)
SLOW: Final = Prior(0.04, 0.5, 0.02, (0.5, 0.07, 0.03), 0.2, 100.0)
CALM: Final = Prior(0.1, 0.5, 0.05, (0.15, 0.02, 0.005), 0.05)
LIVELY: Final = Prior(0.065, 0.5, 0.03, (0.3, 0.1, 0.1), 0.18, 18.0)
PRIORS: Final = (EXACT, CLEAR, SLOW, CALM, LIVELY)
#: Observations are held against the curve of this one to find the low ones.
WATCHFUL: Final = Prior(0.065, 0.5, 0.02, (0.15, 0.05, 0.02), 0.2)
#: The curve's variance is so much larger than its posterior's: what disturbs one date disturbs the
#: next (haze, snow, wet ground), which the priors do not know. Chosen so that bands hold 90 %.
WIDENING: Final = 1.75


@dataclass(frozen=True)
class _Posterior:
    coefficients: ee.Image  # terms × 1
    covariance: ee.Image  # terms × terms
    noise: ee.Image  # variance of an observation
    evidence: ee.Image  # logarithm, less a constant


@dataclass(frozen=True)
class PosteriorCurve:
    """The posterior of a pixel's curve; `minimum` observations, with fewer it is the prior."""

    observed: Observations
    period: Period

    minimum = 3

    def at(self, days: ee.Array) -> ee.Image:
        """Return array bands `value`, `std` and `source`: 20, or 21 where `std` is above 0.15."""
        value, variance = self.curve(days)
        std = variance.add(self._posterior.noise).sqrt()
        source = variance.sqrt().gt(WEAK).add(SOURCE)
        return ee.Image.cat(value, std, source).rename("value", "std", "source")

    def curve(self, days: ee.Array) -> tuple[ee.Image, ee.Image]:
        """Return columns of the curve itself and of its variance, without noise.

        What lies far beyond the observations is kept near them; by how much is an error.
        """
        basis = everywhere(_basis(days, self.period))
        value = basis.matrixMultiply(self._posterior.coefficients).add(MEAN)
        spread = basis.matrixMultiply(self._posterior.covariance).multiply(basis)
        near = kept_near(self.observed, value)
        # Rounding may leave a variance of 0 a little below it.
        variance = spread.arrayReduce(ee.Reducer.sum(), [1]).max(0)
        return near, variance.add(value.subtract(near).pow(2))

    def variance_of_sum(self, days: ee.Array, weights: ee.Image) -> ee.Image:
        """Return the variance of a weighted sum of the curve's values; weights are times × 1."""
        terms = everywhere(_basis(days, self.period).matrixTranspose()).matrixMultiply(weights)
        spread = self._posterior.covariance.matrixMultiply(terms)
        return total(spread.multiply(terms)).max(0)

    @cached_property
    def _posterior(self) -> _Posterior:
        return _average([_posterior(self._evidence, prior, self.period) for prior in PRIORS])

    @cached_property
    def weights(self) -> ee.Image:
        """How much each observation counts, times × 1: its trust, less where it is low."""
        first = _Evidence.of(self.observed, self.observed.trust, self.period)
        return _less_for_low(self.observed, first, self.period)

    @cached_property
    def _evidence(self) -> "_Evidence":
        return _Evidence.of(self.observed, self.weights, self.period)


@dataclass(frozen=True)
class _Evidence:
    """What all priors need of the observations."""

    gram: ee.Image  # terms × terms: Σ w b bᵀ
    moment: ee.Image  # terms × 1: Σ w b y
    square: ee.Image  # Σ w y²
    count: ee.Image  # Σ w

    @classmethod
    def of(cls, observed: Observations, weights: ee.Image, period: Period) -> "_Evidence":
        at_observations = _basis(observed.days, period)
        basis, turned = everywhere(at_observations), everywhere(at_observations.matrixTranspose())
        departures = _departures(observed)
        weighted = departures.multiply(weights)
        terms = MEAN_TERMS + _sines(period)
        return cls(
            turned.matrixMultiply(basis.multiply(weights.arrayRepeat(1, terms))),
            turned.matrixMultiply(weighted),
            total(weighted.multiply(departures)),
            total(weights),
        )

    def first(self, terms: int) -> "_Evidence":
        """Return what concerns the first terms only."""
        gram = self.gram.arraySlice(0, 0, terms).arraySlice(1, 0, terms)
        return _Evidence(gram, self.moment.arraySlice(0, 0, terms), self.square, self.count)


def _departures(observed: Observations) -> ee.Image:
    """Return what observations differ by from the prior's mean; 0 where there is none."""
    return observed.values.subtract(MEAN).multiply(observed.weights)


def _posterior(evidence: _Evidence, prior: Prior, period: Period) -> _Posterior:
    scales = _scales(prior, period)
    used = evidence.first(len(scales))
    column = everywhere(ee.Array([[scale / prior.noise] for scale in scales]))
    precision = _precision(used, prior, scales)
    inverse = precision.matrixInverse()
    moment = used.moment.multiply(column).divide(prior.noise)
    solution = inverse.matrixMultiply(moment)
    misfit = used.square.divide(prior.noise**2).subtract(total(moment.multiply(solution)))
    misfit = misfit.max(0)
    freedom = used.count.add(EVIDENCE_FREEDOM)
    size = misfit.add(EVIDENCE_FREEDOM).divide(freedom)
    logarithm = _log_determinant(precision)
    logarithm = logarithm.add(used.count.multiply(2 * math.log(prior.noise)))
    fit = misfit.divide(EVIDENCE_FREEDOM).add(1).log().multiply(freedom)
    grown = everywhere(_outer(scales))
    terms = MEAN_TERMS + _sines(period)
    return _Posterior(
        solution.multiply(column).multiply(prior.noise).arrayPad([terms, 1]),
        inverse.multiply(grown).multiply(size).arrayPad([terms, terms]),
        size.multiply(prior.noise**2),
        fit.add(logarithm).multiply(-0.5),
    )


def _precision(evidence: _Evidence, prior: Prior, scales: Sequence[float]) -> ee.Image:
    """Return the posterior's precision in units of the prior's: 1 and more on its diagonal."""
    grown = everywhere(_outer([scale / prior.noise for scale in scales]))
    return evidence.gram.multiply(grown).add(everywhere(ee.Array.identity(len(scales))))


def _outer(scales: Sequence[float]) -> ee.Array:
    column = ee.Array([[scale] for scale in scales])
    return column.matrixMultiply(column.matrixTranspose())


def _log_determinant(matrix: ee.Image) -> ee.Image:
    """By its Cholesky factor: the determinant itself may be too large for a number."""
    factor = matrix.matrixCholeskyDecomposition().select("L")
    return total(factor.matrixDiagonal().log()).multiply(2)


def _average(posteriors: Sequence[_Posterior]) -> _Posterior:
    """Return mean and widened covariance of the mixture, weighed by evidence."""
    evidence = ee.Image.cat(*[one.evidence for one in posteriors])
    likelihood = evidence.subtract(evidence.reduce(ee.Reducer.max())).exp()
    shares = likelihood.divide(likelihood.reduce(ee.Reducer.sum()))
    parts = [shares.select(index) for index in range(len(posteriors))]
    mean = _sum([p.coefficients.multiply(s) for p, s in zip(posteriors, parts, strict=True)])
    within = [p.covariance.multiply(s) for p, s in zip(posteriors, parts, strict=True)]
    apart = [p.coefficients.subtract(mean) for p in posteriors]
    weighed = [a.multiply(s) for a, s in zip(apart, parts, strict=True)]
    between = _columns(weighed).matrixMultiply(_columns(apart).matrixTranspose())
    noise = [p.noise.multiply(s) for p, s in zip(posteriors, parts, strict=True)]
    covariance = _sum([*within, between]).multiply(WIDENING)
    return _Posterior(mean, covariance, _sum(noise), evidence)


def _columns(columns: Sequence[ee.Image]) -> ee.Image:
    """Return columns side by side."""
    return ee.Image.cat(*columns).toArray(1)


def _sum(images: Sequence[ee.Image]) -> ee.Image:
    result = images[0]
    for image in images[1:]:
        result = result.add(image)
    return result


def _less_for_low(observed: Observations, evidence: _Evidence, period: Period) -> ee.Image:
    """Return trust, less by the square of how far an observation is below the others.

    Each is held against the curve without it, which follows from the fit with it (Rasmussen and
    Williams 2006, 5.4.2), under the watchful prior, and as strictly as a clear one: what makes an
    observation doubtful lowers it.
    """
    scales = _scales(WATCHFUL, period)
    inverse = _precision(evidence, WATCHFUL, scales).matrixInverse()
    row = ee.Array([[scale / WATCHFUL.noise for scale in scales]])
    basis = _basis(observed.days, period)
    grown = everywhere(basis.multiply(row.repeat(0, basis.length().get([0]))))
    moment = everywhere(row.matrixTranspose()).multiply(evidence.moment)
    fit = grown.matrixMultiply(inverse.matrixMultiply(moment))
    leverage = grown.matrixMultiply(inverse).multiply(grown)
    leverage = leverage.arrayReduce(ee.Reducer.sum(), [1])
    free = leverage.multiply(observed.trust).multiply(-1).add(1)
    residual = _departures(observed).subtract(fit).multiply(observed.weights)
    standard = residual.divide(free.sqrt()).divide(WATCHFUL.noise)
    # Large ones must not hide themselves in the scale.
    bounded = total(standard.pow(2).min(4)).add(EVIDENCE_FREEDOM)
    scale = bounded.divide(total(observed.weights).add(EVIDENCE_FREEDOM)).sqrt()
    below = standard.divide(scale).multiply(-1).max(LOW)
    return observed.trust.multiply(below.pow(-2).multiply(LOW**2))


def _basis(days: ee.Array, period: Period) -> ee.Array:
    """Return times × terms: 1, time, harmonics, and sines that are 0 beyond the period."""
    half = _half_width(period)
    frequencies = ee.Array([_frequencies(period)])
    phases = days.subtract(period.middle - half).matrixMultiply(frequencies)
    sines = phases.sin().divide(math.sqrt(half))
    ones = days.multiply(0).add(1)
    return ee.Array.cat([ones, trend(days, period), *harmonics(days, HARMONICS), sines], 1)


def _scales(prior: Prior, period: Period) -> list[float]:
    """Return the standard deviation of each term's coefficient; of the sines if they may depart."""
    waves = [wave for wave in prior.waves for _ in ("cos", "sin")]
    mean = [prior.constant, prior.trend, *waves]
    if not prior.departure:
        return mean
    sines = [
        prior.departure * math.sqrt(_matern_density(frequency, prior.memory))
        for frequency in _frequencies(period)
    ]
    return [*mean, *sines]


def _matern_density(frequency: float, memory: float) -> float:
    """Return the spectral density of a Matérn 3/2 process of variance 1."""
    rate = 3 / memory**2
    return 4 * math.sqrt(rate) ** 3 / (rate + frequency**2) ** 2


def _frequencies(period: Period) -> list[float]:
    return [math.pi * j / (2 * _half_width(period)) for j in range(1, _sines(period) + 1)]


def _sines(period: Period) -> int:
    return math.ceil(2 * _half_width(period) / STEP)


def _half_width(period: Period) -> float:
    return period.days / 2 + MARGIN
