"""Second copies in Drive: made before an asset may leave, brought back when the first is lost."""

import hashlib
from collections.abc import Sequence

from shared.domain import archive
from shared.domain.archive import Asset, DriveFile, File
from shared.errors import PermanentError
from shared.services import Services


def put(files: Sequence[File], folder: str, services: Services) -> list[DriveFile]:
    """Copy objects to a folder of Drive, those that are there already not again."""
    return [
        services.drive.write(_name(file), folder, services.objects.read(file.uri)) for file in files
    ]


def put_text(file: File, text: str, folder: str, services: Services) -> DriveFile:
    """Copy an object whose content is at hand."""
    return services.drive.write(_name(file), folder, text.encode())


def problem_of(record: Asset, services: Services) -> str:
    """Return in what a second copy is not the one that was made, or an empty string."""
    return archive.change_of(record.second, lambda file: services.drive.stat(file.file_id))


def mended(record: Asset, services: Services) -> str:
    """Write the objects of a copy that are not as verified anew, from Drive.

    Returns why the second copy will not do either, or an empty string.
    """
    try:
        files = [
            _brought_back(file, second, services)
            for file, second in zip(record.files, record.second, strict=True)
        ]
    except PermanentError as error:
        return str(error)
    services.assets.change(record.record_id, lambda x: archive.mend(x, files))
    return ""


def _brought_back(file: File, second: DriveFile, services: Services) -> File:
    if services.objects.stat(file.uri) == file:
        return file
    content = services.drive.read(second.file_id)
    if hashlib.sha256(content).hexdigest() != second.sha256:
        raise PermanentError(f"{second.name} in Drive was changed: it cannot replace {file.uri}")
    kind = "application/geo+json" if file.uri.endswith(".json") else "image/tiff"
    written = services.objects.write(file.uri, content, kind)
    if not written.is_like(file):
        raise PermanentError(f"{file.uri} brought back from Drive is not what was verified")
    return written


def _name(file: File) -> str:
    """Return a file's name in Drive: with the record's id, so that no other has it."""
    return file.uri.rpartition("/")[2]
