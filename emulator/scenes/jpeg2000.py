"""Whether a JPEG 2000 file is whole: GDAL opens a truncated one, and reads what is there."""

import struct
from pathlib import Path

from emulator.scenes.tiff import Truncated

#: The first box of a file, and the end of a code stream (ISO/IEC 15444-1, annexes I.5.1 and A.4.4).
SIGNATURE = bytes.fromhex("0000000c6a5020200d0a870a")
END_OF_CODESTREAM = bytes.fromhex("ffd9")


class NotJpeg2000(Exception):
    """The file does not start as a JPEG 2000 file does."""


def check_complete(path: Path) -> None:
    """Raise Truncated unless every box is whole and the code stream comes to its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise NotJpeg2000
        offset, codestream = 0, False
        while offset < size:
            file.seek(offset)
            head = file.read(16).ljust(16, b"\0")
            length, kind = struct.unpack(">I4s", head[:8])
            if length == 1:
                (length,) = struct.unpack(">Q", head[8:])
            end = offset + length if length else size
            if end > size or end <= offset:
                raise Truncated(f"has {size} bytes where its boxes announce {end}")
            if kind == b"jp2c":
                file.seek(end - len(END_OF_CODESTREAM))
                codestream = file.read(len(END_OF_CODESTREAM)) == END_OF_CODESTREAM
            offset = end
    if not codestream:
        raise Truncated("ends before its code stream does")
