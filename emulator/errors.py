"""What the emulator answers when a request cannot be served, in Earth Engine's words."""

import logging

import pyproj.exceptions
import shapely.errors

LOG = logging.getLogger("emulator")

#: HTTP code -> canonical status name (https://google.aip.dev/193).
STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class EarthEngineError(Exception):
    """An error that is the caller's to see: an HTTP code and Earth Engine's message."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    def payload(self) -> dict[str, object]:
        """Return the JSON body of the answer (https://google.aip.dev/193)."""
        status = STATUS_NAMES[self.code]
        return {"error": {"code": self.code, "message": self.message, "status": status}}


class NotImplementedByEmulator(EarthEngineError):
    """Something that Earth Engine has and the emulator has not: said, never guessed.

    The code is 400 because the client retries a 501 for half a minute.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not implemented by the emulator.")


#: What Python and the libraries raise when an argument is of the wrong kind or out of range.
WRONG_ARGUMENT = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    pyproj.exceptions.ProjError,
    shapely.errors.ShapelyError,
)


def wrong_argument(where: str, error: Exception) -> EarthEngineError:
    """Return one of `WRONG_ARGUMENT` as the caller's error; the log's debug level has the trace."""
    LOG.debug("%s", where, exc_info=error)
    reason = str(error) or "A value is of the wrong type."
    return EarthEngineError(f"{where}: Invalid argument. {reason}")


def internal_error() -> EarthEngineError:
    """Return what a caller learns of a defect of the emulator."""
    return EarthEngineError("An internal error has occurred", 500)


def memory_exceeded() -> EarthEngineError:
    """Return Earth Engine's error for values that are too large to be made."""
    return EarthEngineError("User memory limit exceeded.")
