"""Season parameters: against a walk in numpy, and against seasons whose dates are known."""

from datetime import date

import ee
import numpy as np
import pytest

from shared.earth import gap_filling, season
from shared.earth.curves import Period, everywhere, total
from shared.earth.season import ERRORS, NO_SEASON, PARAMETERS, TOO_FEW, Errors, Steps

from . import numpy_season
from .season_series import CORNER, CRS, PIXEL, day, double_logistic, read, served

PERIOD = Period(date(2017, 6, 15), date(2019, 7, 15))
YEAR = 2018
NEW_YEAR = day(date(2018, 1, 1))
GRID = np.array([float(day(d)) for d in season.season_days(PERIOD, YEAR)])
FINE = np.arange(GRID[0], GRID[-1], 0.25)


def one(days, start=120, end=260, **shape):
    return double_logistic(days, NEW_YEAR + start, NEW_YEAR + end, **shape)[:, 0]


def every_year(days, start, end, **shape):
    return sum(
        one(days, start + 365 * k, end + 365 * k, **shape) - shape.get("low", 0.15)
        for k in (-1, 0, 1)
    ) + shape.get("low", 0.15)


def bump(days, middle):
    """Return a peak of some weeks, and a lower one 24 days off, nearer to the middle of 2018."""
    return sum(
        height * np.exp(-(((days - NEW_YEAR - at) / 9) ** 2))
        for at, height in ((middle, 0.1), (24 * np.sign(182 - middle) + middle, 0.07))
    )


#: Functions of days, and how many seasons of 2018 they have.
CURVES = {
    "one": (lambda d: one(d), 1),
    "repeated": (lambda d: every_year(d, 120, 260), 1),
    "two": (lambda d: one(d, 70, 150, fall=0.1) + one(d, 210, 300, high=0.6) - 0.15, 2),
    "second is higher": (lambda d: one(d, 60, 140, high=0.5) + one(d, 200, 300) - 0.15, 2),
    "across the new year": (lambda d: every_year(d, -60, 110), 1),
    "peak in winter": (lambda d: every_year(d, -45, 45), 1),
    "evergreen": (lambda d: 0.8 + 0.02 * np.sin(d / 40), 0),
    "bare": (lambda d: 0 * d + 0.1, 0),
    "rising": (lambda d: 0.1 + (d - d[0]) * 0.001, 0),
    "peak the year before": (lambda d: one(d, -150, -30), 0),
    "peak at the end of the year before": (lambda d: one(d, -60, 70) + bump(d, -12), 0),
    "peak at New Year": (lambda d: one(d, -60, 70) + bump(d, 12), 1),
    "peak at the next New Year": (lambda d: one(d, 300, 430) + bump(d, 377), 0),
    "the highest has one side": (lambda d: one(d, -900, 40) + bump(d, 8) / 2 + one(d, high=0.5), 1),
    "unequal minima": (lambda d: one(d) + 0.15 / (1 + np.exp(-(d - NEW_YEAR - 190) / 20)), 1),
    "a dip": (lambda d: one(d) - 0.08 * np.exp(-(((d - NEW_YEAR - 200) / 12) ** 2)), 1),
}
NAMES = list(CURVES)
#: Standard deviation of the exact curves; and of what lies in a gap around a day of the year.
SPREAD, WIDE, GAP = 0.01, 0.2, 345
#: What departs from the curve "repeated" there.
GAPS = {"a valley in a gap": -0.1, "a peak in a gap": 0.19}
#: Noisy seasons: which share of observations is missing, and the season's place.
MISSING = (0.0, 0.3, 0.4)
REPEATS = 12


def noisy(days, years=(0,)):
    """Seasons of 2018, or alike in several years, at days and at FINE."""
    generator = np.random.default_rng(3)
    starts = NEW_YEAR + generator.uniform(90, 150, REPEATS)
    ends = starts + generator.uniform(90, 150, REPEATS)
    return tuple(
        0.15 + sum(double_logistic(d, starts + 365 * k, ends + 365 * k) - 0.15 for k in years)
        for d in (days, FINE)
    )


