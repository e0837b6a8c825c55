"""The features of shared.earth.features on numpy arrays, from the very same expressions."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from shared.earth.features import COMPARED, NO_BACKGROUND, definitions

Array = np.ndarray[Any, Any]


def feature_rows(
    reflectance: Mapping[str, Array],
    bands: tuple[str, ...],
    background: Mapping[str, Array] | None = None,
) -> Array:
    """Return features (n, number) as float32; `background` is NaN where there is none."""
    expressions = definitions(bands).values()
    columns = [_value(ast.parse(text, mode="eval").body, reflectance) for text in expressions]
    for band in COMPARED:
        rise = reflectance[band] - (background[band] if background else np.nan)
        columns.append(np.where(np.isnan(rise), NO_BACKGROUND, rise))
    return np.stack(columns, axis=1).astype(np.float32)


def _divide(a: Any, b: Any) -> Any:
    """Divide as Earth Engine does: by 0 gives 0."""
    b = np.asarray(b, float)
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(np.shape(a), b.shape)), where=b != 0)


_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
}


def _value(node: ast.expr, variables: Mapping[str, Array]) -> Any:
    match node:
        case ast.Name(id=name):
            return np.asarray(variables[name], float)
        case ast.Constant(value=number):
            return number
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, variables), _value(right, variables))
        case ast.Call(func=ast.Name(id="abs"), args=[argument]):
            return abs(_value(argument, variables))
    raise ValueError(f"features know no {ast.unparse(node)!r}: only + - * / abs() and names")
