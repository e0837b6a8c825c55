"""`python -m cli.function_archive OUT`: the archive that Cloud Functions gets, and nothing else.

The same sources give the same bytes: files in order, no times, no owners. Terraform names the
archive by its hash, and so deploys exactly when something changed.
"""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: Files that are deployed under another name: the requirements are the locked ones, with hashes.
RENAMED = {"requirements.lock": "requirements.txt"}
#: What else there may be in a folder of sources.
KEPT = {".py", ".json", ".gz"}
#: The earliest time that a zip file can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
#: Bytes. Every start of an instance loads what is in it.
LARGEST = 2_000_000


class ArchiveTooLarge(RuntimeError):
    """The archive is above LARGEST."""


def sources(root: Path = ROOT) -> dict[str, Path]:
    """Return what is deployed: names in the archive, in order, and the files."""
    files = {RENAMED.get(name, name): root / name for name in ("main.py", "requirements.lock")}
    files |= {str(x.relative_to(root)): x for x in _modules(root)}
    return dict(sorted(files.items()))


def _modules(root: Path) -> Iterator[Path]:
    for folder in ("functions", "shared"):
        yield from (x for x in (root / folder).rglob("*") if x.is_file() and x.suffix in KEPT)


def build(out: Path, root: Path = ROOT) -> Path:
    """Write the archive and return its path; raise ArchiveTooLarge."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w") as archive:
        for name, path in sources(root).items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    size = out.stat().st_size
    if size > LARGEST:
        raise ArchiveTooLarge(f"{out} has {size:,} bytes, expected at most {LARGEST:,}")
    return out


if __name__ == "__main__":
    path = build(Path(sys.argv[1]))
    sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")
