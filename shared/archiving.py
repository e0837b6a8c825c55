"""The two phases of archiving: a verified copy, then the deletion; each step may come twice.

A step looks at the world (objects, assets), acts, then changes the record. Whoever is killed in
between leaves a record from which the same step finds what was done, and goes on.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared import second_copies
from shared.domain import archive, copies, sidecars
from shared.domain.archive import LEAVING, ArchivePolicy, Asset, File, State
from shared.domain.copies import WITH_MASKS, WITH_NODATA, CannotBeCopied, Part
from shared.domain.exports import IN_FLIGHT, MASK, Export, Failure
from shared.domain.exports import State as ExportState
from shared.domain.failures import classify
from shared.domain.runs import Run
from shared.errors import PermanentError, TransientError
from shared.handler import log_context, logger
from shared.services import Copy, EndedCopy, Services

#: Assets in one comparison: each reads the pixels of a whole image twice, and an interactive
#: answer has five minutes (guides/usage).
BATCH = 5

#: A copy that is not there after so long has its task looked for: listing all tasks costs one
#: request for every 500, and copies of a long queue take their time.
LOOK_AFTER = timedelta(minutes=15)

#: What a person can do about an asset that could not be archived, and about one that waits.
WAITS = "nothing, if the cause that the reason names goes away: it is tried again with every call"
TELL = "mend the cause that the reason names, then verdure archive run --again"


@dataclass(frozen=True)
class Stock:
    """The assets of a run's destination as Earth Engine lists them, by name."""

    descriptions: Mapping[str, Mapping[str, Any]]

    def unchanged(self, record: Asset) -> str:
        """Return why an asset is not the one of the record, or an empty string."""
        now = self.descriptions.get(record.asset_id)
        if now is None:
            return "Earth Engine has the asset no more"
        if now["updateTime"] != json.loads(record.description)["updateTime"]:
            return f"the asset was changed on {now['updateTime']}, after it was chosen"
        return ""

    def has(self, record: Asset) -> bool:
        """Tell whether an asset is there, whoever made it."""
        return record.asset_id in self.descriptions


