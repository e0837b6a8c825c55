"""What shared.services.Drive promises, by Drive's own client."""

import random

import pytest

from emulator import launch
from shared.adapters import drive
from shared.adapters.drive import GoogleDrive
from shared.errors import AccessDenied, NotFound, Unavailable


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    data = tmp_path_factory.mktemp("earth-engine")
    (data / "shared-drives" / "team").mkdir(parents=True)
    with launch.running(data, [], "--drive-bytes", "1000") as url:
        yield data, url


@pytest.fixture
def files(served):
    made = GoogleDrive(served[1])
    yield made
    made.close()


def test_what_is_written_is_there_as_it_was_said_and_once(files, served, monkeypatch):
    monkeypatch.setattr(drive, "CHUNK", 2**18)  # several requests an upload
    content = random.Random(1).randbytes(600_000)
    written = files.write("it's a mask.tif", "team", content)
    assert files.stat(written.file_id) == written
    assert (written.name, written.size) == ("it's a mask.tif", 600_000)
    assert files.read(written.file_id) == content
    assert files.write("it's a mask.tif", "team", content) == written
    assert [x.name for x in (served[0] / "shared-drives" / "team").iterdir()] == [written.name]


def test_another_content_of_the_name_is_another_file(files):
    one = files.write("x.json", "root", b"one")
    two = files.write("x.json", "root", b"two")
    assert one.file_id != two.file_id
    assert (files.read(one.file_id), files.read(two.file_id)) == (b"one", b"two")


def test_a_full_drive_says_how_full_and_a_shared_one_is_not(files):
    with pytest.raises(AccessDenied, match=r"quota has been exceeded.*of 1000 bytes: free or buy"):
        files.write("large.tif", "root", bytes(2000))
    assert files.write("large.tif", "team", bytes(2000)).size == 2000


def test_what_is_not_there_is_named(files):
    assert files.stat("nothing") is None
    with pytest.raises(NotFound, match="File not found: nothing"):
        files.read("nothing")
    with pytest.raises(NotFound, match="File not found: elsewhere"):
        files.write("x", "elsewhere", b"x")


def test_a_drive_that_does_not_answer_is_asked_again_later():
    nowhere = GoogleDrive("http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="Drive did not answer"):
        nowhere.stat("x")
    nowhere.close()
