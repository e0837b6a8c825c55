"""What shared.services.AssetLedger promises, held on every stack."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.embedded import Database
from shared.adapters.embedded_assets import SqliteAssets
from shared.domain import archive
from shared.domain.archive import Asset, File, State
from shared.errors import NotFound

NOW = datetime(2018, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=["embedded", "emulators"])
def assets(request, tmp_path, fresh_project):
    if request.param == "embedded":
        database = Database(tmp_path / "ledger.sqlite")
        yield SqliteAssets(database)
        database.close()
        return
    request.getfixturevalue("firestore_and_pubsub")
    from shared.adapters.firestore_assets import FirestoreAssets

    yield FirestoreAssets(fresh_project)


def asset(number, **changes):
    record = Asset(
        record_id=f"asset-{number}",
        run="demo",
        asset_id=f"projects/p/assets/m/{number}",
        image_id=str(number),
        version="mask-1",
        sensed_at=NOW - timedelta(days=number),
        description='{"bands": []}',
        size_bytes=5,
        changed_at=NOW - timedelta(hours=number),
    )
    return replace(record, **changes)


def test_records_are_added_once_and_come_back_as_they_were(assets):
    full = asset(
        1,
        state=State.TOMBSTONED,
        files=(File("gs://b/x", 3, "AAAAAA==", 2**60),),
        delete_after=NOW,
        read_at=NOW,
    )
    assert assets.add([full, asset(2)]) == 2
    assert assets.add([replace(full, size_bytes=9), asset(3)]) == 1
    assert assets.get(["asset-1", "asset-9"]) == {"asset-1": full}
    assert assets.of_run("demo") == [asset(3), asset(2), full]
    assert assets.of_run("other") == []


def test_a_change_is_one_transaction_and_none_changes_nothing(assets):
    assets.add([asset(1)])
    changed = assets.change("asset-1", lambda x: archive.choose(x, NOW))
    assert changed is not None
    assert changed.state is State.CHOSEN
    assert assets.change("asset-1", lambda x: archive.choose(x, NOW)) is None
    assert assets.get(["asset-1"])["asset-1"] == changed
    with pytest.raises(NotFound, match="asset-9"):
        assets.change("asset-9", lambda x: x)


def test_states_are_counted_and_listed_longest_first(assets):
    assets.add([asset(1), asset(2, state=State.CHOSEN), asset(3, state=State.CHOSEN)])
    assets.add([asset(4, state=State.ARCHIVED), asset(5, state=State.CHOSEN, run="other")])
    assert assets.count_by_state("demo") == {"LIVE": 1, "CHOSEN": 2, "ARCHIVED": 1}
    both = [State.CHOSEN, State.ARCHIVED]
    assert [x.record_id for x in assets.in_states("demo", both)] == [
        "asset-4",
        "asset-3",
        "asset-2",
    ]
    assert [x.record_id for x in assets.in_states("demo", both, 1)] == ["asset-4"]