def exact_curves():
    """Return an image whose n-th pixel has the n-th curve's values (steps × 1), and their errors.

    All curves have an error of SPREAD, independent of the others; gaps have WIDE.
    """
    middle = NEW_YEAR + GAP
    shape = np.exp(-(((GRID - middle) / 12) ** 2))
    gaps = [CURVES["repeated"][0](GRID) + height * shape for height in GAPS.values()]
    table = np.stack([*(curve(GRID) for curve, _ in CURVES.values()), *gaps], axis=1)
    spread = np.full(table.shape, SPREAD)
    spread[np.abs(GRID - middle) < 30, len(CURVES) :] = WIDE
    grid = [PIXEL, 0, CORNER[0], 0, -PIXEL, CORNER[1]]
    pixel = ee.Image.pixelCoordinates(ee.Projection(CRS, grid)).select("x").floor()
    values, variance = (
        everywhere(ee.Array(columns.tolist())).arraySlice(1, pixel, pixel.add(1))
        for columns in (table, spread**2)
    )
    return values, Errors(variance, lambda _, weights: total(weights.pow(2).multiply(variance)))


@pytest.fixture(scope="module")
def seasons(tmp_path_factory):
    """Bands of the exact curves, given by their values, and of the noisy ones, by the default."""
    generator = np.random.default_rng(8)
    days = np.arange(day(PERIOD.first) + 1, day(PERIOD.after), 5.0)
    truth, _ = noisy(days)
    repeated, _ = noisy(days, (-1, 0, 1))
    parts = []
    for share, curves in [*((share, truth) for share in MISSING), (0.3, repeated)]:
        observed = curves + generator.normal(0, 0.03, curves.shape)
        observed[generator.random(truth.shape) < share] = np.nan
        parts.append(observed)
    few = np.full((len(days), 1), np.nan)
    few[[20, 60]] = 0.5
    values = np.concatenate([*parts, few], axis=1)
    with served(tmp_path_factory.mktemp("seasons"), days, values) as series:
        curves, errors = exact_curves()
        given = season.seasons_of(Steps(curves, tuple(GRID)), YEAR, None, errors)
        found = read(given, len(CURVES) + len(GAPS))
        exact = {n: {k: v[i] for k, v in found.items()} for i, n in enumerate([*CURVES, *GAPS])}
        found = {}
        for preset in gap_filling.PRESETS:
            curve = gap_filling.curve_of(series, PERIOD, preset)
            found[preset] = read(season.seasons(curve, PERIOD, YEAR), values.shape[1])
        yield exact, found["default"], found["original"]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_what_a_walk_finds(name, seasons):
    curve, count = CURVES[name]
    expected = numpy_season.seasons(GRID, curve(GRID), YEAR)
    assert len(expected) == count
    found = seasons[0][name]
    for number in (1, 2):
        for parameter in set(PARAMETERS) - {"QFLAG"}:
            value = found[f"{parameter}_{number}"]
            if number > count:
                assert np.isnan(value), parameter
            else:
                np.testing.assert_allclose(value, expected[number - 1][parameter], atol=1e-4)
    assert found["QFLAG_1"] == (10 if count else NO_SEASON)


def reference(fine, base=0.15):
    """SOSD, EOSD, SPROD and TPROD of a curve at quarters of days, by their definitions."""
    top = fine.argmax()
    start = FINE[: top + 1][fine[: top + 1] < base + 0.25 * (fine[top] - base)].max()
    end = FINE[top:][fine[top:] < base + 0.15 * (fine[top] - base)].min()
    total = fine[(start <= FINE) & (end >= FINE)].sum() / 4
    return start, end, total - base * (end - start), total


def test_exact_season_has_its_dates_and_integrals(seasons):
    for name in ("one", "across the new year"):
        shape = CURVES[name][0](FINE)
        window = np.abs(FINE - seasons[0][name]["MAXD_1"]) < 190
        start, end, small, large = reference(np.where(window, shape, 0.15))
        found = seasons[0][name]
        assert abs(found["SOSD_1"] - start) < 1
        assert abs(found["EOSD_1"] - end) < 2
        assert abs(found["SPROD_1"] / small - 1) < 0.03
        assert abs(found["TPROD_1"] / large - 1) < 0.02


