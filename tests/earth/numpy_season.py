"""Season parameters of one curve, by a walk over its steps: the reference for the graphs."""

from datetime import date

import numpy as np

from .season_series import day

STEP = 5


def seasons(days, values, year):
    """Return up to two dictionaries of parameters, in order of time."""
    separation = max(0.25 * (values.max() - values.min()), 0.1)
    begin, end = day(date(year, 1, 1)), day(date(year + 1, 1, 1))
    tops = [
        i
        for i in range(1, len(days) - 1)
        if values[i - 1] <= values[i] > values[i + 1]
        and begin <= days[i] < end
        and begin <= days[_summit(values, i, separation)] < end
    ]
    tops.sort(key=lambda i: -values[i])
    if not tops:
        return []
    left, right = (side[1] for side in _sides(days, values, tops[0], separation))
    others = [top for top in tops if not left <= days[top] <= right]
    found = [_season(days, values, top, separation) for top in (tops[0], *others[:1])]
    return sorted([one for one in found if one], key=lambda one: one["MAXD"])


def _summit(values, top, separation):
    """Climb to the highest value that no dip of `separation` lies before."""
    for step in (-1, 1):
        lowest, i = values[top], top
        while 0 <= i < len(values) and values[top] - lowest < separation:
            if values[i] > values[top]:
                return _summit(values, i, separation)
            lowest = min(lowest, values[i])
            i += step
    return top


def _sides(days, values, top, separation):
    left = _side(days[: top + 1][::-1], values[: top + 1][::-1], separation, 0.25)
    return left, _side(days[top:], values[top:], separation, 0.15)


def _season(days, values, top, separation):
    left, right = _sides(days, values, top, separation)
    peak = values[top]
    if peak - max(left[0], right[0]) < separation:
        return None
    base = (left[0] + right[0]) / 2
    start, end = left[2], right[2]
    total = _integral(days, values, start, end)
    return {
        "SOSD": start,
        "SOSV": left[3],
        "EOSD": end,
        "EOSV": right[3],
        "MAXD": days[top],
        "MAXV": peak,
        "MINV": base,
        "LENGTH": end - start,
        "LSLOPE": left[4],
        "RSLOPE": right[4],
        "AMPL": peak - base,
        "SPROD": total - base * (end - start),
        "TPROD": total,
    }


def _side(days, values, separation, share):
    """Walk away from the peak, which is first; days may run backwards."""
    lowest, stop = values[0], len(values)
    for i, value in enumerate(values):
        lowest = min(lowest, value)
        if value - lowest >= separation:
            stop = i
            break
    own = values[:stop]
    rise = values[0] - own.min()
    if rise <= 0:  # no side: the peak is no season's
        return values[0], days[0], days[0], values[0], 0.0
    valley = own[own <= own.min() + 0.1 * rise].mean()
    threshold = valley + share * (values[0] - valley)
    below = int(np.argmax(own < threshold))
    part = (values[below - 1] - threshold) / (values[below - 1] - values[below])
    crossing = days[below - 1] + part * (days[below] - days[below - 1])
    slope = (values[below] - values[below - 1]) / (days[below] - days[below - 1])
    return valley, days[int(own.argmin())], crossing, threshold, slope


def _integral(days, values, start, end):
    inner = days[(days > start) & (days < end)]
    points = np.concatenate([[start], inner, [end]])
    return np.trapezoid(np.interp(points, days, values), points)
