"""`verdure series --npz`, as others call it, on files of their own."""

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.series import read_series
from shared.earth.season import ERRORS, PARAMETERS

DAYS = np.datetime64("2018-01-03") + np.arange(0, 400, 8)
DAYS[10] = DAYS[9]  # two images of one time
SHAPE = (len(DAYS), 2, 3)


def call(*arguments):
    return CliRunner().invoke(app, ["series", *map(str, arguments)])


def write(path, **changes):
    phase = (DAYS - np.datetime64("2018-07-01")).astype(float) / 58
    ndvi = np.broadcast_to((0.2 + 0.5 * np.exp(-(phase**2)))[:, None, None], SHAPE).copy()
    cloud = np.random.default_rng(0).random(SHAPE) < 0.3
    ndvi[cloud] = 0.05
    ndvi[4, 0, 0] = np.nan
    cloud[:, 1, 2] = True  # a pixel that is never seen
    texts = np.array([f"{day}T10:20:30" for day in DAYS])
    arrays = {"ndvi": ndvi.astype("float32"), "cloud": cloud, "timestamps": texts, **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return arrays


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """What a file has, in order of time, and what it is filled to where times are in disorder."""
    folder = tmp_path_factory.mktemp("series")
    given = write(folder / "sorted.npz")
    # Of two images of one time the first stays the first.
    turned = np.argsort(np.random.default_rng(1).random(len(DAYS)))
    turned[np.isin(turned, (9, 10))] = 9, 10
    write(folder / "in.npz", **{name: values[turned] for name, values in given.items()})
    result = call("--npz", folder / "in.npz", "--out", folder / "out" / "result")
    assert result.exit_code == 0, result.output
    with np.load(folder / "out" / "result") as file:
        out = {name: file[name] for name in file.files}
    for name in ("filled", "std", "quality", "weight"):
        out[name] = out[name][np.argsort(turned)]
    return given, out


def test_a_file_is_filled_and_its_seasons_found(filled):
    given, out = filled
    seen = ~given["cloud"] & ~np.isnan(given["ndvi"])
    assert out["filled"].shape == out["std"].shape == out["quality"].shape == SHAPE
    np.testing.assert_array_equal(out["weight"] > 0, seen)
    assert (out["filled"][seen] == given["ndvi"][seen]).all()
    assert (out["quality"][seen] == -1).all()
    assert np.isnan(out["filled"][:, 1, 2]).all()
    assert (out["quality"][:, 1, 2] == 0).all()
    gaps = ~seen
    gaps[:, 1, 2] = False
    assert set(out["quality"][gaps]) <= {20, 21}
    phase = (DAYS - np.datetime64("2018-07-01")).astype(float) / 58
    truth = np.broadcast_to((0.2 + 0.5 * np.exp(-(phase**2)))[:, None, None], SHAPE)
    assert np.abs(out["filled"] - truth)[gaps].max() < 0.05
    assert out["regular_timestamps"][:2].tolist() == ["2018-01-03T00:00:00", "2018-01-13T00:00:00"]
    assert (
        out["regular"].shape == out["regular_std"].shape == (len(out["regular_timestamps"]), 2, 3)
    )
    assert out["season_year"].tolist() == [2018, 2018, 2019, 2019]
    assert all(out[name].shape == (4, 2, 3) for name in (*PARAMETERS, *ERRORS))
    assert np.abs(out["MAXD"][0].ravel()[:5] - 18182).max() <= 5
    assert (out["QFLAG"][0].ravel()[:5] >= 7).all()
    assert out["QFLAG"][0, 1, 2] == 0


def test_a_single_image_is_returned_as_it_is(tmp_path):
    given = write(tmp_path / "in.npz")
    first = {name: value[:1] for name, value in given.items()}
    first["timestamps"] = DAYS[:1].astype("datetime64[s]")
    first["cloud"] = first["cloud"].astype("uint8")
    write(tmp_path / "one.npz", **first)
    options = ("--out", tmp_path / "out.npz", "--preset", "original")
    result = call("--npz", tmp_path / "one.npz", *options)
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "out.npz") as file:
        assert np.isnan(file["regular"]).all()
        assert (file["QFLAG"][0] == 0).all()
        seen = first["cloud"] == 0
        assert (file["filled"][seen] == first["ndvi"][seen]).all()


