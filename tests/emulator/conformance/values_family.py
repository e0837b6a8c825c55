"""What holds for any value, and numbers as text."""

import ee

from conformance.cases import Check, Raises, case, described, library, sample

call = ee.ApiFunction.call_

TRUTHS = [
    (True, True),
    (0, False),
    (float("-0"), False),
    ("", False),
    ("0", True),
    ([], False),
    ([0], True),
    ({}, False),
    ({"a": None}, True),
]
TYPES = [
    ("Integer", lambda: ee.Number(1)),
    ("Float", lambda: ee.Number(1.5)),
    ("Long", lambda: ee.Feature(None, {"i": ee.Number(-3).int8()}).get("i")),
    ("Long", lambda: ee.Number(2**40)),
    ("String", lambda: ee.String("a string")),
    ("List", lambda: ee.List([1, "a string"])),
    ("Dictionary", lambda: ee.Dictionary({})),
    ("Date", lambda: ee.Date(0)),
    ("Feature", lambda: ee.Feature(None)),
    ("FeatureCollection", lambda: ee.FeatureCollection([])),
    ("Image", lambda: ee.Image(1)),
    ("ImageCollection", lambda: ee.ImageCollection([ee.Image(1)])),
]
FORMATS = [
    (1, "%03d", "001", sample("ee_number_format")),
    (1.23476, "%.1f", "1.2", sample("ee_number_format")),
    (1.23476, "%.3f", "1.235", sample("ee_number_format")),
    (123476, "%.3e", "1.235e+05", sample("ee_number_format")),
    (123476, "%.2f", "123476.00", sample("ee_number_format")),
    (3.14159, "%.2f", "3.14", described("Number.format")),
    (42, "%05d", "00042", described("Number.format")),
    *(
        (number, pattern, pattern % number, library("Python's % operator"))
        for number in (0, 7, -42, 123456)
        for pattern in ("%d", "%+d", "% d", "%8d", "%-8d|", "a%db", "%08d")
    ),
    *(
        (number, pattern, pattern % number, library("Python's % operator"))
        for number in (0.0, 2.75, -1234.5678, 9.87e-7)
        for pattern in ("%f", "%.1f", "%10.3f", "%+.2e", "%-12.4fx")
    ),
    *((n, "%,d", f"{n:,}", library("str.format")) for n in (1, 1234, -7654321)),
    *((n, "%x", f"{n % 2**64:x}", library("str.format")) for n in (255, -1)),
    *((n, "%X", f"{n:X}", library("str.format")) for n in (48879,)),
    *((n, "%o", f"{n:o}", library("str.format")) for n in (8,)),
    (-5, "%(d", "(5)", "java.util.Formatter, flag ("),
    (0.25, "%.1f", "0.3", "java.util.Formatter rounds half up"),
    (123.4, "%g", "123.400", "java.util.Formatter, %g"),
    (0.00001, "%g", "1.00000e-05", "java.util.Formatter, %g"),
    (12, "%s", "12", described("Number.format")),
]
CASES = [
    *(
        case(
            f"If: {value!r} is {truth}",
            lambda value=value: ee.Algorithms.If(value, "yes", "no"),
            "yes" if truth else "no",
            described("If"),
        )
        for value, truth in TRUTHS
    ),
    case("If: null is false", lambda: ee.Algorithms.If(None, 1, 2), 2, described("If")),
    case(
        "only the branch that is taken is evaluated",
        lambda: ee.Algorithms.If(True, 1, ee.Dictionary({}).get("missing")),
        1,
        described("If"),
    ),
    *(
        case(
            f"type {name} {i}",
            lambda b=build: call("ObjectType", b()),
            name,
            sample("ee_algorithms_objecttype"),
        )
        for i, (name, build) in enumerate(TYPES)
    ),
    case("equal lists", lambda: call("IsEqual", [1, [2]], [1, [2]]), True, described("IsEqual")),
    case("unequal texts", lambda: call("IsEqual", "a", "b"), False, described("IsEqual")),
    case(
        "a projection described",
        lambda: ee.Dictionary(ee.Algorithms.Describe(ee.Projection("EPSG:4326"))).get("transform"),
        [1, 0, 0, 0, 1, 0],
        described("Describe"),
    ),
    *(
        case(f"format {n!r} {p}", lambda n=n, p=p: ee.Number(n).format(p), text, source)
        for n, p, text, source in FORMATS
    ),
    case(
        "a pattern with two %",
        lambda: ee.Number(1).format("%d%d"),
        Raises("Number.format"),
        described("Number.format"),
    ),
    *(
        case(f"parse {text} {radix}", lambda t=text, r=radix: ee.Number.parse(t, r), value, source)
        for text, radix, value, source in [
            ("10", 10, 10, sample("ee_number_parse")),
            ("0001", 10, 1, sample("ee_number_parse")),
            ("3E8", 16, 1000, sample("ee_number_parse")),
            ("-12.5e1", 10, -125.0, library("float")),
            ("-1011", 2, int("-1011", 2), library("int")),
            ("zz", 36, int("zz", 36), library("int")),
        ]
    ),
    case(
        "parse what is no number",
        lambda: ee.Number.parse("abc"),
        Raises("Number.parse"),
        described("Number.parse"),
    ),
    case(
        "clamp",
        lambda: ee.List([ee.Number(v).clamp(0, 10) for v in (-5, 5, 15)]),
        [0, 5, 10],
        described("Number.clamp"),
    ),
    case("unit scale", lambda: ee.Number(5).unitScale(0, 20), 0.25, described("Number.unitScale")),
    case(
        "expression",
        lambda: ee.Number.expression("2 ** 3 + 7 / 2 - -1", {}),
        12.5,
        sample("ee_number_expression"),
    ),
    case(
        "expression with a condition",
        lambda: ee.Number.expression("a > 1 && b < 1 ? 5 : 6", {"a": 2, "b": 3}),
        6,
        sample("ee_number_expression"),
    ),
    case(
        "an integer beyond 2^53",
        lambda: ee.Number(2**53).add(1),
        2**53 + 1,
        "ee/_cloud_api_utils.py encode_number_as_cloud_value",
    ),
    case(
        "an error margin",
        lambda: ee.ErrorMargin(2, "meters"),
        Check(lambda m: m["value"] == 2 and m["unit"] == "meters", "2 metres"),
        described("ErrorMargin"),
    ),
    case(
        "error margins have no sign and an end",
        lambda: ee.List([ee.ErrorMargin(-1), ee.ErrorMargin(1e7), ee.ErrorMargin(1e8)]),
        [
            {"type": "ErrorMargin", "unit": "meters", "value": 1},
            {"type": "ErrorMargin", "unit": "meters", "value": 1e7},
            {"type": "ErrorMargin", "unit": "infinite"},
        ],
        "google/earthengine-community samples/javascript/apidocs/ee-errormargin.js",
    ),
]