@pytest.mark.parametrize("share", MISSING)
def test_noisy_seasons_keep_to_their_dates(share, seasons):
    _, fine = noisy(FINE)
    expected = np.array([reference(f) for f in fine.T])
    first = MISSING.index(share) * REPEATS
    found = np.stack(
        [seasons[1][f"{p}_1"][first : first + REPEATS] for p in ("SOSD", "EOSD", "SPROD", "TPROD")],
        axis=1,
    )
    assert np.abs(found - expected)[:, :2].mean(axis=0).max() <= 5
    ratio = found[:, 2:] / expected[:, 2:]
    assert np.abs(ratio.mean(axis=0) - 1).max() <= 0.03
    assert np.isnan(seasons[1]["SOSD_2"][first : first + REPEATS]).all()
    errors = (found - expected)[:, 3] / seasons[1]["TPROD_SE_1"][first : first + REPEATS]
    assert np.abs(errors).max() < 5


def test_the_originals_harmonics_find_seasons_that_are_alike_every_year(seasons):
    """And no others: to them, what one year alone has is a part of all."""
    expected = np.array([reference(f) for f in noisy(FINE)[1].T])
    found = np.stack(
        [seasons[2][f"{p}_1"][-1 - REPEATS : -1] for p in ("SOSD", "EOSD", "SPROD", "TPROD")],
        axis=1,
    )
    assert np.abs(found - expected)[:, :2].mean(axis=0).max() <= 5
    assert np.abs((found / expected)[:, 2:].mean(axis=0) - 1).max() <= 0.03


@pytest.mark.parametrize("name", [name for name in NAMES if CURVES[name][1]])
def test_standard_errors_are_those_of_small_changes(name, seasons):
    """Of each step's value; the numpy walk says what they do to dates and integrals."""
    curve = CURVES[name][0](GRID)
    changed = [
        [numpy_season.seasons(GRID, curve + sign * 1e-7 * at, YEAR)[0] for sign in (1, -1)]
        for at in np.eye(len(GRID))
    ]
    for parameter in ("SOSD", "EOSD", "MAXV", "SPROD", "TPROD"):
        slopes = [(more[parameter] - less[parameter]) / 2e-7 for more, less in changed]
        expected = SPREAD * np.sqrt(np.square(slopes).sum())
        found = seasons[0][name][f"{parameter}_SE_1"]
        np.testing.assert_allclose(found, expected, rtol=1e-3, err_msg=parameter)


def test_what_lies_in_a_gap_is_neither_valley_nor_season(seasons):
    seen = seasons[0]["repeated"]
    for name in GAPS:
        found = seasons[0][name]
        assert np.isnan(found["SOSD_2"]), name
        for parameter, tolerance in (("SOSD", 0.1), ("EOSD", 5), ("MINV", 0.02), ("SPROD", 3)):
            difference = found[f"{parameter}_1"] - seen[f"{parameter}_1"]
            assert abs(difference) <= tolerance, (name, parameter)


def test_pixel_with_two_observations_has_no_season(seasons):
    assert seasons[1]["QFLAG_1"][-1] == TOO_FEW
    rest = [seasons[1][f"{n}_1"][-1] for n in (*PARAMETERS, *ERRORS) if n != "QFLAG"]
    assert np.isnan(rest).all()


def test_quality_counts_phases(seasons):
    assert (seasons[1]["QFLAG_1"][:REPEATS] == 10).all()
    assert set(seasons[1]["QFLAG_1"][:-1]) <= set(season.QUALITY.values())


def test_dates_are_coded_as_year_and_day(seasons):
    days = [date(2017, 11, 30), date(2018, 1, 1), date(2018, 5, 3), date(2019, 2, 1)]
    found = [season.yydoy(ee.Image(day(d)), YEAR) for d in days]
    values = read(ee.Image.cat(*found).rename(["a", "b", "c", "d"]), 1)
    assert [int(v[0]) for v in values.values()] == [17334, 18001, 18123, 19032]
