import json

import numpy as np
import pytest
from affine import Affine
from PIL import Image
from typer.testing import CliRunner

from cli import maps
from cli.compare import PARAMETERS, compare
from cli.main import app
from shared.errors import InvalidConfiguration

GRID = Affine(20, 0, 465_180, 0, -20, 5_080_260)


def season(path, year, tprod, start, transform=GRID, index="EVI2", **changes):
    """Write a season map of 2 × 3 pixels; the last has no season, the first no land."""
    flag = np.full((2, 3), 10.0)
    flag[0, 0], flag[1, 2] = np.nan, 1
    hole = np.where(flag == 10, 0, np.nan)
    code = (year - 2000) * 1000
    values = {"TPROD": tprod, "SPROD": 20, "MAXV": 0.8, "LENGTH": 150, "TPROD_SE": 3}
    values |= {"SOSD": code + start, "EOSD": code + 250, "MAXD": code + 180}
    bands = {"QFLAG_1": flag, **{f"{k}_1": v + hole for k, v in values.items()}, **changes}
    units = dict.fromkeys(("TPROD_1", "SPROD_1"), f"{index} day") | {"MAXV_1": index}
    units |= dict.fromkeys(("SOSD_1", "EOSD_1"), "YYDOY") | {"LENGTH_1": "day", "QFLAG_1": ""}
    maps.write_cog(path, bands, transform, "EPSG:32633", {"units": json.dumps(units)})
    return path


def test_two_seasons_are_compared_pixel_by_pixel(tmp_path):
    season(tmp_path / "a/productivity/season_33TVL_2018.tif", 2018, 60, 100)
    season(tmp_path / "b/productivity/season_33TVL_2019.tif", 2019, 75, 92)
    table = {x.parameter: x for x in compare(tmp_path / "a", tmp_path / "b", tmp_path / "out")}
    assert set(table) == set(PARAMETERS)
    assert {x.unit for x in table.values()} == {"EVI2 day", "EVI2", "day"}
    assert (table["TPROD"].mean, table["TPROD"].pixels) == (15, 4)
    assert (table["TPROD"].surely_more, table["TPROD"].surely_less) == (1, 0)
    assert table["SOSD"].mean == -8, "of another year"
    assert table["SOSD"].surely_more is None
    name = "season_33TVL_2018-season_33TVL_2019"
    bands, transform, crs, _ = maps.read_cog(tmp_path / f"out/{name}.tif")
    assert (transform, crs) == (GRID, "EPSG:32633")
    assert np.isnan(bands["TPROD"]).sum() == 2
    with Image.open(tmp_path / f"out/{name}.png") as picture:
        assert len(picture.convert("RGB").getcolors(100_000)) > 10
    assert len(json.loads((tmp_path / "out/compare.json").read_text())) == len(PARAMETERS)


def test_seasons_without_a_pixel_in_common_have_no_difference(tmp_path):
    a = season(tmp_path / "a.tif", 2018, 60, 100)
    b = season(tmp_path / "b.tif", 2019, np.nan, 100)
    table = {x.parameter: x for x in compare(a, b, tmp_path / "out")}
    assert (table["TPROD"].pixels, table["TPROD"].mean, table["TPROD"].spread) == (0, None, None)
    assert table["SOSD"].pixels == 4
    printed = CliRunner().invoke(app, ["compare", str(a), str(b), "--out", str(tmp_path / "out")])
    assert printed.exit_code == 0


def test_dates_over_new_year_count_from_the_maps_year():
    assert maps.day_of(np.array([[17360.0, 18005.0]])).tolist() == [[17_526.0, 17_536.0]]


def test_maps_that_do_not_fit_are_named(tmp_path):
    a = season(tmp_path / "a.tif", 2018, 60, 100)
    shifted = season(tmp_path / "b.tif", 2019, 60, 100, GRID @ Affine.translation(1, 0))
    with pytest.raises(InvalidConfiguration, match="different grids"):
        compare(a, shifted, tmp_path / "out")
    other = season(tmp_path / "d.tif", 2019, 60, 100, index="DVI")
    with pytest.raises(InvalidConfiguration, match=r"MAXV in EVI2, and .*d.tif in DVI"):
        compare(a, other, tmp_path / "out")
    maps.write_cog(tmp_path / "c.tif", {"x": np.zeros((2, 3))}, GRID, "EPSG:32633", {})
    with pytest.raises(
        InvalidConfiguration, match="no season map: no band, or no unit of it, QFLAG_1"
    ):
        compare(a, tmp_path / "c.tif", tmp_path / "out")


def test_a_folder_without_maps_is_named(tmp_path):
    result = CliRunner().invoke(app, ["compare", str(tmp_path), str(tmp_path)])
    assert result.exit_code == 2
    assert "name a season map" in " ".join(result.output.split())
