"""All labelled pixels that a model is built from, whatever their source."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emulator.scenes.synthetic import write_region
from model.build import UnusableSamples
from model.labels import read_labels
from model.samples import Samples, joined
from model.sampling import Choice, Track, sample
from model.simulated import simulated

#: The seed of simulated pixels.
SIMULATED_SEED = 1


@dataclass(frozen=True)
class Wanted:
    """Which sources: files of labels, scene folders each with its references, kinds of region.

    `simulated` is a number of pixels of `model.simulate`; `work` keeps what was sampled.
    """

    labels: tuple[Path, ...] = ()
    scenes: tuple[tuple[Path, Path], ...] = ()
    synthetic: tuple[str, ...] = ()
    simulated: int = 0
    choice: Choice = field(default_factory=Choice)
    work: Path = Path("out/sampled")


def gather(wanted: Wanted, bands: tuple[str, ...], track: Track) -> tuple[Samples, str]:
    """Return the pixels of all sources, and in words which these are.

    Files of labels give as many pixels of each class of each scene as scene folders do. Raises
    UnusableSamples if a source has not all `bands`: no pixel is left out in silence.
    """
    parts = []
    for path in wanted.labels:
        thinned = read_labels(path).thinned(wanted.choice.per_class, wanted.choice.seed)
        parts.append((str(path), thinned))
    for scenes, references in wanted.scenes:
        sampled = sample(scenes, references, wanted.work, wanted.choice, track)
        parts.append((f"{scenes} with {references}", sampled))
    for kind in wanted.synthetic:
        parts.append((f"synthetic region {kind}", _region(kind, wanted, track)))
    if wanted.simulated:
        pixels = simulated(wanted.simulated, SIMULATED_SEED)
        parts.append((f"model.simulate, seed {SIMULATED_SEED}", pixels))
    if not parts:
        raise UnusableSamples(
            "there are no pixels to learn from; give --labels, --scenes with --reference, "
            "--synthetic or --simulated"
        )
    for name, samples in parts:
        if missing := [band for band in bands if band not in samples.reflectance]:
            raise UnusableSamples(f"{name}: bands missing: {', '.join(missing)}")
    text = "; ".join(f"{len(samples):,} pixels of {name}" for name, samples in parts)
    return joined([samples for _, samples in parts]), text


def _region(kind: str, wanted: Wanted, track: Track) -> Samples:
    folder = wanted.work / f"region-{kind}"
    try:
        scenes = write_region(folder, kind=kind)
    except ValueError as problem:
        raise UnusableSamples(f"--synthetic: {problem}") from problem
    sampled = sample(scenes, folder / "truth", wanted.work, wanted.choice, track)
    # Regions of other kinds have images of the same names.
    names = [f"{kind}/{name}" for name in sampled.scenes]
    return Samples(sampled.reflectance, sampled.background, sampled.classes, np.array(names))
