"""What an Earth Engine task's error text means for the next step."""

import re

from shared.domain.exports import Failure

#: First match wins. Texts from guides/debugging, guides/usage and public issue threads;
#: docs/architecture.md lists them. What is not listed is taken as permanent: a failure
#: nobody knows is shown to a person rather than paid for three times.
_CAUSES = (
    (r"quota exceeded|not enough space|too many assets|storage limit", Failure.QUOTA),
    (
        r"internal error|computation timed out|too many concurrent|service unavailable"
        r"|deadline exceeded|try again|user memory limit exceeded|task was cancelled by the system",
        Failure.TRANSIENT,
    ),
)


def classify(error: str) -> Failure:
    """Return the class of an Earth Engine error message."""
    for pattern, failure in _CAUSES:
        if re.search(pattern, error, re.IGNORECASE):
            return failure
    return Failure.PERMANENT
