"""What an Earth Engine task's error text means for the next step."""

import re

from shared.domain.exports import Failure

#: First match wins. Texts from guides/debugging, guides/usage and public issue threads. What is
#: not listed is taken as permanent: a failure nobody knows is shown to a person rather than
#: paid for three times.
_CAUSES = (
    (r"quota exceeded|exceeds? the quota|not enough space", Failure.QUOTA),
    (
        r"internal error|timed out|too many concurrent|user memory limit exceeded"
        r"|unavailable|deadline exceeded|try again",
        Failure.TRANSIENT,
    ),
)


def classify(error: str) -> Failure:
    """Return the class of an Earth Engine error message."""
    for pattern, failure in _CAUSES:
        if re.search(pattern, error, re.IGNORECASE):
            return failure
    return Failure.PERMANENT
