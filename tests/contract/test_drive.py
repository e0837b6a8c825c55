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


def test_a_drive_that_does_not_answer_is_asked_again_later(monkeypatch):
    monkeypatch.setattr(drive, "RETRIES", 0)  # the client sleeps between them
    nowhere = GoogleDrive("http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="Drive did not answer"):
        nowhere.stat("x")
    nowhere.close()


#: The client asks again by itself, once or not at all, as the connection's end looks to it.
FAULTS = """
faults:
  - {kind: drop_after, method: drive.files.create, calls: [2, 3, 5, 8]}
"""


def test_an_answer_that_is_lost_does_not_upload_twice(tmp_path):
    team = tmp_path / "shared-drives" / "team"
    team.mkdir(parents=True)
    (tmp_path / "faults.yaml").write_text(FAULTS)
    names = ["first.tif", "second.tif", "third.tif"]
    lost = 0
    with launch.running(tmp_path, [], "--faults", str(tmp_path / "faults.yaml")) as url:
        files = GoogleDrive(url)
        for name in names:
            written = None
            while written is None:
                try:
                    written = files.write(name, "team", name.encode())
                except Unavailable:
                    lost += 1
            assert files.stat(written.file_id) == written
        files.close()
    assert lost
    assert sorted(x.name for x in team.iterdir()) == names
