"""Strings; regular expressions are RE2's."""

import json

import ee

from conformance.cases import Raises, case, described, library

call = ee.ApiFunction.call_


def js(name: str) -> str:
    return f"google/earthengine-community samples/javascript/apidocs/{name}.js"


SPLITS = [
    ("aBAbcD", "Ab", "", ["aB", "cD"]),
    ("aBAbcD", "ab", "i", ["", "", "cD"]),
    ("aBAbcD", "[bc]", "i", ["a", "A", "", "D"]),
    ("aBAbcD", "(BA|c)", "", ["a", "b", "D"]),
    ("a,b,cdee f,g", "", "", list("a,b,cdee f,g")),
    ("a,b,cdee f,g", "[[:space:]]", "", ["a,b,cdee", "f,g"]),
    ("a,b,cdee f,g", "ee", "", ["a,b,cd", " f,g"]),
    ("a,b,cdee f,g", "[a-z]", "", ["", ",", ",", "", "", "", " ", ","]),
    ("a,b,cdee f,g", "[^a-z]", "", ["a", "b", "cdee", "f", "g"]),
    ("a.b*c?d", "\\.", "", ["a", "b*c?d"]),
]
MATCHES = [
    ("", "", [""]),
    ("ab", "g", ["ab"]),
    ("ab", "i", ["AB"]),
    ("AB", "ig", ["AB", "ab"]),
    ("[a-z]+[0-9]+", "", ["abc123"]),
    ("\\d{2}", "", ["12"]),
    ("abc[^0-9]", "i", ["ABCa"]),
]
SLICES = [(0,), (24,), (-3,), (3, 3), (2, 3), (-4, 25)]
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
ENCODED = ["earth", 1, [1, 2, 3], {"lc_name": "grassland", "lc_class": 3}]
CASES = [
    *(
        case(
            f"split {t!r} on {r!r}",
            lambda t=t, r=r, f=f: ee.String(t).split(r, f),
            e,
            js("ee-string-split"),
        )
        for t, r, f, e in SPLITS
    ),
    *(
        case(
            f"match {r!r} {f}",
            lambda r=r, f=f: ee.String("ABCabc123").match(r, f),
            e,
            js("ee-string-match"),
        )
        for r, f, e in MATCHES
    ),
    case(
        "a pattern that would take for ever elsewhere",
        lambda: ee.String("a" * 60 + "b").match("(a+)+$"),
        [],
        "https://github.com/google/re2",
    ),
    case(
        "a bad pattern",
        lambda: ee.String("a").match("("),
        Raises("regular expression"),
        js("ee-string-match"),
    ),
    case(
        "replace all",
        lambda: ee.String("aBc-Abc").replace("abc", "Z", "ig"),
        "Z-Z",
        js("ee-string-replace"),
    ),
    case("replace once", lambda: ee.String("aa").replace("a", "b"), "ba", js("ee-string-replace")),
    case(
        "replace by groups",
        lambda: ee.String("ab").replace("(a)(b)", "$2$1"),
        "ba",
        described("String.replace"),
    ),
    *(
        case(
            f"slice {s}",
            lambda s=s: ee.String(ALPHABET).slice(*s),
            ALPHABET[slice(*s, *[None] * (2 - len(s)))],
            library("str"),
        )
        for s in SLICES
    ),
    *(
        case(
            f"encode {v!r}",
            lambda v=v: ee.String.encodeJSON(v),
            json.dumps(v, separators=(",", ":"), sort_keys=True),
            js("ee-string-encodejson"),
        )
        for v in ENCODED
    ),
    case(
        "decode",
        lambda: ee.String('{"a": [1, null, 2.5]}').decodeJSON(),
        {"a": [1, None, 2.5]},
        library("json.loads"),
    ),
    case(
        "decode what is no JSON",
        lambda: ee.String("{").decodeJSON(),
        Raises("decodeJSON"),
        described("String.decodeJSON"),
    ),
    case("cat", lambda: ee.String("ab").cat("cd"), "abcd", described("String.cat")),
    *(
        case(
            f"compare {a} {b}",
            lambda a=a, b=b: ee.String(a).compareTo(b),
            (a > b) - (a < b),
            described("String.compareTo"),
        )
        for a, b in [("a", "b"), ("b", "a"), ("a", "a"), ("a", "ab")]
    ),
    case("equals", lambda: ee.String("a").equals("a"), True, described("String.equals")),
    case(
        "equals no string", lambda: call("String.equals", "1", 1), False, described("String.equals")
    ),
    case("index", lambda: ee.String("abcabc").index("c"), "abcabc".find("c"), library("str.find")),
    case("no index", lambda: ee.String("abc123").index("ZZ"), -1, js("ee-string-index")),
    case(
        "last index",
        lambda: ee.String("abcabc").rindex("c"),
        "abcabc".rfind("c"),
        library("str.rfind"),
    ),
    case("length", lambda: ee.String("abc").length(), 3, described("String.length")),
    case("lower", lambda: ee.String("aÉZ").toLowerCase(), "aÉZ".lower(), library("str.lower")),
    case("upper", lambda: ee.String("aéz").toUpperCase(), "aéz".upper(), library("str.upper")),
    case("trim", lambda: ee.String(" a\t\n\r b ").trim(), "a\t\n\r b", js("ee-string-trim")),
    case("a number as a string", lambda: call("String", ee.Number(5)), "5", described("String")),
]
