"""Arrays as values: n-dimensional numbers of one type."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.functions.values import number_json
from emulator.raster import PixelType
from emulator.registry import InvalidTypeError, coercion


@dataclass(frozen=True, slots=True, eq=False)
class EEArray:
    """An ee.Array: values in the numpy type of their pixel type."""

    values: np.ndarray
    kind: PixelType

    type_name = "Array"

    def to_json(self) -> Any:
        """Return nested lists."""
        return _nested(self.values.tolist())


def _nested(value: Any) -> Any:
    if isinstance(value, list):
        return [_nested(item) for item in value]
    return number_json(value)


@coercion("Array")
def array(value: Any) -> EEArray:
    """Promote numbers and nested lists of numbers."""
    if isinstance(value, EEArray):
        return value
    values = np.asarray(value)
    if values.dtype.kind not in "iuf":
        raise InvalidTypeError
    return EEArray(values, PixelType.of(values.dtype.name))
