"""`python -m benchmarks [NAME]`: measure, print a table, write out/bench.json."""

import json
import logging
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    archive,
    cloud_mask,
    cold_import,
    emulator_forest,
    emulator_full_tile,
    emulator_reducers,
    emulator_service,
    orchestration,
    season,
)
from benchmarks.result import Result

#: Names that can be asked for, and what measures them.
BENCHMARKS: dict[str, Callable[[], dict[str, Result]]] = {
    "cold_import": cold_import.cold_import,
    "emulator_operation_pages": emulator_service.operation_pages,
    "emulator_requests_per_second": emulator_service.requests_per_second,
    "ee_requests_per_image": orchestration.costs,
    "ledger_writes_per_image": orchestration.costs,
    "orchestration_throughput": orchestration.throughput,
    "archive_control_plane": archive.control_plane,
    "emulator_forest": emulator_forest.forest,
    "emulator_median": emulator_reducers.median,
    "emulator_regression": emulator_reducers.regression,
    "emulator_full_tile": emulator_full_tile.full_tile,
    "gapfill_series_per_second": season.gap_filling_speed,
    "mask_seconds_per_megapixel": cloud_mask.seconds_per_megapixel,
    "mask_graph_bytes": cloud_mask.graph_bytes,
}
OUT = Path("out/bench.json")


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"unknown benchmark {', '.join(unknown)}; known: {', '.join(BENCHMARKS)}")
        return 2
    logging.disable(logging.INFO)
    results: dict[str, Result] = {}
    for measure in dict.fromkeys(BENCHMARKS[name] for name in names or BENCHMARKS):
        results |= measure()
    _write(results)
    _print(results)
    return 0 if all(result.meets_target for result in results.values()) else 1


def _write(results: dict[str, Result]) -> None:
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    measured = {name: {**x.to_dict(), "machine": machine} for name, x in results.items()}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(known | measured, indent=1))


def _print(results: dict[str, Result]) -> None:
    table = Table("Benchmark", "Value", "Baseline", "Ratio", "Target")
    for name, result in results.items():
        baseline = f"{result.baseline:.4g} {result.baseline_is}" if result.baseline else ""
        table.add_row(
            name,
            f"{result.value:.4g} {result.unit}",
            baseline,
            f"{result.ratio:.3g}",
            _target(result),
        )
    Console().print(table)


def _target(result: Result) -> str:
    if result.target is None:
        return "reported"
    return f"{result.best} {result.target:g}" + ("" if result.meets_target else "  MISSED")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
