"""A mask does not leave while a map is made of it."""

from dataclasses import replace

from shared import reading
from shared.domain.exports import State as ExportState
from shared.domain.runs import ProductParameters

from .conftest import POLICY, WORLD
from .test_reading import END, START
from .test_restoring import use_quota


def test_what_a_map_reads_stays_until_it_is_made(start_archive):
    with start_archive() as archive:
        run = archive.register(replace(POLICY, low=0.1), products=ProductParameters())
        archive.masks(2)
        read, _ = archive.services.ledger.exports("demo")
        a_map = replace(
            read,
            export_id="season-1",
            run=run.products_queue,
            image_id="33TVL_2018",
            inputs=(read.image_id,),
            state=ExportState.STARTED,
        )
        archive.services.ledger.add([a_map])
        use_quota(archive, 90)
        for _ in range(4):
            archive.step()
            archive.wait_for_tasks()
        assert archive.states() == {"TOMBSTONED": 1, "ARCHIVED": 1}
        [kept] = archive.listed()
        assert kept.endswith(read.image_id)
        # A map that begins now reads the copies of both.
        places = reading.places(run, archive.services, WORLD, START, END)
        assert [bool(x.uris) for x in places] == [True, True]

        archive.services.ledger.change(
            a_map.export_id, lambda x: replace(x, state=ExportState.SUCCEEDED)
        )
        archive.until_still()
        assert archive.listed() == set()
