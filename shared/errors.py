"""Every error Verdure raises, by what it means for the work at hand.

VerdureError
├── PermanentError            record it and acknowledge: doing it again would fail again
│   ├── InvalidConfiguration      a setting or a run configuration
│   ├── InvalidModel              a file of a trained cloud model
│   ├── NotFound                  a collection, asset or band that Earth Engine does not have
│   └── AccessDenied              no credentials, or no permission
├── TransientError            raise it: the message is delivered again
│   ├── Unavailable               an outside system did not answer, or asked to slow down
│   └── OutputNotVisible          a task succeeded, and its output is not listed yet
├── TaskQueueFull             put the image back: Earth Engine takes no more tasks for now
└── InvalidMessage            raise it: after a few attempts it is a dead letter
"""


class VerdureError(Exception):
    """Base of all errors that Verdure raises on purpose."""


class PermanentError(VerdureError):
    """Doing it again would fail again."""


class InvalidConfiguration(PermanentError):
    """One or more settings are wrong; `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class InvalidModel(PermanentError):
    """A file of a trained cloud model is damaged, or of another version."""


class NotFound(PermanentError):
    """Earth Engine has no such collection, asset or band."""


class AccessDenied(PermanentError):
    """Credentials are missing, or they do not permit the call."""


class TransientError(VerdureError):
    """Doing it again later may succeed."""


class Unavailable(TransientError):
    """An outside system did not answer, or asked to slow down."""


class OutputNotVisible(TransientError):
    """A task ended well, and its output is not listed yet."""


class TaskQueueFull(VerdureError):
    """Earth Engine's task queue is full."""


class InvalidMessage(VerdureError):
    """A message that cannot be decoded; `data` holds its bytes, so that nothing is lost."""

    def __init__(self, reason: str, data: bytes) -> None:
        super().__init__(reason)
        self.data = data
