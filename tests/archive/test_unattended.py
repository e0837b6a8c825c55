"""A run with more images than the project may have assets goes to the end by itself."""

import json
import time
from collections import Counter

import ee
import pytest

from cli import stacks
from cli.drive import drive
from emulator.scenes.synthetic import write_metadata_only
from shared import bootstrap
from shared.domain.archive import ArchivePolicy, State
from shared.domain.runs import Limits, MaskParameters, register

from .conftest import BUCKET, MASKS, configuration


@pytest.mark.parametrize(
    ("images", "assets", "factor", "max_bytes"),
    [
        (24, 20, 1, 10**12),
        pytest.param(600, 500, 2_500, 250 * 10**9 // 20, marks=pytest.mark.soak),
        # A mask of a whole tile has 90 MB at 20 m; of 1 km pixels it has 2,500 times fewer.
        pytest.param(3_000, 2_500, 2_500, 250 * 10**9 // 4, marks=pytest.mark.soak),
        pytest.param(12_000, 10_000, 2_500, 250 * 10**9, marks=pytest.mark.soak),
    ],
)
def test_it_runs_to_the_end_within_the_quota(
    tmp_path, publish_models, monkeypatch, images, assets, factor, max_bytes
):
    begun = time.monotonic()
    scenes = write_metadata_only(tmp_path / "region", images)
    (publish_models(tmp_path / "out" / "earth-engine") / "buckets" / BUCKET).mkdir(parents=True)
    policy = ArchivePolicy(bucket=BUCKET, undo_hours=0, per_call=250)
    run = register(
        configuration(
            policy,
            mask=MaskParameters(scale=1000),
            limits=Limits(queued_tasks=min(images // 6, 500)),
        )
    )
    options = ["--metadata-only", "--size-factor", str(factor)]
    options += ["--max-assets", str(assets), "--max-bytes", str(max_bytes)]
    with stacks.start("embedded", tmp_path / "out", [scenes], options) as stack:
        monkeypatch.setattr("cli.drive.LONGEST_PAUSE", 0.3)
        if images < 100:  # whose exports take no time
            monkeypatch.setattr("cli.drive.SHORTEST_PAUSE", 0.05)
        outcome = drive(stack, run, lambda *counts: None)
        for _ in range(200):
            stack.tick("watch_assets")
            stack.deliver()
            states = stack.services.assets.count_by_state("demo")
            if not set(states) - {"ARCHIVED", "LIVE"}:
                break
            time.sleep(0.1)
        records = stack.services.assets.of_run("demo")
        live = {x["id"] for x in ee.data.listAssets(MASKS)["assets"]}
        exports = stack.services.ledger.exports("demo")
        statistics = stacks.run_statistics(stack.earth_engine_url)
    assert outcome.counts == {"SUCCEEDED": images}
    # The emulator's log has every change; and nothing was refused at the limit, room was made.
    assert statistics["usage_changes"] >= images + len(records)
    assert statistics["most_assets"] <= assets
    assert statistics["most_bytes"] <= max_bytes
    assert {(x.failures, x.attempt) for x in exports} == {(0, 1)}
    archived = {x.asset_id for x in records}
    assert {x.state for x in records} == {State.ARCHIVED}
    assert len(archived) == len(records)
    assert not archived & live
    assert len(archived) + len(live) == images
    assert Counter(x.failures for x in records) == {0: len(records)}
    # One to copy, one to delete, and what is shared: comparisons, listings; and of the masks.
    spent = statistics["requests_by_method"]
    shared = spent["value.compute"] + spent["assets.listAssets"]
    assert spent["image.export"] == images + len(records)
    assert spent["assets.delete"] == len(records)
    # Few have nothing to share with.
    assert images < 100 or 2 + shared / len(records) <= 3
    bootstrap.use(None)
    seconds = round(time.monotonic() - begun)
    facts = {x: statistics[x] for x in ("most_assets", "most_bytes", "usage_changes")}
    (tmp_path / "report.json").write_text(
        json.dumps({"images": images, "archived": len(records), "seconds": seconds, **facts})
    )
