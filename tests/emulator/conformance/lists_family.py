"""Lists, against Python's own."""

import ee
import numpy as np

from conformance.cases import Check, Raises, case, described, library, sample

call = ee.ApiFunction.call_

L = [4, 1, 7, 1, 3]
SEQUENCES = [(0, 10, 2), (3, 6, 2), (5, 1, -2), (0, 1, 0.1), (1, 5, 1)]
PYTHON = {
    "List.add": (lambda: ee.List(L).add(9), [*L, 9]),
    "List.cat": (lambda: ee.List(L).cat([8]), [*L, 8]),
    "List.contains": (lambda: ee.List(L).contains(7), 7 in L),
    "List.containsAll": (lambda: ee.List(L).containsAll([1, 99]), False),
    "List.distinct": (lambda: ee.List(L).distinct(), list(dict.fromkeys(L))),
    "List.equals": (lambda: ee.List(L).equals(L), True),
    "List.flatten": (lambda: ee.List([1, [2, [3, []]], 4]).flatten(), [1, 2, 3, 4]),
    "List.frequency": (lambda: ee.List(L).frequency(1), L.count(1)),
    "List.get": (lambda: ee.List(L).get(-1), L[-1]),
    "List.getArray": (lambda: ee.List([[1, 2]]).getArray(0), [1, 2]),
    "List.getNumber": (lambda: ee.List(L).getNumber(2), L[2]),
    "List.getString": (lambda: ee.List(["a", "b"]).getString(1), "b"),
    "List.indexOf": (lambda: ee.List(L).indexOf(7), L.index(7)),
    "List.indexOfSublist": (lambda: ee.List([1, 2, 1, 2]).indexOfSublist([1, 2]), 0),
    "List.lastIndexOfSubList": (lambda: ee.List([1, 2, 1, 2]).lastIndexOfSubList([1, 2]), 2),
    "List.insert": (lambda: ee.List(L).insert(1, 9), [*L[:1], 9, *L[1:]]),
    "List.join": (lambda: ee.List(["a", "b", 1]).join("-"), "a-b-1"),
    "List.length": (lambda: ee.List(L).length(), len(L)),
    "List.size": (lambda: ee.List(L).size(), len(L)),
    "List.map": (lambda: ee.List(L).map(lambda v: ee.Number(v).multiply(2)), [2 * v for v in L]),
    "List.remove": (lambda: ee.List(L).remove(1), [4, 7, 1, 3]),
    "List.removeAll": (lambda: ee.List(L).removeAll([1, 3]), [4, 7]),
    "List.repeat": (lambda: ee.List.repeat("a", 3), ["a"] * 3),
    "List.replace": (lambda: ee.List(L).replace(1, 0), [4, 0, 7, 1, 3]),
    "List.replaceAll": (lambda: ee.List(L).replaceAll(1, 0), [4, 0, 7, 0, 3]),
    "List.reverse": (lambda: ee.List(L).reverse(), L[::-1]),
    "List.rotate": (lambda: ee.List(L).rotate(2), list(np.roll(L, 2))),
    "List.rotate back": (lambda: ee.List(L).rotate(-1), list(np.roll(L, -1))),
    "List.set": (lambda: ee.List(L).set(0, 9), [9, *L[1:]]),
    "List.slice": (lambda: ee.List(L).slice(1, -1), L[1:-1]),
    "List.slice with a step": (lambda: ee.List(L).slice(0, 5, 2), L[0:5:2]),
    "List.sort": (lambda: ee.List(L).sort(), sorted(L)),
    "List.sort by keys": (lambda: ee.List(["a", "b", "c"]).sort([3, 1, 2]), ["b", "c", "a"]),
    "List.sort of text": (lambda: ee.List(["b", "B", "a"]).sort(), sorted(["b", "B", "a"])),
    "List.swap": (lambda: ee.List(L).swap(0, 4), [3, 1, 7, 1, 4]),
    "List.zip": (lambda: ee.List([1, 2]).zip([3, 4]), [[1, 3], [2, 4]]),
}
SPLICES = [(2, 1, None), (-2, 1, None), (1, 3, None), (2, 0, ["X", "Y"]), (2, 3, ["X", "Y", "Z"])]


def spliced(start: int, count: int, other: list | None) -> list:
    items = [0, 1, 2, 3, 4]
    first = start % len(items)
    items[first : first + count] = other or []
    return items


