from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from shared.config import parse_run
from shared.domain import products
from shared.domain.exports import State
from shared.domain.runs import (
    GPP,
    MAPS,
    NDVI,
    SEASON,
    ProductParameters,
    RunConfiguration,
    register,
)
from shared.errors import InvalidConfiguration

from .test_exports import FOUND

REGION = {"type": "Polygon", "coordinates": [[[14, 45], [15, 45], [15, 46], [14, 45]]]}
NOW = datetime(2019, 3, 1, tzinfo=UTC)
MASK = replace(FOUND, footprint='{"type": "Polygon", "coordinates": [[[1, 2], [3, 2], [3, 5]]]}')


def run(start="2018-03-01", end="2018-11-01", **changes):
    period = {"start": date.fromisoformat(start), "end": date.fromisoformat(end)}
    destination = "projects/demo-project/assets/masks"
    wanted = ProductParameters(**changes)
    return register(
        RunConfiguration("demo", REGION, **period, destination=destination, products=wanted)
    )


def masks(*states):
    return [
        replace(MASK, export_id=f"mask-{i}", image_id=f"image-{i}", state=State(state))
        for i, state in enumerate(states)
    ]


def only(made):
    [record] = made
    return record


@pytest.mark.parametrize(
    ("start", "end", "years"),
    [
        ("2018-03-01", "2018-11-01", [2018]),
        ("2018-01-01", "2020-01-01", [2018, 2019]),
        ("2017-10-01", "2018-10-01", [2018]),
        ("2018-06-01", "2018-06-20", [2018]),
        ("2018-07-01", "2019-07-01", [2018]),
    ],
)
def test_the_years_of_a_run(start, end, years):
    assert products.years(run(start, end)) == years


def test_a_map_is_of_the_masks_that_there_are():
    made = only(products.wanted(run(), masks("SUCCEEDED", "FAILED", "SKIPPED"), NOW))
    assert (made.image_id, made.inputs, made.state) == ("31UDT_2018", ("image-0",), State.FOUND)
    assert (made.kind, made.run, made.in_season) == ("season", "demo.products", False)
    assert "[[[1, 2], [3, 2], [3, 5], [1, 5], [1, 2]]]" in made.footprint


def test_the_same_masks_make_the_same_map_and_another_mask_another():
    one, again = (only(products.wanted(run(), masks("SUCCEEDED"), NOW)) for _ in range(2))
    assert one == again
    more = only(products.wanted(run(), masks("SUCCEEDED", "SUCCEEDED"), NOW))
    other = only(products.wanted(run(cloud_below=30), masks("SUCCEEDED"), NOW))
    ground = only(
        products.wanted(run(collection="COPERNICUS/S2_SR_HARMONIZED"), masks("SUCCEEDED"), NOW)
    )
    early = only(products.wanted(run(), masks("SUCCEEDED"), datetime(2018, 7, 1, tzinfo=UTC)))
    assert len({x.export_id for x in (one, more, other, ground, early)}) == 5
    assert early.in_season


def test_an_image_between_two_records_is_not_settled():
    assert products.is_settled(masks("SUCCEEDED", "FAILED"))
    assert not products.is_settled(masks("SUCCEEDED", "FOUND"))
    assert not products.is_settled(masks("SUCCEEDED", "SUPERSEDED"))
    twice = [*masks("SUPERSEDED"), replace(masks("SUCCEEDED")[0], export_id="mask-9")]
    assert products.is_settled(twice)


def test_without_a_mask_there_is_no_map():
    made = only(products.wanted(run(), masks("FAILED", "SKIPPED", "SKIPPED"), NOW))
    assert made.state is State.SKIPPED
    assert made.reason == "no mask of the tile was made: 1 FAILED, 2 SKIPPED"


@pytest.mark.parametrize("kind", [SEASON, NDVI, GPP])
def test_every_band_has_a_type_and_a_name_of_its_own(kind):
    bands = products.bands_of(run(), kind, 2018)
    assert len({band.name for band in bands}) == len(bands)
    assert all(band.data_type in products.RANGES and band.scale > 0 for band in bands)


def test_the_index_names_bands_and_units_and_makes_other_maps_but_not_of_carbon():
    season, steps, carbon = (products.bands_of(run(index="EVI2"), x, 2018) for x in MAPS)
    assert {x.unit for x in season} == {"", "YYDOY", "day", "EVI2", "EVI2/day", "EVI2 day"}
    assert {x.name[:5] for x in steps} == {"COUNT", "EVI2_", "STD_2"}
    assert {x.unit for x in steps} == {"", "EVI2"}
    assert carbon == products.bands_of(run(), GPP, 2018)
    one, other = (
        [x.export_id for x in products.wanted(run(index=index, maps=MAPS), masks("SUCCEEDED"), NOW)]
        for index in ("NDVI", "EVI2")
    )
    assert [a == b for a, b in zip(one, other, strict=True)] == [False, False, True]


def test_the_steps_are_the_years_and_the_periods():
    days = products.steps(run(step=10), 2018)
    assert days[0] == date(2018, 1, 31), "30 days before the start"
    assert all(day.year == 2018 and day < date(2018, 12, 1) for day in days)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"maps": ["seasons"]}, "products.maps is ['seasons'], expected one or more of season"),
        ({"maps": []}, "products.maps is []"),
        ({"preset": "best"}, "products.preset is 'best', expected default or original"),
        ({"collection": "S2 SR"}, "products.collection is 'S2 SR', expected none or an id"),
        ({"index": "evi"}, "products.index is 'evi', expected one of NDVI, EVI2, DVI"),
        ({"scale": 5}, "products.scale is 5"),
        ({"step": 0}, "products.step is 0"),
        ({"cloud_below": 0}, "products.cloud_below is 0"),
        ({"land_cover_class": 99}, "products.land_cover_class is 99"),
        ({"mpas": ["season"]}, "unknown key products.mpas; did you mean maps?"),
    ],
)
def test_wrong_products_are_explained(wrong, sentence, tmp_path):
    content = {
        "name": "demo",
        "region": REGION,
        "start": "2018-03-01",
        "end": "2018-11-01",
        "destination": "projects/demo-project/assets/masks",
        "products": wrong,
    }
    with pytest.raises(InvalidConfiguration) as caught:
        parse_run(content, tmp_path, "run.yaml")
    assert sentence in str(caught.value)
