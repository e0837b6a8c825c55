"""Builds the models that are part of the project: `python -m model.deliver [OUT]`.

Takes some ten minutes on two cores: each forest is learnt four times, three of them to be judged.
"""

import json
import sys
import tempfile
from pathlib import Path

from model.forest import ForestSize
from model.purposes import purpose_of
from model.regions import regions
from model.samples import joined
from model.simulated import simulated
from model.train import build
from shared.models import FOLDER, NAMES

#: Simulated pixels, and the seed that draws them.
SIMULATED, SEED = 200_000, 1

#: From which probability a pixel is cloud: a share of one half, chosen on regions of seeds that
#: nothing was learnt from. Calibration is of single pixels, of which less is known than of those
#: whose surroundings count: it gives them too low a probability.
CLOUD_CUTOFF = 0.38


def main(out: Path) -> None:
    """Write both models to a folder and print how a cross-validation judges them."""
    with tempfile.TemporaryDirectory() as work:
        drawn = regions(Path(work))
    samples = joined([simulated(SIMULATED, SEED), drawn])
    text = (
        f"{SIMULATED:,} simulated pixels (model.simulate, seed {SEED}), {len(drawn):,} pixels of "
        "synthetic regions (model.regions); no real image"
    )
    for name in NAMES:
        built = build(name, samples, ForestSize(), text, out, purpose_of("balanced"))
        path = out / f"{name}.json"
        content = json.loads(path.read_text())
        content["cutoffs"]["cloud"] = CLOUD_CUTOFF
        path.write_text(json.dumps(content, indent=1) + "\n")
        sys.stdout.write(json.dumps({"model": built.model.asset_name, **built.scores}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