class Archiver:
    """One pass over the assets of a run that leave, or have to."""

    def __init__(self, run: Run, services: Services) -> None:
        """Raise PermanentError for a run without an archive."""
        self._run = run
        self._policy = policy_of(run)
        self._services = services

    @property
    def _now(self) -> datetime:
        return self._services.now()

    def plan(self) -> tuple[archive.Quota, list[Asset]]:
        """Return the quota, and which assets would be chosen now."""
        services, run = self._services, self._run
        quota = services.earth_assets.quota(run.configuration.asset_root)
        leaving = services.assets.in_states(run.name, LEAVING)
        left = quota.less(len(leaving), sum(x.size_bytes for x in leaving))
        is_full = quota.is_above(self._policy.high) and left.is_above(self._policy.low)
        if not is_full and (self._policy.max_age_days is None or leaving):
            return quota, []  # for what is old all exports are read: not while others leave
        chosen = archive.to_choose(self.candidates(), leaving, quota, self._policy, self._now)
        if is_full and not chosen and not leaving:
            logger.error("the quota is nearly used up, and no asset of the run can leave")
        return quota, chosen

    def choose(self) -> int:
        """Record which assets leave, and return how many."""
        _, chosen = self.plan()
        return self.take(chosen)

    def take(self, chosen: Sequence[Asset]) -> int:
        """Record assets as leaving, and return how many are."""
        leaving = [x for record in chosen if (x := archive.choose(record, self._now))]
        added = self._services.assets.add(leaving)
        if added < len(leaving):  # the others have been on record
            for record in leaving:
                self._services.assets.change(
                    record.record_id, lambda x: archive.choose(x, self._now)
                )
        return len(leaving)

    def candidates(self) -> list[Asset]:
        """Return the assets that there are, on record or not; whose mask is being redone stays.

        Of masks that a finished season has used it is said when.
        """
        services, run = self._services, self._run
        known = {x.record_id: x for x in services.assets.of_run(run.name)}
        stock = self._stock(known.values())
        exports = self._exports(services.ledger.exports)
        busy, used = _busy(exports), _used(exports)
        new = [record for x in exports if (record := _record(run, x, stock))]
        all_there = [x for x in new if x.record_id not in known]
        all_there += [x for x in known.values() if stock.has(x)]
        left = [x for x in all_there if x.image_id not in busy]
        return [archive.use(x, used.get(x.image_id)) for x in left]

    def start(self) -> int:
        """Start as many copies as one call may have under way; return how many."""
        ledger, run = self._services.assets, self._run
        copying = len(ledger.in_states(run.name, [State.COPYING]))
        free = max(self._policy.per_call - copying, 0)
        chosen = ledger.in_states(run.name, [State.CHOSEN], free) if free else []
        for record in chosen:
            with log_context(asset_id=record.asset_id):
                self._or_spare(record, self._start)
        return len(chosen)

    def _start(self, record: Asset) -> None:
        layout = record.layout or WITH_NODATA
        if not record.files:  # an asset that was restored still has its copy
            for number, (part, uri) in enumerate(self._places(record, layout)):
                self._services.earth_assets.start_copy(record, part, number, uri, layout)
        self._services.assets.change(
            record.record_id, lambda x: archive.start(x, record.attempt, layout, self._now)
        )

    def verify(self) -> int:
        """Compare finished copies with their assets, and tombstone those that are the same."""
        copying = self._services.assets.in_states(self._run.name, [State.COPYING])
        ready: list[tuple[Asset, list[File]]] = []
        overdue: list[Asset] = []
        for record in copying:
            with log_context(asset_id=record.asset_id):
                files = self._or_spare(record, self._files)
            if files:
                ready.append((record, files))
            elif record.changed_at and self._now - record.changed_at > LOOK_AFTER:
                overdue.append(record)
        if overdue:
            self._look_for_tasks(overdue)
        stock = self._stock(x for x, _ in ready) if ready else Stock({})
        same = [x for x in ready if self._is_unchanged(x[0], stock)]
        for i in range(0, len(same), BATCH):
            self._verify_batch(same[i : i + BATCH])
        return len(ready)

    def _is_unchanged(self, record: Asset, stock: Stock) -> bool:
        """Tell whether an asset is still the one that was chosen; spare it if not."""
        if problem := stock.unchanged(record):
            self._spare(record, problem, "nothing: what is there now is another asset")
        return not problem

    def _files(self, record: Asset) -> list[File]:
        """Return a copy's files when all are there, else nothing."""
        found = [self._services.objects.stat(uri) for _, uri in self._places(record)]
        return [x for x in found if x] if all(found) else []

    def _look_for_tasks(self, overdue: Sequence[Asset]) -> None:
        tasks = self._services.earth_assets.copy_tasks()
        vanished = EndedCopy("VANISHED", "")
        for record in overdue:
            for number in range(len(self._places(record))):
                task = tasks.get(archive.request_id(record, number), vanished)
                if task is not None and task.state != "SUCCEEDED":
                    reason = task.error or f"the task is {task.state} and left no file"
                    hopeless = bool(task.error) and classify(reason) is Failure.PERMANENT
                    self._try_again(record, reason, hopeless=hopeless)
                    break

    def _verify_batch(self, batch: Sequence[tuple[Asset, list[File]]]) -> None:
        wanted = [self._copy(record, files) for record, files in batch]
        facts, errors = compared(wanted, self._services)
        for record, files in batch:
            with log_context(asset_id=record.asset_id):
                if error := errors.get(record.record_id):
                    self._try_again(record, f"the copy cannot be read: {error}")
                    continue
                self._or_spare(
                    record, lambda x, files=files: self._judge(x, files, facts[x.record_id])
                )

    def _judge(self, record: Asset, files: Sequence[File], facts: Mapping[str, Any]) -> None:
        """Tombstone an asset whose copy has passed; have it copied again, or spare it, if not."""
        description = json.loads(record.description)
        if problem := grid_problem(description, facts["grids"]):
            self._try_again(record, problem)
            return
        different = {name: int(n) for name, n in facts["different"].items() if n}
        if different:
            reason = f"pixels of the copy that differ, by band: {different}"
            # The first copy has one value for masked pixels, which a valid one may have too.
            self._try_again(record, reason, WITH_MASKS, hopeless=record.layout == WITH_MASKS)
            return
        folder = self._policy.drive
        second = second_copies.put(files, folder, self._services) if folder else []
        if self._files(record) != list(files):
            self._try_again(record, "the copy was changed while it was compared")
            return
        places = self._places(record)
        parts = [(part, file) for (part, _), file in zip(places, files, strict=True)]
        text = record.item  # of what leaves again it is as it was, in Drive too
        if list(record.files[:-1]) != list(files):
            # Dated by the copy's start: written again after a crash, it is the same to the letter.
            begun = record.changed_at or self._now
            text = json.dumps(sidecars.item(record, parts, facts["statistics"], begun))
        sidecar = self._services.objects.write(
            self._sidecar(record), text.encode(), "application/geo+json"
        )
        if folder:
            second.append(second_copies.put_text(sidecar, text, folder, self._services))
        window = self._policy.undo_window
        self._services.assets.change(
            record.record_id,
            lambda x: archive.tombstone(
                x, record.attempt, [*files, sidecar], second, text, window, self._now
            ),
        )

    def delete(self) -> int:
        """Delete assets whose undo window is over and whose copies are untouched."""
        ledger, run = self._services.assets, self._run
        due = ledger.in_states(run.name, [State.DELETING])
        tombstoned = ledger.in_states(run.name, [State.TOMBSTONED])
        due += [x for x in tombstoned if archive.is_due(x, self._now)]
        if not due:
            return 0
        under_way = self._exports(self._services.ledger.in_flight)
        busy = _busy(under_way) | _being_read(under_way)
        free = [x for x in due if x.image_id not in busy][: self._policy.per_call]
        stock = self._stock(free)
        for record in free:
            with log_context(asset_id=record.asset_id):
                self._or_spare(record, lambda x: self._delete(x, stock))
        return len(free)

    def _delete(self, record: Asset, stock: Stock) -> None:
        services = self._services
        if stock.has(record):
            problem = stock.unchanged(record) or copy_problem(record, services)
            problem = problem or second_copies.problem_of(record, services)
            if problem:
                self._spare(record, problem, TELL)
                return
        doomed = services.assets.change(record.record_id, lambda x: archive.doom(x, self._now))
        if doomed is None and record.state is not State.DELETING:
            return  # somebody has just kept it
        if stock.has(record):
            services.earth_assets.delete(record.asset_id)
        services.assets.change(record.record_id, lambda x: archive.bury(x, self._now))

    def catalogue(self) -> int:
        """Write the STAC collection of each folder of copies; return how many."""
        records = [x for x in self._services.assets.of_run(self._run.name) if x.files]
        by_place: dict[str, list[Asset]] = {}
        for record in records:  # …/<folder>/<image id>/<record id>.json
            by_place.setdefault(record.files[-1].uri.rsplit("/", 2)[0], []).append(record)
        for place, of_folder in by_place.items():
            folder = sidecars.collection_id(of_folder[0].asset_id)
            text = json.dumps(sidecars.collection(folder, of_folder))
            self._services.objects.write(
                f"{place}/collection.json", text.encode(), "application/json"
            )
        return len(by_place)

    # What the steps share.

    def _exports(self, of_queue: Callable[[str], Sequence[Export]]) -> list[Export]:
        """Return exports of masks and maps."""
        queues = (self._run.name, self._run.products_queue)  # maps of earlier versions count too
        return [export for queue in queues for export in of_queue(queue)]

    def _stock(self, records: Iterable[Asset]) -> Stock:
        """List the run's collections, and the folders of what was imported."""
        folders = {x.asset_id.rpartition("/")[0] for x in records}
        listed = [
            description
            for folder in sorted(folders | set(self._run.collections))
            for description in self._services.earth_assets.describe(folder)
        ]
        return Stock({description["name"]: description for description in listed})

    def _places(self, record: Asset, layout: str = "") -> list[tuple[Part, str]]:
        description = json.loads(record.description)
        found = copies.parts(description, layout or record.layout)
        if record.files:  # where they were put then, whatever the policy says now
            uris = [file.uri for file in record.files[:-1]]
            return list(zip(found, uris, strict=True))
        return [(part, f"{self._base(record)}{part.suffix}.tif") for part in found]

    def _base(self, record: Asset) -> str:
        name = copies.base_name(self._policy.prefix, record.asset_id, record.record_id)
        attempt = f"-{record.attempt}" if record.attempt > 1 else ""
        return f"gs://{self._policy.bucket}/{name}{attempt}"

    def _sidecar(self, record: Asset) -> str:
        return record.files[-1].uri if record.files else f"{self._base(record)}.json"

    def _copy(self, record: Asset, files: Sequence[File]) -> Copy:
        description = json.loads(record.description)
        uris = tuple(file.uri for file in files)
        return Copy(record.record_id, record.asset_id, description, record.layout, uris)

    def _or_spare(self, record: Asset, step: Any) -> Any:
        """Take a step; what would fail again leaves the asset where it is, with the reason."""
        try:
            return step(record)
        except (PermanentError, CannotBeCopied) as error:
            self._spare(record, str(error), TELL)
        except TransientError as error:
            logger.warning("later: %s", error)
            reason = str(error)
            self._services.assets.change(record.record_id, lambda x: archive.note(x, reason, WAITS))
        return None

    def _try_again(
        self, record: Asset, reason: str, layout: str = "", hopeless: bool = False
    ) -> None:
        """Have the copy made anew, unless that would be in vain."""
        if hopeless or record.failures + 1 >= self._policy.attempts:
            self._spare(record, reason, TELL)
            return
        logger.warning("copied again: %s", reason)
        self._services.assets.change(
            record.record_id,
            lambda x: archive.copy_again(
                x, record.attempt, layout or record.layout, reason, self._now
            ),
        )

    def _spare(self, record: Asset, reason: str, next_action: str) -> None:
        logger.error("the asset stays: %s", reason)
        self._services.assets.change(
            record.record_id, lambda x: archive.spare(x, reason, next_action, self._now)
        )


