"""Accuracy figures in `out/model.json`, in the shape of `out/bench.json`."""

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: What a score is: a share of pixels, or made of such.
UNIT = "share"


def figure(value: float | None, baseline: float | None = None, **more: Any) -> dict[str, Any]:
    """Return one figure; `ratio` is to the baseline, or the value where there is none."""
    ratio = value / baseline if value is not None and baseline else value
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    content = {"value": value, "unit": UNIT, "baseline": baseline, "ratio": ratio, "target": None}
    return {**content, "machine": machine, **more}


def write_figures(path: Path, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Add figures to a file; others that it has stay."""
    known = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known | dict(figures), indent=1) + "\n")