NUMBERS = [4.0, 8.5, 1.0, 7.0, 7.0, -2.0, 3.5]
REDUCED = {
    "mean": np.mean(NUMBERS),
    "median": np.median(NUMBERS),
    "stdDev": np.std(NUMBERS),
    "sampleVariance": np.var(NUMBERS, ddof=1),
    "min": min(NUMBERS),
    "max": max(NUMBERS),
    "sum": sum(NUMBERS),
    "product": np.prod(NUMBERS),
    "count": len(NUMBERS),
    "countDistinct": len(set(NUMBERS)),
    "mode": 7.0,
    "first": NUMBERS[0],
    "last": NUMBERS[-1],
}
CASES = [
    *(
        case(
            f"reduce by {name}",
            lambda name=name: ee.List(NUMBERS).reduce(getattr(ee.Reducer, name)()),
            float(expected),
            library(f"numpy.{name}"),
        )
        for name, expected in REDUCED.items()
    ),
    *(
        case(name, build, expected, library("Python's list"))
        for name, (build, expected) in PYTHON.items()
    ),
    *(
        case(
            f"sequence {s}",
            lambda s=s: ee.List.sequence(*s),
            list(np.arange(s[0], s[1] + s[2] / 1000, s[2])),
            library("numpy.arange"),
        )
        for s in SEQUENCES
    ),
    case(
        "sequence of a count",
        lambda: ee.List.sequence(0, 1, None, 5),
        list(np.linspace(0, 1, 5)),
        library("numpy.linspace"),
    ),
    case(
        "too long a sequence",
        lambda: ee.List.sequence(0, 1e12),
        Raises("memory limit exceeded"),
        "https://developers.google.com/earth-engine/guides/debugging",
    ),
    case(
        "too many repeats",
        lambda: ee.List.repeat(1, 10**12),
        Raises("memory limit exceeded"),
        "https://developers.google.com/earth-engine/guides/debugging",
    ),
    *(
        case(
            f"splice {s}",
            lambda s=s: ee.List([0, 1, 2, 3, 4]).splice(*s),
            spliced(*s),
            sample("ee_list_splice"),
        )
        for s in SPLICES
    ),
    case(
        "unzip takes the shortest",
        lambda: ee.List([[1, "a"], [2, "b", 9]]).unzip(),
        [[1, 2], ["a", "b"]],
        described("List.unzip"),
    ),
    case(
        "a geometry of a list",
        lambda: ee.List([ee.Geometry.Point(1, 2)]).getGeometry(0).coordinates(),
        [1, 2],
        described("List.getGeometry"),
    ),
    case(
        "index out of bounds",
        lambda: ee.List([1]).get(5),
        Raises("List index must be between"),
        described("List.get"),
    ),
    case(
        "filter skips nulls",
        lambda: ee.List([1, 2, 3, None, 6, 7]).filter(ee.Filter.gt("item", 4)),
        [6, 7],
        sample("ee_list_filter"),
    ),
    case(
        "filter features by their own properties",
        lambda: (
            ee.List([ee.Feature(None, {"n": n}) for n in (1, 2, 3)])
            .filter(ee.Filter.gt("n", 1))
            .map(lambda f: ee.Feature(f).get("n"))
        ),
        [2, 3],
        described("List.filter"),
    ),
    case(
        "iterate",
        lambda: ee.List([1, 2, 3]).iterate(lambda x, s: ee.Number(s).multiply(10).add(x), 0),
        123,
        library("functools.reduce"),
    ),
    case(
        "map drops nulls",
        lambda: ee.List([1, 2, 3]).map(
            lambda v: ee.Algorithms.If(ee.Number(v).gt(1), v, None), True
        ),
        [2, 3],
        described("List.map"),
    ),
    case(
        "user functions see the arguments around them",
        lambda: ee.List([1, 2, 3]).map(
            lambda a: ee.List([10, 20]).map(lambda b: ee.Number(a).multiply(b))
        ),
        [[10, 20], [20, 40], [30, 60]],
        library("Python's list"),
    ),
    case(
        "reduce",
        lambda: ee.List(L).reduce(ee.Reducer.mean()),
        float(np.mean(L)),
        library("numpy.mean"),
    ),
    case(
        "shuffle keeps the elements",
        lambda: ee.List(L).shuffle(3),
        Check(lambda v: sorted(v) == sorted(L), "a permutation"),
        described("List.shuffle"),
    ),
]
