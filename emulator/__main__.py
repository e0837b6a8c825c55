"""The command line: `python -m emulator --port 8085 --data DIR --scenes DIR`."""

import argparse
import contextlib
import ipaddress
import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import threadpoolctl
import uvicorn

from emulator.app import DataFolderInUse, Emulator, Options
from emulator.faults import InvalidFaults
from emulator.scenes.folder import InvalidSceneFolder

#: With another id the client rewrites asset names (ee/_cloud_api_utils.py).
PROJECT_ID = "[a-z][-a-z0-9]{4,28}[a-z0-9]"
#: More would leave the range of dates: of the clock (within days), and days before today.
MAX_SPEED = 10_000_000
MAX_HISTORY = 100_000
#: Seconds; a client that pauses between requests need not connect again.
KEEP_ALIVE = 75
#: Seconds; at Python's 5 ms, a status request waits 80 ms while two evaluations run, now 12 ms.
SWITCH_INTERVAL = 0.0005
#: Megabytes of GDAL's cache of blocks: two rows of a tile's in 13 bands (GDAL: 5 % of all memory).
BLOCK_CACHE = 256
#: Of numpy's linear algebra; requests and tasks have threads of their own.
BLAS_THREADS = 1


def main() -> None:
    """Serve an emulator until the process is told to stop."""
    arguments = _parser().parse_args()
    sys.setswitchinterval(SWITCH_INTERVAL)
    os.environ.setdefault("GDAL_CACHEMAX", str(BLOCK_CACHE))
    # Matrices of a few thousand pixels: more threads spend their time waiting for each other.
    threadpoolctl.threadpool_limits(BLAS_THREADS, "blas")
    if arguments.exit_with_parent:
        threading.Thread(target=_exit_at_end_of_input, daemon=True).start()
    try:
        emulator = Emulator(_options(arguments))
        listener = _listen(arguments.host, arguments.port)
    except (DataFolderInUse, InvalidFaults, InvalidSceneFolder, OSError, OverflowError) as problem:
        sys.exit(str(problem))
    content = emulator.start()
    for sentence in emulator.scenes.unreadable:
        print(sentence, file=sys.stderr)  # noqa: T201 - a scene that is left out is no secret
    host, port = listener.getsockname()[:2]
    if not ipaddress.ip_address(host).is_loopback:
        print(f"Other machines can reach it at {host}: it checks no credentials.", file=sys.stderr)  # noqa: T201
    address = f"http://{host}:{port}"
    ready = f"Earth Engine emulator ready at {address} (project {arguments.project}, {content})"
    print(ready, flush=True)  # noqa: T201 - whoever started the process waits for this line
    config = uvicorn.Config(
        emulator.app, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m emulator", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    add("--port", type=int, default=8085, help="0: any free port (default: %(default)s)")
    add("--data", type=Path, required=True, help="folder for assets, tasks and the request log")
    add("--scenes", type=Path, action="append", default=[], help="scene folder (repeatable)")
    add("--project", type=_project, default=Options.project, help="id (default: %(default)s)")
    add("--metadata-only", action="store_true", help="exports compute no pixels, for load tests")
    add(
        "--size-factor",
        type=int,
        default=Options.size_factor,
        help="with --metadata-only: assets count so many times their bytes",
    )
    add("--max-queued", type=int, default=Options.max_queued, help="tasks that may wait")
    add("--ceiling-per-user", action="store_true", help="so many for each bearer of a token")
    add("--concurrency", type=int, default=Options.concurrency, help="tasks that run at once")
    add("--max-assets", type=int, default=Options.max_assets, help="asset quota")
    add("--max-bytes", type=int, default=Options.max_bytes, help="storage quota")
    add(
        "--history",
        type=_positive(MAX_HISTORY),
        default=Options.history,
        help="days of ended operations",
    )
    add(
        "--speed",
        type=_positive(MAX_SPEED),
        help="the clock runs so many times as fast (default: real time)",
    )
    add("--buckets", type=Path, help="folder with a folder for each bucket (default: DATA/buckets)")
    add("--drive-bytes", type=int, default=Options.drive_bytes, help="0: as a service account has")
    add("--faults", type=Path, help="what goes wrong on purpose (JSON or YAML: emulator/faults.py)")
    add("--exit-with-parent", action="store_true", help="exit when standard input ends")
    return parser


def _project(text: str) -> str:
    if not re.fullmatch(PROJECT_ID, text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is no project id: 6 to 30 small letters, digits and hyphens"
        )
    return text


def _positive(most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not 0 < float(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {most}")
        return float(text)

    return number


def _options(arguments: argparse.Namespace) -> Options:
    chosen = {name: getattr(arguments, name) for name in Options.__dataclass_fields__}
    return Options(**chosen)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port))
    # Accepted sockets inherit it; without it each answer waits 40 ms for a delayed ACK,
    # because its header and body are written one after the other.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _exit_at_end_of_input() -> None:
    """Exit when the parent is gone, even killed; what is on disk survives any exit."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