def policy_of(run: Run) -> ArchivePolicy:
    """Return the policy of a run's archive, or raise PermanentError if it has none."""
    if run.configuration.archive is None:
        raise PermanentError(f"run {run.name} has no archive")
    return run.configuration.archive


def compared(
    wanted: Sequence[Copy], services: Services
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the facts, or the error, of each comparison, by record id.

    One file that cannot be read spoils the answer for all: then each is asked for alone. Raises
    if none can be had and Earth Engine may be the cause.
    """
    try:
        return services.earth_assets.compare(wanted), {}
    except (PermanentError, TransientError) as error:
        if len(wanted) == 1:
            return {}, {wanted[0].record_id: str(error)}
        is_transient = isinstance(error, TransientError)
        first = error
    each = [compared([copy], services) for copy in wanted]
    facts = {key: value for found, _ in each for key, value in found.items()}
    if is_transient and not facts:
        raise first
    return facts, {key: value for _, errors in each for key, value in errors.items()}


def copy_problem(record: Asset, services: Services) -> str:
    """Return in what a copy is not the one that was verified, or an empty string."""
    return archive.change_of(record.files, lambda file: services.objects.stat(file.uri))


def _busy(exports: Sequence[Export]) -> set[str]:
    """Return what is being made, perhaps in place of what is there."""
    return {x.image_id for x in exports if x.state in (*IN_FLIGHT, ExportState.FOUND)}


def _being_read(in_flight: Sequence[Export]) -> set[str]:
    """Return the images whose masks maps are being made of."""
    return {image_id for x in in_flight if x.kind != MASK for image_id in x.inputs}


def _used(exports: Sequence[Export]) -> dict[str, datetime]:
    """Return the images whose masks a map of a finished season was made of, and when."""
    maps = [x for x in exports if x.kind != MASK and not x.in_season]
    return {
        image_id: x.ended_at
        for x in maps
        if x.state is ExportState.SUCCEEDED and x.ended_at is not None
        for image_id in x.inputs
    }


def _record(run: Run, export: Export, stock: Stock) -> Asset | None:
    """Return the record of an output that is not on record, if it is the one that is there."""
    if export.state is not ExportState.SUCCEEDED:
        return None
    description = stock.descriptions.get(run.place_of(export))
    if description is None or description["properties"].get("run_key") != export.export_id:
        return None
    return record_of(run, export, description, int(description["sizeBytes"]))


def record_of(run: Run, export: Export, description: Mapping[str, Any], size_bytes: int) -> Asset:
    """Return the record of an output that is live, as Earth Engine describes it."""
    asset_id = run.place_of(export)
    return Asset(
        record_id=archive.record_id(asset_id, export.export_id),
        run=run.name,
        asset_id=asset_id,
        image_id=export.image_id,
        version=export.export_id,
        sensed_at=export.sensed_at,
        description=json.dumps(description),
        size_bytes=size_bytes,
    )


def grid_problem(description: Mapping[str, Any], grids: Sequence[Mapping[str, Any]]) -> str:
    """Return in what the bands of a copy are not on the asset's grid, or an empty string."""
    for band, found in zip(description["bands"], grids, strict=True):
        size = band["grid"]["dimensions"]
        wanted = [size["width"], size["height"]]
        if band["id"] != found["id"] or wanted != list(found["dimensions"]):
            return (
                f"band {found['id']} of the copy has {found['dimensions']} pixels, expected "
                f"{band['id']} with {wanted}"
            )
    return ""
