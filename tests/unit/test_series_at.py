"""The picture of `verdure series LON LAT`."""

from datetime import date

import numpy as np
import pytest
from PIL import Image

from cli.series_at import COLOURS, MARGINS, SIZE, Place, draw
from shared.earth.curves import Period

PERIOD = Period(date(2018, 3, 1), date(2018, 10, 31))
NAMES = ("SOSD", "EOSD", "TPROD", "SPROD")
SEASON = dict(zip(NAMES, ("2018-09-20", "2018-10-25", 12.0, 4.0), strict=True))


def places(tmp_path, observed, seasons, colour):
    """Draw a place; return rows and columns of the chart near a colour."""
    draw(Place("NDVI", observed, [], [], seasons), PERIOD, "title", tmp_path / "series.png")
    with Image.open(tmp_path / "series.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), int)
    rows, columns = np.nonzero(np.abs(pixels - COLOURS[colour]).max(axis=2) < 40)
    chart = (rows >= MARGINS[1]) & (columns >= MARGINS[0])
    return rows[chart], columns[chart]


def test_values_below_the_axis_make_it_longer(tmp_path):
    high, low = (
        places(tmp_path, [("2018-06-01T10:00:00+00:00", value)], [], "observed")[0].max()
        for value in (-0.2, -0.5)
    )
    bottom = SIZE[1] - MARGINS[3]
    assert bottom <= high <= bottom + 3
    assert low < bottom - 10


@pytest.mark.parametrize("error", [None, 3.0])
def test_what_is_written_beside_a_late_season_stays_in_the_picture(error, tmp_path):
    season = SEASON | {f"{name}_SE": error for name in NAMES}
    rows, columns = places(tmp_path, [], [season], "season")
    assert columns.max() < SIZE[0] - MARGINS[2]
    start = columns[rows == SIZE[1] - MARGINS[3] - 1].min()
    assert (columns.min() < start - 10) == (error is not None)  # it begins before the line


def test_no_season_is_said(tmp_path):
    assert len(places(tmp_path, [], [], "season")[0])
