"""Which assets leave, and the only ways from state to state."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import archive
from shared.domain.archive import ArchivePolicy, Asset, File, Quota, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = ArchivePolicy(bucket="b")
FILE = File("gs://b/x.tif", 1, "AAAAAA==", 1)


def asset(number=0, **changes):
    record = Asset(
        record_id=f"asset-{number:05d}",
        run="demo",
        asset_id=f"projects/p/assets/m/{number}",
        image_id=str(number),
        version="mask-1",
        sensed_at=NOW - timedelta(days=10_000 - number),
        description='{"updateTime": "a"}',
        size_bytes=10,
    )
    return replace(record, **changes)


quotas = st.builds(
    Quota,
    assets=st.integers(0, 120),
    max_assets=st.just(100),
    bytes=st.integers(0, 1500),
    max_bytes=st.just(1000),
)
sizes = st.lists(st.integers(0, 50), max_size=130)


@given(quotas, sizes, st.lists(st.integers(0, 50), max_size=30))
def test_the_choice_brings_the_quota_just_to_the_low_watermark(quota, sizes, leaving):
    candidates = [asset(i, size_bytes=size) for i, size in enumerate(sizes)]
    under_way = [asset(1000 + i, size_bytes=size) for i, size in enumerate(leaving)]
    left = quota.less(len(leaving), sum(leaving))
    chosen = archive.to_choose(candidates, under_way, quota, POLICY, NOW)
    if not quota.is_above(POLICY.high):
        assert chosen == []
        return
    after = left.less(len(chosen), sum(x.size_bytes for x in chosen))
    assert not after.is_above(POLICY.low) or len(chosen) == len(candidates)
    if chosen:  # one less would not have been enough
        last = chosen[-1]
        assert left.less(len(chosen) - 1, sum(x.size_bytes for x in chosen[:-1])).is_above(
            POLICY.low
        )
        assert last == max(chosen, key=archive.order_of_leaving)
    assert chosen == sorted(candidates, key=archive.order_of_leaving)[: len(chosen)]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_a_quota_that_fills_and_empties_does_not_flap(seed, arrivals):
    """When all that left is gone, nothing leaves before the quota rose by the whole hysteresis."""
    chance = random.Random(seed)
    live, leaving, number, at_last_choice = [], [], 0, -100
    for _ in range(200):
        for _ in range(chance.randint(0, arrivals)):
            live.append(asset(number))
            number += 1
        quota = Quota(len(live) + len(leaving), 100, 0, 1000)
        assert quota.assets <= 100
        chosen = archive.to_choose(live, leaving, quota, POLICY, NOW)
        if chosen:
            assert leaving or number - at_last_choice > 20
            at_last_choice = number
        gone = {x.record_id for x in chosen}
        live = [x for x in live if x.record_id not in gone]
        leaving += chosen
        # Not slower than others come, or no watermark could keep them below the quota.
        del leaving[: chance.randint(arrivals, 30)]


def test_what_a_season_used_leaves_first_then_what_has_a_copy_then_the_oldest():
    used = asset(3, used_at=NOW)
    copied = asset(2, files=(FILE,), read_at=NOW)
    old, new = asset(0), asset(1)
    quota = Quota(90, 100, 0, 1000)
    few = replace(POLICY, low=0.86)
    chosen = archive.to_choose([new, old, copied, used], [], quota, few, NOW)
    assert chosen == [used, copied, old, new]


def test_old_images_leave_below_the_watermark_but_not_those_that_were_asked_for():
    policy = replace(POLICY, max_age_days=9_999)
    quota = Quota(1, 100, 0, 1000)
    records = [asset(0), asset(0, read_at=NOW), asset(5)]
    assert archive.to_choose(records, [], quota, policy, NOW) == [asset(0)]


def test_what_failed_is_not_chosen_again_until_forgiven():
    quota, failed = Quota(90, 100, 0, 1000), asset(0, reason="no bucket")
    assert archive.to_choose([failed], [], quota, POLICY, NOW) == []
    assert archive.choose(failed, NOW) is None
    forgiven = archive.forgive(failed, NOW)
    assert archive.choose(forgiven, NOW).state is State.CHOSEN


def test_room_is_made_by_the_least_recently_restored():
    restored = [asset(i, files=(FILE,), read_at=NOW - timedelta(i)) for i in range(5)]
    quota = Quota(79, 100, 0, 1000)
    leaving = archive.to_make_room([*restored, asset(9)], quota, POLICY, [asset(20), asset(21)])
    assert leaving == [restored[4]]


#: Every transition with arguments that fit any record, and the states it may start from and end in.
TRANSITIONS = {
    "choose": (lambda x: archive.choose(x, NOW), {State.LIVE}, State.CHOSEN),
    "start": (lambda x: archive.start(x, x.attempt, "nodata", NOW), {State.CHOSEN}, State.COPYING),
    "tombstone": (
        lambda x: archive.tombstone(x, x.attempt, [FILE], [], "{}", timedelta(), NOW),
        {State.COPYING},
        State.TOMBSTONED,
    ),
    "doom": (lambda x: archive.doom(x, NOW), {State.TOMBSTONED}, State.DELETING),
    "bury": (lambda x: archive.bury(x, NOW), {State.DELETING}, State.ARCHIVED),
    "copy_again": (
        lambda x: archive.copy_again(x, x.attempt, "masks", "why", NOW),
        {State.COPYING},
        State.CHOSEN,
    ),
    "spare": (
        lambda x: archive.spare(x, "why", "then", NOW),
        set(archive.LEAVING),
        State.LIVE,
    ),
    "undo": (lambda x: archive.undo(x, NOW), set(archive.REVERSIBLE), State.LIVE),
    "request": (lambda x: archive.request(x, "ingest", NOW), {State.ARCHIVED}, State.RESTORING),
    "restored": (
        lambda x: archive.restored(x, x.attempt, "b", 1, NOW),
        {State.RESTORING},
        State.LIVE,
    ),
    "leave_archived": (
        lambda x: archive.leave_archived(x, x.attempt, "why", "then", NOW),
        {State.RESTORING},
        State.ARCHIVED,
    ),
}


@pytest.mark.parametrize("name", TRANSITIONS)
@pytest.mark.parametrize("state", State)
def test_transitions_start_where_they_may_and_nowhere_else(name, state):
    transition, sources, target = TRANSITIONS[name]
    after = transition(asset(state=state, delete_after=NOW, files=(FILE,)))
    assert (after is not None) == (state in sources)
    assert after is None or after.state is target


@given(st.lists(st.sampled_from(sorted(TRANSITIONS)), max_size=40))
def test_no_sequence_of_transitions_gives_the_pixels_two_owners_or_none(names):
    record = asset()
    verified = False
    for name in names:
        before = record
        record = TRANSITIONS[name][0](record) or record
        if name == "tombstone" and record is not before:
            verified = True
        # The asset is given up only when the copy was verified, and has its files on record.
        if record.state in (State.DELETING, State.ARCHIVED, State.RESTORING):
            assert verified
            assert record.files
        assert record.attempt >= before.attempt


@pytest.mark.parametrize("name", ["start", "tombstone", "copy_again", "restored"])
def test_what_belongs_to_an_earlier_attempt_changes_nothing(name):
    late = {
        "start": lambda x: archive.start(x, 1, "nodata", NOW),
        "tombstone": lambda x: archive.tombstone(x, 1, [FILE], [], "{}", timedelta(), NOW),
        "copy_again": lambda x: archive.copy_again(x, 1, "masks", "why", NOW),
        "restored": lambda x: archive.restored(x, 1, "b", 1, NOW),
    }
    for state in State:
        assert late[name](asset(state=state, attempt=2)) is None


def test_objects_that_were_brought_back_are_those_on_record_from_then_on():
    anew = replace(FILE, generation=FILE.generation + 1)
    broken = asset(state=State.ARCHIVED, files=(FILE,), reason="it does not exist")
    mended = archive.mend(broken, [anew])
    assert (mended.state, mended.files, mended.reason) == (State.ARCHIVED, (anew,), "")
    assert archive.mend(asset(files=()), [anew]) is None


def test_nothing_is_doomed_before_its_undo_window_is_over():
    record = asset(state=State.TOMBSTONED, delete_after=NOW + timedelta(seconds=1))
    assert archive.doom(record, NOW) is None
