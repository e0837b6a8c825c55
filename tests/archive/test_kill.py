"""The process ends at every step: no mask is ever without a verified place, or with two owners."""

import itertools
from dataclasses import replace

import ee
import pytest

from shared import bootstrap, second_copies
from shared.archiving import copy_problem
from shared.domain.archive import REVERSIBLE, State
from shared.messages import RestoreRequested

from .conftest import MASKS, POLICY, values
from .test_restoring import use_quota
from .test_second_copies import drive_of, objects_of

#: What changes anything, by the service that does it.
ACTS = {
    "assets": ("add", "change"),
    "earth_assets": ("start_copy", "delete", "start_restore"),
    "objects": ("write",),
    "drive": ("write",),
    "bus": ("publish",),
}


class Killed(BaseException):
    """The end of the process: nothing catches it."""


class Bomb:
    """Ends the process before or after the call of a number to anything that changes the world."""

    def __init__(self, number, after):
        self.left, self.after, self.where = number, after, ""

    def wrapped(self, service, acts):
        bomb = self

        class Wrapped:
            def __getattr__(self, name):
                call = getattr(service, name)
                if name not in acts:
                    return call

                def dangerous(*args, **kwargs):
                    bomb.left -= 1
                    if bomb.left == 0 and not bomb.after:
                        bomb.where = f"before {name}"
                        raise Killed
                    result = call(*args, **kwargs)
                    if bomb.left == 0:
                        bomb.where = f"after {name}"
                        raise Killed
                    return result

                return dangerous

        return Wrapped()


def until_killed(archive, bomb, work):
    """Work until the bomb goes off; return whether it did. Then everything is as it was."""
    safe = archive.services
    archive.use(**{k: bomb.wrapped(getattr(safe, k), acts) for k, acts in ACTS.items()})
    try:
        work()
        return False
    except Killed:
        return True
    finally:
        archive.services = safe
        bootstrap.use(safe)


def check_readable(archive, pixels):
    """Every mask has its asset, or a copy that is as it was verified; and one owner on record."""
    listed = archive.listed()
    records = {x.asset_id: x for x in archive.records()}
    for asset_id in pixels:
        record = records.get(asset_id)
        if record is None or record.state in (State.LIVE, *REVERSIBLE):
            assert asset_id in listed
        else:
            assert record.files
            problems = [copy_problem(record, archive.services)]
            if record.second:
                problems.append(second_copies.problem_of(record, archive.services))
            assert "" in problems


def work_once(archive):
    """What one tick does, with all that follows but Earth Engine's own work."""
    archive.tick("watch_assets")
    archive.deliver()


def kill_at_acts(archive, pixels, begin, is_over, step):
    """Begin anew for every act, and kill it there; return where the bombs went off."""
    places = []
    for number in itertools.count(1, step):
        for after in (False, True):
            begin()
            bomb = Bomb(number, after)
            killed = False
            for _ in range(8):
                archive.ahead += archive.ahead.__class__(minutes=1)
                killed = until_killed(archive, bomb, lambda: work_once(archive))
                check_readable(archive, pixels)
                archive.wait_for_tasks()
                if killed or is_over():
                    break
            if not killed:
                return places
            places.append(bomb.where)
            for _ in range(8):
                if is_over():
                    break
                work_once(archive)
                check_readable(archive, pixels)
                archive.wait_for_tasks()
            assert is_over(), (bomb.where, archive.states(), [x.reason for x in archive.records()])
            check_readable(archive, pixels)
    return places


@pytest.mark.parametrize(
    ("direction", "drive", "step"),
    [
        ("out", None, 7),
        ("out", "team", 13),
        ("back", "team", 9),
        pytest.param("out", None, 1, marks=pytest.mark.soak),
        pytest.param("out", "team", 1, marks=pytest.mark.soak),
        pytest.param("back", None, 1, marks=pytest.mark.soak),
        pytest.param("back", "team", 1, marks=pytest.mark.soak),
    ],
)
def test_killed_at_any_act_nothing_is_lost_and_nothing_is_there_twice(
    start_archive, direction, drive, step
):
    """With Drive, what goes out is there too, and what comes back is there only."""
    with start_archive() as archive:
        run = archive.register(replace(POLICY, drive=drive))
        archive.masks(1)
        [asset_id] = archive.listed()
        pixels = {asset_id: values(asset_id)}
        use_quota(archive, 90)
        for old in drive_of(archive).iterdir():
            old.unlink()

        def is_archived():
            return archive.states() == {"ARCHIVED": 1}

        def is_live():
            return set(archive.states()) <= {"LIVE"}

        def come_back():
            """Back to a live asset, without a copy that the next time could do with."""
            use_quota(archive, 10)
            if is_archived():
                ids = tuple(x.record_id for x in archive.records())
                archive.services.bus.publish([RestoreRequested(run.run_id, ids)])
                archive.deliver()
                archive.until_still()
            use_quota(archive, 90)
            forget_copy(archive)

        def leave():
            use_quota(archive, 90)
            archive.until_still()
            use_quota(archive, 10)
            [record] = archive.records()
            if drive:
                for path in objects_of(archive):
                    path.unlink()
            archive.services.bus.publish([RestoreRequested(run.run_id, (record.record_id,))])

        if direction == "out":
            places = kill_at_acts(archive, pixels, come_back, is_archived, step)
        else:
            places = kill_at_acts(archive, pixels, leave, is_live, step)
        assert len(places) >= (20 if direction == "out" else 10) // step
        found = values(asset_id if is_live() else ee.Image.loadGeoTIFF(copy_of(archive)))
        for ours, theirs in zip(found.values(), pixels[asset_id].values(), strict=True):
            assert (ours == theirs).all()
        assert MASKS in asset_id
        # Files of one name would be there side by side, with numbers.
        assert not [x.name for x in drive_of(archive).iterdir() if "(" in x.name]


def copy_of(archive):
    [record] = archive.records()
    return record.files[0].uri


def forget_copy(archive):
    for record in archive.records():
        archive.services.assets.change(
            record.record_id,
            lambda x: replace(x, files=(), second=(), item="", attempt=x.attempt + 1, read_at=None),
        )