def test_more_dates_than_one_request_has_bands(tmp_path):
    times = np.datetime64("2016-01-01") + np.arange(0, 3 * 366, 4)
    wave = 0.5 + 0.2 * np.cos(
        2 * np.pi * (times - np.datetime64("1970-01-01")).astype(float) / 365.25
    )
    ndvi = wave[:, None, None]
    write(tmp_path / "in.npz", ndvi=ndvi, cloud=np.zeros(ndvi.shape, bool), timestamps=times)
    result = call("--npz", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    assert result.exit_code == 0, result.output
    assert "times: 275, 2016-01-01 to 2019-01-01; observed: 100%" in result.output
    with np.load(tmp_path / "out.npz") as file:
        np.testing.assert_array_equal(file["filled"], ndvi)
        steps = file["regular_timestamps"].astype("datetime64[D]") - np.datetime64("1970-01-01")
        expected = 0.5 + 0.2 * np.cos(2 * np.pi * steps.astype(float) / 365.25)
        np.testing.assert_allclose(file["regular"][:, 0, 0], expected, atol=1e-6)
        assert (file["QFLAG"][file["season_year"] == 2017, 0, 0] == [10, 1]).all()


@pytest.mark.parametrize(
    "written",
    [
        lambda day: day.strftime("%Y%m%d"),
        lambda day: day.strftime("%Y-%m-%dT02:00:00+02:00"),
        lambda day: day.strftime("%Y-%m-%dT00:00:00Z").encode(),
    ],
)
def test_times_are_taken_as_iso_8601_writes_them(written, tmp_path):
    write(tmp_path / "in.npz", timestamps=np.array([written(day) for day in DAYS.tolist()]))
    assert (read_series(tmp_path / "in.npz").times == DAYS).all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cloud": None}, "array 'cloud' is missing"),
        ({"ndvi": np.zeros((3, 4))}, "expected floats (times, rows, columns)"),
        ({"cloud": np.zeros((2, 2, 3))}, "cloud has the shape (2, 2, 3)"),
        ({"timestamps": np.full(len(DAYS), "the first")}, "expected ISO 8601"),
        ({"timestamps": np.array(["2018-01-01"])}, "shape (1,), expected (50,)"),
        ({"timestamps": DAYS.astype("int64")}, "they are int64; expected ISO 8601"),
        ({"timestamps": np.array([*DAYS[1:], "NaT"], "datetime64")}, "a time is missing"),
        ({"timestamps": np.array([*DAYS[1:], "1520-01-01"], "datetime64")}, "from 1520-01-01 to"),
        ({"ndvi": np.full(SHAPE, 4200.0)}, "ndvi is 4200 to 4200 where it is clear"),
        (
            {"timestamps": np.array(DAYS.tolist(), object)},
            "cannot be read as .npz of numbers, texts",
        ),
        ({"cloud": np.full(SHAPE, 0.35)}, "cloud is float64, as 0.35; expected"),
        ({"cloud": np.full(SHAPE, "False")}, "as False; expected"),
    ],
)
def test_wrong_input_is_explained(changes, sentence, tmp_path):
    write(tmp_path / "in.npz", **changes)
    result = call("--npz", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
    assert not (tmp_path / "out.npz").exists()


def test_what_is_no_file_or_preset_is_explained(tmp_path):
    (tmp_path / "in.npz").write_text("no")
    result = call("--npz", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    assert result.exit_code == 2
    assert "cannot be read" in result.output
    result = call("--npz", tmp_path / "in.npz", "--out", tmp_path / "o", "--preset", "best")
    assert "expected original or default" in " ".join(result.output.split())
    for out in ((), ("--out", tmp_path)):
        result = call("--npz", tmp_path / "in.npz", *out)
        assert result.exit_code == 2
        assert "needs --out FILE" in result.output
    result = call("--npz", tmp_path / "in.npz", "--csv", tmp_path / "o.csv")
    assert result.exit_code == 2
    assert "--csv is of a place" in result.output


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ((14.5,), "two numbers, LON LAT"),
        ((), "two numbers, LON LAT"),
        ((500, 40), "longitude is 500.0"),
        ((14.5, 45), "has no run in it"),
    ],
)
def test_what_is_no_place_of_a_run_is_explained(place, sentence, tmp_path):
    result = call(*place, "--out", tmp_path)
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
