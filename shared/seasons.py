"""Which maps of a run's tiles are to be made now: the ledger's side of a season's end."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from shared import recording
from shared.domain import products
from shared.domain.exports import Export
from shared.domain.runs import Run, RunState
from shared.services import Services


def record_ready(run: Run, masks: Iterable[Export], services: Services) -> int:
    """Record the maps of tiles that are ready; return how many are recorded, again or anew.

    Ready is a tile whose masks are all final, once the run's period is over. `masks` are all
    records of some tiles' masks. Maps made of other masks than there are now give way.
    """
    if not _has_products(run) or services.now() < run.configuration.last_instant:
        return 0
    tiles = _by_tile(masks).values()
    return sum(_record(run, tile, services) for tile in tiles if products.is_settled(tile))


def record_now(run: Run, services: Services) -> int:
    """Record the maps of all tiles of a run, of the masks that there are; return how many.

    They are in-season estimates where more is to come, and give way to the maps of `record_ready`.
    """
    tiles = _by_tile(services.ledger.exports(run.name)).values()
    return sum(_record(run, tile, services) for tile in tiles) if _has_products(run) else 0


def _has_products(run: Run) -> bool:
    return run.configuration.products is not None and run.state is RunState.ACTIVE


def _by_tile(masks: Iterable[Export]) -> dict[str, list[Export]]:
    tiles: dict[str, list[Export]] = defaultdict(list)
    for record in masks:
        tiles[record.tile].append(record)
    return tiles


def _record(run: Run, masks: Sequence[Export], services: Services) -> int:
    """Bring the records of one tile's maps to what they should be made of."""
    wanted = products.wanted(run, masks, services.now())
    known = services.ledger.of_tile(run.products_queue, masks[0].tile)
    recorded = 0
    for kind in dict.fromkeys(x.kind for x in wanted):
        history: dict[str, list[Export]] = defaultdict(list)
        for record in known:
            if record.kind == kind:
                history[record.image_id].append(record)
        lacking = recording.missing([x for x in wanted if x.kind == kind], history, services)
        if lacking:
            recorded += recording.record(run, lacking, history, _what_changed, services)[0]
    return recorded


def _what_changed(before: Export, now: Export) -> str:
    if before.in_season and not now.in_season:
        return "an in-season estimate, and the season is over"
    added = len(set(now.inputs) - set(before.inputs))
    lost = len(set(before.inputs) - set(now.inputs))
    if added or lost:
        return f"of its masks {added} are new and {lost} gone"
    return "masks were made again, or the run has other parameters by now"
