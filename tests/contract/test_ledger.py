"""What shared.services.Ledger promises, held on every stack."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from shared.adapters.embedded import Database, SqliteLedger
from shared.domain import exports
from shared.domain.exports import Export, State
from shared.domain.runs import RunConfiguration, RunState, register
from shared.errors import NotFound

#: Fewer than the attempts of a transaction (5), each of which lets one of them through.
CLAIMANTS = 4
NOW = datetime(2018, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)
CONFIGURATION = RunConfiguration(
    name="demo",
    region={"type": "Polygon", "coordinates": [[[14, 45], [15, 45], [15, 46], [14, 45]]]},
    start=date(2018, 3, 1),
    end=date(2018, 11, 1),
    destination="projects/demo-project/assets/masks",
)


@pytest.fixture(params=["embedded", "emulators"])
def ledger(request, tmp_path, fresh_project):
    if request.param == "embedded":
        database = Database(tmp_path / "ledger.sqlite")
        yield SqliteLedger(database)
        database.close()
        return
    request.getfixturevalue("firestore_and_pubsub")
    from shared.adapters.firestore import FirestoreLedger

    yield FirestoreLedger(fresh_project)


def export(number, **changes):
    record = Export(
        export_id=f"mask-{number}",
        run="demo",
        run_id="demo-1",
        image_id=f"image-{number}",
        acquisition="a",
        sensed_at=NOW - timedelta(days=number),
        platform="Sentinel-2A",
        tile="33TVL",
        footprint='{"type": "Polygon"}',
        grid=("EPSG:32633", 20),
        queued_at=NOW - timedelta(seconds=number),
    )
    return replace(record, **changes)


def test_a_run_is_recorded_once_and_found_again(ledger):
    run = register(CONFIGURATION)
    ledger.add_run(run)
    ledger.add_run(run)
    assert ledger.run(run.run_id) == run
    assert ledger.active_runs() == [run]


def test_a_new_version_supersedes_the_old_one_and_leaves_other_runs_alone(ledger):
    old, other = register(CONFIGURATION), register(replace(CONFIGURATION, name="other"))
    new = register(replace(CONFIGURATION, end=date(2018, 12, 1)))
    for run in (old, other, new):
        ledger.add_run(run)
    assert {run.run_id for run in ledger.active_runs()} == {new.run_id, other.run_id}
    assert ledger.run(old.run_id).state is RunState.SUPERSEDED
    ledger.add_run(old)
    assert {run.run_id for run in ledger.active_runs()} == {old.run_id, other.run_id}


def test_a_failed_run_keeps_its_reason_until_it_is_registered_again(ledger):
    run = register(CONFIGURATION)
    ledger.add_run(run)
    ledger.fail_run(run.run_id, "no such collection")
    assert ledger.active_runs() == []
    assert ledger.run(run.run_id).reason == "no such collection"
    ledger.add_run(run)
    assert ledger.active_runs() == [run]


def test_an_unknown_run_says_so(ledger):
    with pytest.raises(NotFound, match="demo-9"):
        ledger.run("demo-9")


def test_what_is_added_comes_back_the_same(ledger):
    record = export(1, claimed_at=NOW, failure=exports.Failure.QUOTA, item='{"ä": [1]}')
    assert ledger.add([record]) == 1
    assert ledger.get(["mask-1", "mask-2"]) == {"mask-1": record}


def test_adding_again_changes_nothing(ledger):
    ledger.add([export(1), export(2)])
    assert ledger.add([export(2, state=State.SKIPPED), export(3)]) == 1
    assert ledger.get(["mask-2"])["mask-2"].state is State.FOUND


def test_more_records_than_one_commit_holds(ledger):
    records = [export(i) for i in range(600)]
    assert ledger.add(records) == 600
    assert ledger.count_by_state("demo") == {"FOUND": 600}
    assert len(ledger.exports("demo")) == 600


def test_a_change_is_written_and_returned(ledger):
    ledger.add([export(1)])
    changed = ledger.change("mask-1", lambda x: exports.claim(x, 1, "m1", NOW))
    assert changed.state is State.CLAIMED
    assert ledger.get(["mask-1"])["mask-1"] == changed


def test_a_transition_without_effect_writes_nothing(ledger):
    ledger.add([export(1)])
    assert ledger.change("mask-1", lambda x: None) is None
    assert ledger.get(["mask-1"])["mask-1"] == export(1)


def test_a_change_of_what_is_not_there(ledger):
    with pytest.raises(NotFound, match="mask-7"):
        ledger.change("mask-7", lambda x: x)


def test_of_many_claimants_one_wins(ledger):
    ledger.add([export(1)])

    def claim(message_id):
        return ledger.change("mask-1", lambda x: exports.claim(x, 1, message_id, NOW))

    with ThreadPoolExecutor(CLAIMANTS) as pool:
        won = [x for x in pool.map(claim, [f"m{i}" for i in range(CLAIMANTS)]) if x is not None]
    assert len(won) == 1
    assert ledger.get(["mask-1"])["mask-1"] == won[0]


def test_an_error_inside_a_change_leaves_the_record_alone(ledger):
    ledger.add([export(1)])

    def fail(record):
        raise RuntimeError("as asked")

    with pytest.raises(RuntimeError):
        ledger.change("mask-1", fail)
    assert ledger.get(["mask-1"])["mask-1"] == export(1)
    assert ledger.change("mask-1", lambda x: exports.claim(x, 1, "m", NOW)) is not None


def test_the_queue_is_in_order_and_only_what_is_due(ledger):
    ledger.add(
        [
            *(export(i) for i in (1, 3, 2)),
            export(4, queued_at=NOW + timedelta(seconds=1)),
            export(5, state=State.SKIPPED),
            export(6, run="other"),
        ]
    )
    assert [x.export_id for x in ledger.waiting("demo", NOW, 10)] == ["mask-3", "mask-2", "mask-1"]
    assert [x.export_id for x in ledger.waiting("demo", NOW, 1)] == ["mask-3"]


def test_exports_queued_at_one_instant_keep_one_order(ledger):
    ledger.add([export(i, queued_at=NOW) for i in (2, 3, 1)])
    assert [x.export_id for x in ledger.waiting("demo", NOW, 2)] == ["mask-1", "mask-2"]


def test_what_holds_a_slot(ledger):
    states = [State.CLAIMED, State.STARTED, State.FOUND, State.SUCCEEDED, State.FAILED]
    ledger.add([export(i, state=state) for i, state in enumerate(states)])
    ledger.add([export(9, run="other", state=State.STARTED)])
    assert {x.export_id for x in ledger.in_flight("demo")} == {"mask-0", "mask-1"}
    assert ledger.count_in_flight("demo") == 2
    assert ledger.count_by_state("demo") == {str(state): 1 for state in states}


def test_exports_come_in_the_order_of_sensing(ledger):
    ledger.add([export(i) for i in (1, 3, 2)])
    assert [x.export_id for x in ledger.exports("demo")] == ["mask-3", "mask-2", "mask-1"]


def test_a_setting_is_kept_and_replaced(ledger):
    assert ledger.settings() == {}
    ledger.keep_setting("request-ids", '{"same": true}')
    ledger.keep_setting("concurrency", "2")
    ledger.keep_setting("concurrency", "3")
    assert ledger.settings() == {"concurrency": "3", "request-ids": '{"same": true}'}


def test_the_exports_of_a_tile_and_whether_one_is_open(ledger):
    done = export(1, state=State.SUCCEEDED)
    other = export(2, tile="33TVM")
    ledger.add([done, other, export(3, run="demo.products")])
    assert ledger.of_tile("demo", "33TVL") == [done]
    assert not ledger.is_tile_open("demo", "33TVL")
    assert ledger.is_tile_open("demo", "33TVM")
    assert not ledger.is_tile_open("demo", "33TVN")
