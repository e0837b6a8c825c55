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
        if values[i - 1] <= values[i] > values[i + 1] and begin <= days[i] < end
    ]
    found = [_season(days, values, i, separation) for i in sorted(tops, key=lambda i: -values[i])]
    if not found or found[0] is None:
        return []
    main = found[0]
    others = [
        top
        for top in sorted(tops, key=lambda i: -values[i])
        if not main["left"] <= days[top] <= main["right"]
    ]
    second = _season(days, values, others[0], separation) if others else None
    return sorted([main] + ([second] if second else []), key=lambda one: one["MAXD"])


def _season(days, values, top, separation):
    left = _side(days[: top + 1][::-1], values[: top + 1][::-1], separation, 0.25)
    right = _side(days[top:], values[top:], separation, 0.15)
    peak = values[top]
    if left is None or right is None or peak - max(left[0], right[0]) < separation:
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
        "left": left[1],
        "right": right[1],
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
    if rise <= 0:
        return None
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
