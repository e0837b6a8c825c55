"""`verdure estimate`: maps are asked for before the season is over."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from cli.main import app
from shared.adapters.embedded import Database, SqliteLedger
from shared.domain.exports import State
from shared.domain.runs import NDVI, SEASON, ProductParameters, register

from .test_products import MASK
from .test_status import RUN

WANTED = register(replace(RUN.configuration, products=ProductParameters(maps=(SEASON, NDVI))))


def ask(out, *options):
    return CliRunner().invoke(app, ["estimate", "--out", str(out), *options])


@pytest.fixture
def write(tmp_path):
    """A function that writes a run, and the records of some masks, to a folder."""

    def write(run, *masks):
        database = Database(tmp_path / "verdure.sqlite")
        ledger = SqliteLedger(database)
        ledger.add_run(run)
        ledger.add(masks)
        database.close()
        return tmp_path

    return write


def recorded(out):
    database = Database(out / "verdure.sqlite")
    records = SqliteLedger(database).exports(WANTED.products_queue)
    database.close()
    return records


def test_an_estimate_is_of_the_masks_that_there_are(write):
    done = replace(MASK, run="demo", state=State.SUCCEEDED)
    waiting = replace(done, export_id="mask-2", image_id="image-2", state=State.FOUND)
    out = write(WANTED, done, waiting)
    asked = ask(out, "--json")
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout) == {"demo": 2}
    assert {x.kind for x in recorded(out)} == {SEASON, NDVI}
    assert all(x.in_season and x.inputs == (done.image_id,) for x in recorded(out))
    again = ask(out)
    assert "demo: 0 maps asked for" in again.output


def test_a_run_without_masks_has_nothing_to_estimate_from(write):
    out = write(WANTED, replace(MASK, run="demo", state=State.FOUND))
    assert ask(out).exit_code == 0
    assert {x.reason for x in recorded(out)} == {"no mask of the tile was made: 1 FOUND"}


def test_a_run_without_products_is_told_what_to_add(write):
    asked = ask(write(RUN))
    assert asked.exit_code == 2
    assert "no active run has `products`" in " ".join(asked.output.split())
