"""The expression language of `Image.expression` and `Number.expression`.

Operators and precedence: https://developers.google.com/earth-engine/guides/image_math
"""

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.functions.elementwise import (
    BINARY,
    CAST_ALIASES,
    CASTS,
    OPERATIONS,
    Operation,
    apply_to_images,
    cast_image,
    image_operation,
    number_operation,
)
from emulator.functions.images import image, select, where
from emulator.graph import Function
from emulator.raster import Array, Image, PixelType
from emulator.registry import algorithm, coerce, lookup, registered

TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<symbol>\*\*|<<|>>|[<>=!]=|&&|\|\||[-+*/%<>!~^&|?:()\[\],.=]))"
)
OPERATORS: Sequence[Mapping[str, str]] = [  # from the loosest to the tightest
    {"||": "or"},
    {"&&": "and"},
    {"|": "bitwiseOr"},
    {"^": "bitwiseXor"},
    {"&": "bitwiseAnd"},
    {"==": "eq", "!=": "neq"},
    {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"},
    {"<<": "leftShift", ">>": "rightShift"},
    {"+": "add", "-": "subtract"},
    {"*": "multiply", "/": "divide", "%": "mod"},
]
PREFIXES = {"!": "not", "~": "bitwiseNot"}
MATH = {"PI": math.pi, "E": math.e}  # alone, and after `Math.`
CONSTANTS = MATH | {"M_PI": math.pi, "M_E": math.e}

Meaning = Callable[["Language"], Any]


def _divide(a: Array, b: Array) -> Array:
    whole = a.dtype.kind in "iu" and b.dtype.kind in "iu"
    function = np.floor_divide if whole else np.divide
    dtype = np.result_type(a, b) if whole else np.float64
    return function(a, b, out=np.zeros(np.broadcast(a, b).shape, dtype), where=b != 0)


def _quotient(left: PixelType, right: PixelType) -> PixelType:
    if left.precision == right.precision == "int":
        largest = max(abs(int(left.min)), abs(int(left.max)))
        return PixelType.of_range(-largest, largest)
    return OPERATIONS["divide"].result_type(left, right)


#: In an expression of images, unlike in `Image.divide`, integers divide to an integer.
DIVIDE = Operation(_divide, _quotient, raw=True)


class Language:
    """What operations mean in an expression, and what its names stand for."""

    def __init__(self, names: Mapping[str, Any], default: str | None = None) -> None:
        self.names = names
        self.default = default

    def name(self, name: str) -> Any:
        """Return what a name stands for."""
        if name in self.names:
            return self.names[name]
        if name in CONSTANTS:
            return self.constant(CONSTANTS[name])
        if name == "Math":
            return MATH
        raise EarthEngineError(f"Unknown variable '{name}' in expression.")

    def constant(self, value: float) -> Any:
        """Return a number of the expression's text."""
        return value

    def apply(self, operation: str, *values: Any) -> Any:
        """Apply an operation of the table."""
        return number_operation(operation, *values)

    def call(self, function: str, *values: Any) -> Any:
        """Call a function of numbers by its own name."""
        if f"Number.{function}" not in registered():
            raise EarthEngineError(f"Unknown function '{function}' in expression.")
        called = lookup(f"Number.{function}")
        names = [parameter.name for parameter in called.parameters]
        if len(values) > len(names):
            raise EarthEngineError(f"Number.{function}: Takes {len(names)} arguments.")
        return called.call(dict(zip(names, values, strict=False)))

    def choose(self, condition: Any, yes: Any, no: Any) -> Any:
        """Return one of two values."""
        return yes if condition else no

    def bands(self, source: Any, selectors: Sequence[Any]) -> Any:
        """Return the element of a dictionary."""
        [key] = selectors
        if not isinstance(source, Mapping) or key not in source:
            raise EarthEngineError(f"There is no element '{key}' in the expression's variable.")
        return source[key]

    def assign(self, name: str, value: Any) -> Any:
        """Give the result a name, which numbers do not have."""
        return value


class ImageLanguage(Language):
    """An expression of images."""

    def name(self, name: str) -> Any:
        """Return the image that a name stands for."""
        return coerce("Image", super().name(name))

    def constant(self, value: float) -> Image:
        """Return a constant image."""
        return image(value)

    def apply(self, operation: str, *values: Any) -> Image:
        """Apply an operation of the table to images."""
        if operation == "divide":
            return apply_to_images("divide", DIVIDE, *values)
        return image_operation(operation, *values)

    def call(self, function: str, *values: Any) -> Image:
        """Call an element-wise function or a cast."""
        cast = CASTS.get(CAST_ALIASES.get(function, function))
        if cast and len(values) == 1:
            return cast_image(*values, cast)
        if function not in OPERATIONS or len(values) != (2 if function in BINARY else 1):
            raise EarthEngineError(f"Unknown function '{function}' in expression.")
        return image_operation(function, *values)

    def assign(self, name: str, value: Image) -> Image:
        """Name the result's band."""
        return value.with_bands([value.bands[0].renamed(name)]) if len(value.bands) == 1 else value

    def choose(self, condition: Image, yes: Image, no: Image) -> Image:
        """Return one image where the condition holds, another elsewhere."""
        return where(no, condition, yes)

    def bands(self, source: Image | None, selectors: Sequence[Any]) -> Image:
        """Return bands of an image, or of the default one."""
        source = self.name(self.default) if source is None else source
        return select(source, list(selectors), None) if selectors else source


class Parser:
    """Reads an expression into a function of a language."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._at = 0

    def parse(self) -> Meaning:
        """Return the meaning of the whole text."""
        target = self._target()
        meaning = self._choice()
        if self._peek()[1]:
            self._fail()
        if target is None:
            return meaning
        return lambda language: language.assign(target, meaning(language))

    def _target(self) -> str | None:
        """Read `name =`, if the text starts with it."""
        (kind, name), following = self._tokens[0], self._tokens[1:2]
        if kind != "name" or following != [("symbol", "=")]:
            return None
        self._at = 2
        return name

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens, position, text = [], 0, text.rstrip()
        while position < len(text):
            found = TOKEN.match(text, position)
            if not found:
                raise EarthEngineError(f"Cannot parse expression '{text}'.")
            tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
            position = found.end()
        return [*tokens, ("end", "")]

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _take(self, symbol: str) -> bool:
        found = self._peek() == ("symbol", symbol)
        self._at += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            self._fail()

    def _fail(self) -> NoReturn:
        raise EarthEngineError(
            f"Cannot parse expression '{self._text}': unexpected '{self._peek()[1]}'."
        )

    def _choice(self) -> Meaning:
        condition = self._level(0)
        if not self._take("?"):
            return condition
        yes = self._choice()
        self._expect(":")
        no = self._choice()
        return lambda language: language.choose(condition(language), yes(language), no(language))

    def _level(self, level: int) -> Meaning:
        if level == len(OPERATORS):
            return self._prefix()
        left = self._level(level + 1)
        while self._peek()[0] == "symbol" and self._peek()[1] in OPERATORS[level]:
            operation = OPERATORS[level][self._next()[1]]
            left = _applied(operation, left, self._level(level + 1))
        return left

    def _prefix(self) -> Meaning:
        for symbol, operation in PREFIXES.items():
            if self._take(symbol):
                return _applied(operation, self._prefix())
        if self._take("-"):
            return _applied("multiply", lambda language: language.constant(-1), self._prefix())
        if self._take("+"):
            return self._prefix()
        return self._power()

    def _power(self) -> Meaning:
        base = self._member()
        if self._take("**"):
            return _applied("pow", base, self._prefix())
        return base

    def _member(self) -> Meaning:
        value = self._primary()
        while True:
            if self._take("."):
                value = _banded(value, [self._next()[1]])
            elif self._take("["):
                value = _banded(value, self._selectors("]"))
            else:
                return value

    def _primary(self) -> Meaning:
        kind, text = self._next()
        if kind == "number":
            number = int(text) if text.isdigit() else float(text)
            return lambda language: language.constant(number)
        if kind == "name":
            if not self._take("("):
                return lambda language: language.name(text)
            return self._call(text)
        if (kind, text) == ("symbol", "("):
            inner = self._choice()
            self._expect(")")
            return inner
        self._at -= 1
        return self._fail()

    def _call(self, name: str) -> Meaning:
        if name == "b":
            return _banded(None, self._selectors(")"))
        arguments = []
        while not self._take(")"):
            arguments.append(self._choice())
            if not self._take(","):
                self._expect(")")
                break
        return lambda language: language.call(name, *[a(language) for a in arguments])

    def _selectors(self, end: str) -> list[Any]:
        selectors: list[Any] = []
        while not self._take(end):
            kind, text = self._next()
            selectors.append(int(text) if kind == "number" else text.strip("'\""))
            self._take(",")
        return selectors


@functools.lru_cache(256)
def parsed(text: str) -> Meaning:
    """Return the meaning of an expression; the same text comes again with every image."""
    return Parser(text).parse()


def _applied(operation: str, *arguments: Meaning) -> Meaning:
    return lambda language: language.apply(operation, *[a(language) for a in arguments])


def _banded(source: Meaning | None, selectors: Sequence[Any]) -> Meaning:
    return lambda language: language.bands(source and source(language), selectors)


@algorithm("Image.parseExpression")
def parse_expression(
    text: str, default: str, names: list[str], free_names_are_bands: bool
) -> Function:
    if free_names_are_bands:
        raise NotImplementedByEmulator("Image.parseExpression with free names as bands")
    meaning = parsed(text)

    def evaluate(bindings: Mapping[str, Any]) -> Image:
        return meaning(ImageLanguage(bindings, default))

    return Function(names, evaluate)


@algorithm("Number.expression")
def number_expression(text: str, names: dict[str, Any] | None) -> int | float:
    return parsed(text)(Language(names or {}))
