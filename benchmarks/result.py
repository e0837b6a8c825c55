"""What a benchmark measured."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """A value in a unit; beside it a baseline in the same unit, or none, and the target.

    `ratio` is what the target is about: value / baseline where there is one, else the value.
    `best` says whether the target is a ceiling ("at most") or a floor ("at least").
    """

    value: float
    unit: str
    target: float | None  # None: reported only
    best: str
    baseline: float | None = None
    baseline_is: str = ""

    @property
    def ratio(self) -> float:
        """Return what is held against the target."""
        return self.value if self.baseline is None else self.value / self.baseline

    @property
    def meets_target(self) -> bool:
        """Tell whether the target, if there is one, is met."""
        if self.target is None:
            return True
        if self.best == "at most":
            return self.ratio <= self.target
        return self.ratio >= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON content."""
        return {**asdict(self), "ratio": self.ratio}
