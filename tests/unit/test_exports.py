from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from shared.domain import exports
from shared.domain.exports import FINAL, IN_FLIGHT, Export, Failure, State

NOW = datetime(2018, 7, 1, tzinfo=UTC)
FOUND = Export(
    export_id="mask-1",
    run="demo",
    run_id="demo-1",
    image_id="20180101T105441_20180101T105435_T31UDT",
    acquisition="Sentinel-2A/20180101T105441/31UDT",
    sensed_at=datetime(2018, 1, 1, 10, 54, 41, tzinfo=UTC),
    platform="Sentinel-2A",
    tile="31UDT",
    footprint="{}",
    grid=("EPSG:32631", 20),
    queued_at=NOW,
)


def claimed(by="m1"):
    return exports.claim(FOUND, 1, by, NOW)


def started():
    return exports.start(claimed(), 1, "operations/1")


def test_the_straight_way():
    done = exports.succeed(started(), "{}", 2.5, NOW)
    assert (done.state, done.item, done.eecu_seconds) == (State.SUCCEEDED, "{}", 2.5)


def test_only_the_same_message_claims_again():
    assert exports.claim(claimed("m1"), 1, "m2", NOW) is None
    assert exports.claim(claimed("m1"), 1, "m1", NOW).state is State.CLAIMED


def test_a_message_of_an_earlier_attempt_claims_nothing():
    again = exports.put_back(claimed(), 1, "queue full", NOW)
    assert again.attempt == 2
    assert exports.claim(again, 1, "m1", NOW) is None
    assert exports.claim(again, 2, "m9", NOW).state is State.CLAIMED


def test_the_wait_doubles_up_to_an_hour():
    record, waits = FOUND, []
    for attempt in range(1, 10):
        record = exports.put_back(exports.claim(record, attempt, "m", NOW), attempt, "full", NOW)
        waits.append(record.queued_at - NOW)
    assert waits[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert waits[-1] == timedelta(hours=1)


def test_a_full_queue_is_not_a_failure():
    record = FOUND
    for attempt in range(1, 20):
        record = exports.put_back(exports.claim(record, attempt, "m", NOW), attempt, "full", NOW)
    assert (record.state, record.failures) == (State.FOUND, 0)


def test_a_transient_failure_is_tried_again_until_the_attempts_are_used():
    record = started()
    record = exports.retry_or_fail(record, 1, Failure.TRANSIENT, "internal error", 2, NOW)
    assert record.state is State.FOUND
    record = exports.start(exports.claim(record, 2, "m", NOW), 2, "operations/2")
    record = exports.retry_or_fail(record, 2, Failure.TRANSIENT, "internal error", 2, NOW)
    assert record.state is State.FAILED
    assert record.next_action


def test_a_permanent_failure_is_not_tried_again():
    record = exports.retry_or_fail(started(), 1, Failure.PERMANENT, "no such band", 3, NOW)
    assert (record.state, record.reason) == (State.FAILED, "no such band")


def test_only_a_failed_export_is_reopened():
    failed = exports.fail(started(), Failure.PERMANENT, "no such band", NOW)
    assert exports.reopen(failed, NOW).state is State.FOUND
    assert exports.reopen(started(), NOW) is None


def test_what_earth_engine_has_in_hand_is_not_superseded():
    assert exports.supersede(claimed(), "late input", NOW) is None
    assert exports.supersede(started(), "late input", NOW) is None
    for state in (State.FOUND, *FINAL - {State.SUPERSEDED}):
        superseded = exports.supersede(replace(FOUND, state=state), "late input", NOW)
        assert (superseded.state, superseded.reason) == (State.SUPERSEDED, "late input")


def test_a_superseded_export_is_renewed_under_another_request_id():
    done = exports.succeed(started(), "{}", 2.5, NOW)
    superseded = exports.supersede(done, "other parameters", NOW)
    wanted = replace(FOUND, run_id="demo-2", replaces="mask-2")
    again = exports.renew(superseded, wanted, NOW)
    assert (again.state, again.attempt, again.failures) == (State.FOUND, 2, 0)
    assert (again.run_id, again.replaces, again.item) == ("demo-2", "mask-2", "{}")
    assert exports.renew(again, wanted, NOW) is None
    assert exports.renew(done, wanted, NOW) is None


def test_a_mask_is_stale_until_its_successor_is_there():
    waiting = replace(FOUND, replaces="mask-0")
    assert [replace(waiting, state=x).is_stale for x in (State.FOUND, State.FAILED)] == [True] * 2
    assert not replace(waiting, state=State.SUCCEEDED).is_stale
    assert not FOUND.is_stale, "nothing is there to be read"


TRANSITIONS = {
    "claim": lambda x: exports.claim(x, 1, "m1", NOW),
    "start": lambda x: exports.start(x, 1, "operations/1"),
    "succeed": lambda x: exports.succeed(x, "{}", 0, NOW),
    "fail": lambda x: exports.fail(x, Failure.PERMANENT, "why", NOW),
    "put_back": lambda x: exports.put_back(x, 1, "why", NOW),
    "retry": lambda x: exports.retry_or_fail(x, 1, Failure.TRANSIENT, "why", 3, NOW),
}
#: Those that take up again what has ended.
SECOND_LIVES = {
    "reopen": lambda x: exports.reopen(x, NOW),
    "supersede": lambda x: exports.supersede(x, "why", NOW),
    "renew": lambda x: exports.renew(x, replace(FOUND, state=State.SKIPPED), NOW),
}


@pytest.mark.parametrize(("name", "state"), [*product(TRANSITIONS, sorted(FINAL))])
def test_nothing_leaves_a_final_state(name, state):
    assert TRANSITIONS[name](replace(FOUND, state=state)) is None


@pytest.mark.parametrize("name", [*TRANSITIONS, *SECOND_LIVES])
def test_a_transition_that_came_twice_does_nothing_the_second_time(name):
    transition = (TRANSITIONS | SECOND_LIVES)[name]
    for state in State:
        first = transition(replace(FOUND, state=state, claimed_by="other"))
        if first is not None and name != "claim":
            assert transition(first) is None


def test_slots_are_held_by_what_is_claimed_or_started():
    assert {claimed().state, started().state} == set(IN_FLIGHT)
