"""How long a TIFF file must be: truncation found from its directories, without reading pixels."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

#: Field type -> numpy code (TIFF 6.0, section 2; 13 and 16 to 18 are BigTIFF's additions).
FIELD_TYPES = {
    1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u8", 6: "i1", 7: "u1", 8: "i2", 9: "i4",
    10: "i8", 11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
#: Tags that say where the blocks are and how long: (offsets, byte counts) of strips and of tiles.
BLOCK_TAGS = ((273, 279), (324, 325))


class Layout(NamedTuple):
    """The widths that differ between TIFF and BigTIFF: first directory, entries, entry, offset."""

    first: int
    entries: str
    entry: str
    offset: str


LAYOUTS = {42: Layout(4, "H", "HHI4s", "I"), 43: Layout(8, "Q", "HHQ8s", "Q")}


class NotTiff(Exception):
    """The file does not start as a TIFF file does."""


class Truncated(Exception):
    """The file ends before what its directories announce."""


def check_complete(path: Path) -> None:
    """Raise Truncated unless every directory, value and block lies inside the file.

    Masks and overviews are directories too, so they are covered (TIFF 6.0; BigTIFF).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        needed = max(_ends(file), default=0)
    if needed > size:
        raise Truncated(f"has {size} bytes where its directories announce {needed}")


def _ends(file: BinaryIO) -> Iterator[int]:
    """Yield where each directory's values and blocks end, in bytes from the start."""
    order, layout = _header(file)
    offset = _unpack(file, layout.first, order + layout.offset)[0]
    seen: set[int] = set()
    while offset and offset not in seen:
        seen.add(offset)
        tags: dict[int, np.ndarray] = {}
        (count,) = _unpack(file, offset, order + layout.entries)
        offset += struct.calcsize(layout.entries)
        for _ in range(count):
            tag, kind, length, inline = _unpack(file, offset, order + layout.entry)
            offset += struct.calcsize("=" + layout.entry)
            dtype = np.dtype(order + FIELD_TYPES.get(kind, "u1"))
            if (size := length * dtype.itemsize) > len(inline):
                (start,) = struct.unpack(order + layout.offset, inline)
                inline = _read(file, start, size)
            tags[tag] = np.frombuffer(inline[:size], dtype).astype(np.int64, copy=False)
        for offsets, counts in BLOCK_TAGS:
            if offsets in tags and counts in tags:
                yield int((tags[offsets] + tags[counts]).max())
        (offset,) = _unpack(file, offset, order + layout.offset)


def _header(file: BinaryIO) -> tuple[str, Layout]:
    head = file.read(4)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 4:
        raise NotTiff
    layout = LAYOUTS.get(struct.unpack(order + "H", head[2:])[0])
    if layout is None:
        raise NotTiff
    return order, layout


def _unpack(file: BinaryIO, offset: int, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, _read(file, offset, struct.calcsize(form)))


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise Truncated(f"ends before byte {offset + size}")
    return data
