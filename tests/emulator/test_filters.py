"""Filters of stored images, by columns of their properties as one by one."""

import ee
import pytest

from emulator import engine
from emulator.functions.elements import filter_collection
from emulator.functions.images import load_image
from emulator.functions.values import Collection
from emulator.stored import StoredCollection, StoredImage

pytestmark = pytest.mark.usefixtures("ee_emulator")


def _rows(rows):
    """The same scenes as stored images, filtered by columns, and as made ones, one by one."""
    return StoredCollection([StoredImage(f"C/{i}", (), row) for i, row in enumerate(rows)])


COLUMN_FILTERS = {
    "eq": lambda: ee.Filter.eq("n", 2),
    "eq_zero": lambda: ee.Filter.eq("n", 0),
    "neq": lambda: ee.Filter.neq("n", 2),
    "eq_text": lambda: ee.Filter.eq("tile", "A"),
    "lt": lambda: ee.Filter.lt("n", 2),
    "lte": lambda: ee.Filter.lte("n", 2),
    "gt": lambda: ee.Filter.gt("n", 2),
    "gte": lambda: ee.Filter.gte("n", 2),
    "value_first": lambda: ee.Filter.greaterThan(leftValue=2, rightField="n"),
    "in_list": lambda: ee.Filter.inList("n", [1, 3]),
    "in_list_text": lambda: ee.Filter.inList("tile", ["B", "C"]),
    "in_index": lambda: ee.Filter.inList("system:index", ["1", "3"]),
    "date": lambda: ee.Filter.date("2018-01-02", "2018-01-04"),
    "not_date": lambda: ee.Filter.date("2018-01-02", "2018-01-04").Not(),
    "and": lambda: ee.Filter.And(ee.Filter.gt("n", 1), ee.Filter.eq("tile", "A")),
    "or": lambda: ee.Filter.Or(ee.Filter.gt("n", 2), ee.Filter.eq("tile", "A")),
    "mixed": lambda: ee.Filter.eq("mixed", 1),
    "not_null": lambda: ee.Filter.notNull(["n"]),
    "null": lambda: ee.Filter.notNull(["tile", "n"]).Not(),
    "not_null_mixed": lambda: ee.Filter.notNull(["mixed"]),
    "not_null_absent": lambda: ee.Filter.notNull(["absent"]),
    "substring": lambda: ee.Filter.listContains("tile", "A"),
}


@pytest.mark.parametrize("name", COLUMN_FILTERS)
def test_many_images_at_once_are_filtered_as_one_by_one(name):
    day = 86_400_000
    start = 1_514_764_800_000  # 2018-01-01
    stored = _rows(
        {
            **({"n": i} if i != 4 else {}),
            "tile": "AB"[i % 2],
            "system:time_start": start + i * day,
            "mixed": [1, "1", None, [1], 1, 2][i],
        }
        for i in range(6)
    )
    expression = ee.serializer.encode(COLUMN_FILTERS[name](), for_cloud_api=True)
    condition = engine.evaluate(expression, catalogue=None)

    def chosen(collection):
        return [x.properties["system:index"] for x in filter_collection(collection, condition)]

    images = [load_image(x) for x in stored]
    at_once = Collection(images, None, "C", True, stored)
    one_by_one = Collection(images, None, "C", True)
    assert chosen(at_once) == chosen(one_by_one)
