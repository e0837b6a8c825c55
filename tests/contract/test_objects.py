"""What shared.services.Objects promises, in a folder and by Cloud Storage's own client."""

import random

import pytest

from emulator import launch
from shared.adapters.folder import FolderObjects
from shared.adapters.storage import CloudObjects
from shared.errors import NotFound

URI = "gs://demo-archive/a folder/x+y.bin"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    data = tmp_path_factory.mktemp("earth-engine")
    (data / "buckets" / "demo-archive").mkdir(parents=True)
    with launch.running(data, []) as url:
        yield data, url


@pytest.fixture(params=["folder", "client"])
def objects(request, served):
    data, url = served
    for old in (data / "buckets" / "demo-archive").rglob("*.bin"):
        old.unlink()
    made = FolderObjects(data / "buckets") if request.param == "folder" else CloudObjects("p", url)
    yield made
    made.close()


def test_what_is_written_is_there_as_it_was_said(objects):
    content = random.Random(1).randbytes(70_000) + b"\r\n\r\n--"
    assert objects.stat(URI) is None
    written = objects.write(URI, content, "application/octet-stream")
    assert objects.stat(URI) == written
    assert (written.uri, written.size) == (URI, len(content))
    assert objects.read(URI) == content


def test_the_checksum_is_cloud_storages(objects):
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720, appendix B.4, gives the polynomial).
    assert objects.write(URI, b"123456789", "text/plain").crc32c == "4waSgw=="


def test_another_object_of_the_name_has_another_generation(objects):
    first = objects.write(URI, b"one", "text/plain")
    second = objects.write(URI, b"two", "text/plain")
    assert first.generation != second.generation
    assert objects.read(URI) == b"two"


def test_deleted_is_gone_and_deleting_again_is_as_good(objects):
    objects.write(URI, b"one", "text/plain")
    objects.delete(URI)
    objects.delete(URI)
    assert objects.stat(URI) is None
    with pytest.raises(NotFound, match="demo-archive"):
        objects.read(URI)


def test_a_bucket_that_is_not_is_named(objects):
    with pytest.raises(NotFound, match="no-such-bucket"):
        objects.stat("gs://no-such-bucket/x")
    with pytest.raises(NotFound, match="no-such-bucket"):
        objects.write("gs://no-such-bucket/x", b"", "text/plain")
