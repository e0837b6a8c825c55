"""The model card: what the models are, how well they do, and where they fail."""

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from emulator.trees import Forest
from model.baselines import (
    DEFAULT,
    PRESET_ORIGINAL,
    PROBABILITY,
    QA60,
    S2CLOUDLESS,
    S2CLOUDLESS_PROBABILITY,
    S2CLOUDLESS_SMOOTHED,
    SIX,
    SIX_PROBABILITY,
)
from model.build import Judged
from model.compare import Compared, Comparison, baselines
from model.curves import (
    Probability,
    calibration,
    draw_calibration,
    draw_roc,
    draw_size,
    probability,
)
from model.forest import ForestSize
from model.intervals import MEASURES, RESAMPLES, Difference, count, measures
from model.judge import confusion, scores
from model.pixels import Array
from model.real import Flagged
from model.samples import Samples
from model.sheets import write_sheet
from model.simulated import simulated
from model.study import study
from model.train import calibrated, classes
from shared import models
from shared.domain.classes import CLASS_NAMES, CLEAR, CLOUDY, NODATA, SHADOW, SNOW
from shared.domain.runs import MASK_ALGORITHM
from shared.models import CloudModel

#: Simulated pixels that models are studied on, and their seed, with which none was trained.
PIXELS, SEED = 60_000, 4711

#: Scenes shown as the worst of the comparison.
WORST = 6

#: Features in the tables, baselines beside the default in each region.
LISTED, BEST = 12, 3

#: Characters in a line of prose.
WIDTH = 100

#: What ESA says of QA60's making.
GUIDE = "https://sentinel.esa.int/web/sentinel/technical-guides/sentinel-2-msi/level-1c/cloud-masks"

#: Measures in the table of the comparison, by their headings.
_SHOWN = {
    "cloud_precision": "cloud precision",
    "cloud_recall": "cloud recall",
    "cloud_f1": "cloud F1",
    "false_cloud": "false cloud",
    "shadow_f1": "shadow F1",
    "snow_f1": "snow F1",
}

#: What is counted as right by model.study.
_ACCURACIES = {"cloud": "cloud or not", "classes": "five classes"}


@dataclass(frozen=True)
class Studied:
    """A model on simulated pixels that it has not seen, and what its size and features are worth.

    `study` is of forests learnt anew, as model.study does it.
    """

    model: CloudModel
    content: dict[str, Any]  # the model's file
    scores: dict[str, float]
    confusion: Array
    study: dict[str, Any]


def studied(name: str, pixels: int = PIXELS) -> Studied:
    """Judge a published model on fresh simulated pixels, each by itself."""
    model = models.load(name)
    content = json.loads((model.folder / f"{name}.json").read_text())
    samples = simulated(pixels, SEED)
    found, truth = pixel_classes(model, samples), samples.classes
    size = ForestSize(content["trees"], content["leaves"])
    return Studied(
        model,
        content,
        scores(found, truth),
        confusion(found, truth),
        study(samples, model.bands, size),
    )


def pixel_classes(model: CloudModel, samples: Samples) -> Array:
    """Return the classes that a model's forest gives pixels, without their neighbours."""
    forest = Forest.from_text(model.trees(), "card")
    rows = samples.features(model.bands)[:, [model.features.index(x) for x in forest.names]]
    judged = Judged(forest.output("MULTIPROBABILITY", rows), samples.classes, samples.scenes)
    return classes(judged, calibrated(judged, list(model.calibration)), model.cutoffs)


def write_card(
    path: Path,
    today: date,
    every: Sequence[Studied],
    found: Comparison,
    real: Sequence[Flagged],
) -> None:
    """Write the card, and its pictures in a folder of its name beside it."""
    pictures = path.with_suffix("")
    known = {
        name: one
        for name, band in (
            ("13 bands", PROBABILITY),
            (SIX, SIX_PROBABILITY),
            (S2CLOUDLESS, S2CLOUDLESS_PROBABILITY),
        )
        if (one := probability(found.scenes, band)) is not None
    }
    draw_roc(known, pictures / "curves.png")
    draw_calibration(known, pictures / "calibration.png")
    draw_size({one.model.name: one.study for one in every}, pictures / "size.png")
    write_sheet(found, pictures / "scenes.png")
    path.write_text(card(today, every, found, real, known, pictures.name))


def card(
    today: date,
    every: Sequence[Studied],
    found: Comparison,
    real: Sequence[Flagged],
    known: dict[str, Probability],
    pictures: str,
) -> str:
    """Return the card's text (Markdown); `pictures` is the folder of its pictures."""
    parts = [
        *_head(today, every),
        *_purpose(every),
        *_training(every),
        *_features(every, pictures),
        *_simulated(every),
        *_comparison(found),
        f"![Scenes: truth and masks]({pictures}/scenes.png)",
        *_probabilities(known, pictures),
        *_real(real),
        *_failures(found),
    ]
    return "\n\n".join(parts) + "\n"


def _head(today: date, every: Sequence[Studied]) -> list[str]:
    names = " and ".join(f"`{one.model.asset_name}`" for one in every)
    return [
        "# Model card: the cloud mask",
        _prose(f"""
            Made by `make model-card` on {today:%-d %B %Y}, of {names} and mask algorithm
            `{MASK_ALGORITHM}`. To change it, change `model/card.py` and make it anew.
        """),
        _prose("""
            The models are random forests that say how likely a pixel of Sentinel-2 Level-1C is
            clear, cloud, shadow, snow or thin cloud. `cloud-13` sees all bands, `cloud-6` those
            that most sensors have (B2 B3 B4 B8 B11 B12). The mask adds neighbours, the direction of
            the sun and calibration ([architecture.md](architecture.md#the-cloud-mask)).
        """),
    ]


def _purpose(every: Sequence[Studied]) -> list[str]:
    rows = [
        (one.model.name, _purpose_of(one.content), *one.model.cutoffs.values()) for one in every
    ]
    heads = ("model", "purpose", *(name.replace("_", " ") for name in every[0].model.cutoffs))
    return [
        "## What it is for, and what not",
        _prose("""
            For masking clouds and their shadows before time series of vegetation are made of many
            dates; what a cloud missed is held to cost beside a clear pixel lost is said below.
        """),
        _prose("""
            Not for counting clouds or measuring their depth; not for a single date that matters,
            unless somebody looks at it; not for water, whose shadows are not told apart; not for
            surface reflectance (Level-2A); not for other sensors before it is judged on them.
        """),
        _prose("""
            Cut-offs: of the calibrated probability for cloud, else of the forest's share; the less
            is known of a cloud that throws a shadow, the surer it must be.
        """),
        _table(heads, rows),
    ]


def _purpose_of(content: dict[str, Any]) -> str:
    purpose = content.get("purpose")
    if not purpose:
        return "vegetation"
    return f"{purpose['name']}: {purpose['cost_ratio']:g} clear pixels lost for a cloud missed"


def _training(every: Sequence[Studied]) -> list[str]:
    heads = ("model", "pixels", "trees", "leaves of a tree, at most", "trained on")
    rows = [
        (
            one.model.name,
            f"{one.content['pixels']:,}",
            one.content["trees"],
            one.content["leaves"],
            one.model.trained_on,
        )
        for one in every
    ]
    return [
        "## What it was trained on",
        _table(heads, rows),
        _prose("""
            How light is simulated, and how far simulated pixels are from real ones:
            [simulated-light.md](simulated-light.md).
        """),
    ]


def _features(every: Sequence[Studied], pictures: str) -> list[str]:
    first = every[0].study
    parts = [
        "## Features, and the size of the forest",
        _prose(f"""
            Of forests learnt anew from {first["learnt"]:,} simulated pixels and judged on
            {first["judged"]:,} of other scenes. What each feature is: `shared/earth/features.py`.
        """),
    ]
    for one in every:
        ranked = one.study["importances"]
        rows = [(x["feature"], x["gini"], x["permutation"]) for x in ranked[:LISTED]]
        others = ", ".join(f"{x['feature']} {x['gini']:.3f}" for x in ranked[LISTED:])
        heads = (f"feature of `{one.model.name}`", "Gini", "accuracy lost when shuffled")
        parts += [_table(heads, rows), _prose(f"Then (Gini): {others}.")]
    trees = [
        (one.model.name, _ACCURACIES[kind], *(row[kind] for row in one.study["by_trees"]))
        for one in every
        for kind in _ACCURACIES
    ]
    counts = [row["trees"] for row in first["by_trees"]]
    heads = ("model", "accuracy, by number of trees", *counts)
    picture = f"![Accuracy against number of trees and of features]({pictures}/size.png)"
    return [*parts, _table(heads, trees), picture]


def _simulated(every: Sequence[Studied]) -> list[str]:
    parts = [
        "## On simulated pixels that it has not seen",
        _prose(f"""
            {every[0].confusion.sum():,} pixels of `model.simulate` (seed {SEED}), each by itself:
            without neighbours and without the direction of the sun, which the mask has. Rows are
            true classes, columns those that the model gives.
        """),
    ]
    for one in every:
        line = ", ".join(
            f"{name.replace('_', ' ').replace('f1', 'F1')} {_number(value)}"
            for name, value in one.scores.items()
        )
        parts += [_prose(f"`{one.model.name}`: {line}."), _confusion(one.confusion)]
    return parts


def _comparison(found: Comparison) -> list[str]:
    places = list(dict.fromkeys(scene.place for scene in found.scenes))
    pixels = sum(int((scene.truth != NODATA).sum()) for scene in found.scenes)
    cloud = MEASURES.index("cloud_f1")
    order = [0, *sorted(range(1, len(found.names)), key=lambda i: -found.measures[i, cloud])]
    rows = [
        (
            found.names[i],
            *(_number(found.measures[i, MEASURES.index(name)]) for name in _SHOWN),
            _difference(found.differences[i][cloud]) if i else "",
            _percent(found.silent[found.names[i]]),
        )
        for i in order
    ]
    left_out = "; ".join(f"{name}: {why}" for name, why in found.left_out.items())
    return [
        "## Beside other masks, on the same pixels",
        _prose(f"""
            {len(found.scenes)} scenes of the synthetic regions {", ".join(places)}, {pixels:,}
            pixels of 10 m. No model saw a pixel of these regions, whose seeds are their own.
            Intervals are of {RESAMPLES:,} draws of scenes within regions, the same for both masks
            of a difference. What is true is what the simulation says
            ([synthetic-region.md](synthetic-region.md)).
        """),
        f"**{_verdict(found)}**",
        _prose("""
            Regions and training pixels share their physics, and their generator where the models
            learnt from regions (of other seeds). That favours the default mask over those made for
            real images, s2cloudless and the decision trees, and says little of real clouds.
        """),
        _table((*_SHOWN.values(), "default's F1 is higher by (95 %)", "silent"), rows, "mask"),
        *([_prose(f"Left out: {left_out}.")] if left_out else []),
        _prose(f"""
            False cloud: share of the pixels without cloud that are flagged. Silent: share of pixels
            that a mask says nothing of (no background, or a swath's edge); they count as clear.
            {QA60}: the emulator's, by B2 > 0.25 and B11 > 0.15, or B10 > 0.012, on 60 m;
            ESA says which bands its mask looks at, not from which values
            ([technical guide]({GUIDE})).
            {S2CLOUDLESS}: probability above 0.4; smoothed: with its authors' discs of 4 pixels for
            the mean and 2 for growing, on 10 m. {PRESET_ORIGINAL}: a run's, by the table of
            `shared/models/original.json`; learnt here: by a table of the other scenes compared,
            cloud where at least {100 * models.load_original().cutoff:.0f} % of the pixels with the
            same votes of tree2, tree3, percentile1 and percentile5 are. {SIX}: the default mask by
            `cloud-6`. Baselines have no class for shadow or snow.
        """),
        *_by_place(found, places, order),
        "Pixels by true class (rows) and class of the default mask (columns):",
        _confusion(found.confusion),
    ]


def _by_place(found: Comparison, places: Sequence[str], order: Sequence[int]) -> list[str]:
    cloud, lost, shadow = (
        MEASURES.index(name) for name in ("cloud_f1", "false_cloud", "shadow_f1")
    )
    best = order[: 1 + BEST]
    rows = [
        (
            place,
            *(_number(found.by_place[place][i, cloud]) for i in best),
            *(_number(found.by_place[place][0, j]) for j in (lost, shadow)),
        )
        for place in places
    ]
    heads = (*(f"{found.names[i]}, cloud F1" for i in best), "default, false cloud")
    return ["By region:", _table((*heads, "default, shadow F1"), rows, "region")]


def _verdict(found: Comparison) -> str:
    """Say in words which baselines the default beats for sure, and which not."""
    cloud = MEASURES.index("cloud_f1")
    others = baselines(found)
    unsure = [found.names[i] for i in others if not found.differences[i][cloud].low > 0]
    worse = [found.names[i] for i in others if found.differences[i][cloud].value < 0]
    if not unsure:
        return "The default's cloud F1 is higher than that of every baseline, by more than chance."
    text = f"The default's cloud F1 is not surely higher than that of: {', '.join(unsure)}."
    return text + (f" It is lower than that of: {', '.join(worse)}." if worse else "")


def _probabilities(known: dict[str, Probability], pictures: str) -> list[str]:
    areas = [(name, f"{x.area:.3f}", f"{x.average_precision:.3f}") for name, x in known.items()]
    name, first = next(iter(known.items()))
    bins = [(f"{a:.2f}", f"{b:.2f}", f"{n:,}") for a, b, n in calibration(first)]
    return [
        "## Its probability of cloud",
        "On the scenes of the comparison, cloud or thin cloud against all else:",
        _table(("area under ROC", "mean precision"), areas, "mask"),
        f"![ROC and precision–recall curves]({pictures}/curves.png)",
        f"It is calibrated on simulated pixels; on the scenes, {name}:",
        _table(("mean probability", "share that is cloud", "pixels"), bins),
        f"![Share of cloud against probability]({pictures}/calibration.png)",
    ]


def _real(real: Sequence[Flagged]) -> list[str]:
    if not real:
        return ["## Real scenes", "None were given when this card was made."]
    rows = [
        (x.folder, x.image_id, *map(_percent, (x.cloud, x.shadow, x.snow, x.s2cloudless, x.qa60)))
        for x in real
    ]
    heads = ("image", "cloud", "shadow", "snow", S2CLOUDLESS_SMOOTHED, QA60)
    return [
        "## Real scenes",
        _prose("""
            Nobody labelled these images pixel by pixel: this is what masks say, not what is so.
            slovenia-s2-l1c: haze on 31 July 2015, thick cloud on 20 August, else clear.
            pyrenees-l1c-jp2: thin cirrus everywhere. australia: "cloudy" or "clear" is how a date
            looks (26 is hazy); ten bands, so the six-band model, no dates and no background.
        """),
        _table(heads, rows, "scenes"),
    ]


def _failures(found: Comparison) -> list[str]:
    shown = [MEASURES.index(name) for name in ("cloud_f1", "false_cloud", "shadow_f1")]
    worst = sorted(found.scenes, key=_errors, reverse=True)[:WORST]
    rows = [
        (x.place, x.image_id, _percent(_errors(x)), *(_number(_measures(x)[i]) for i in shown))
        for x in worst
    ]
    table = found.confusion
    missed, invented = table[list(CLOUDY)], table[[CLEAR, SHADOW, SNOW]][:, list(CLOUDY)]
    missed = missed.sum(1) - missed[:, list(CLOUDY)].sum(1)
    wrong = max(missed.sum() + invented.sum(), 1)
    parts = {
        "thick cloud that is missed": missed[0],
        "thin cloud that is missed": missed[1],
        **{
            f"{CLASS_NAMES[kind]} that is flagged": number
            for kind, number in zip((CLEAR, SHADOW, SNOW), invented.sum(1), strict=True)
        },
    }
    shares = ", ".join(f"{name} {100 * number / wrong:.0f} %" for name, number in parts.items())
    shadow = table[:, SHADOW].sum()
    false_shadow = table[CLEAR, SHADOW] / max(shadow, 1)
    return [
        "## Known failures",
        _prose(f"""
            Of the pixels of the comparison whose cloud is wrong: {shares}. Of what the mask calls
            shadow, {100 * false_shadow:.0f} % is clear ground: dark soil, water, the shaded side of
            hills.
        """),
        f"The {len(worst)} scenes with most pixels wrong about cloud:",
        _table(("image", "wrong", "cloud F1", "false cloud", "shadow F1"), rows, "region"),
        _prose("""
            Without a background (a first image, an image without a date) bright ground is harder
            to tell from cloud. A shadow whose cloud is outside the image is only found where it is
            very dark. What the simulation leaves out ([synthetic-region.md](synthetic-region.md),
            [simulated-light.md](simulated-light.md)) the models have not seen. Shadow and snow were
            never judged on real pixels here.
        """),
    ]


def _measures(scene: Compared) -> Array:
    known = scene.truth != NODATA
    return measures(count(scene.masks[DEFAULT][known], scene.truth[known]))


def _errors(scene: Compared) -> float:
    """Return the share of pixels whose cloud is missed or invented."""
    known = scene.truth != NODATA
    said, is_so = (np.isin(x[known], CLOUDY) for x in (scene.masks[DEFAULT], scene.truth))
    return float((said != is_so).mean())


def _confusion(table: Array) -> str:
    rows = [(CLASS_NAMES[i], *(f"{n:,}" for n in row)) for i, row in enumerate(table)]
    return _table(("", *CLASS_NAMES), rows)


def _table(heads: Iterable[Any], rows: Iterable[Iterable[Any]], *first: str) -> str:
    """Return a Markdown table; `first` are headings before the others."""
    lines = [[*first, *heads], *(list(row) for row in rows)]
    written = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    return "\n".join([written[0], "|" + "---|" * len(lines[0]), *written[1:]])


def _prose(text: str) -> str:
    """Return a paragraph in lines as the other documents have them."""
    kept = " ".join(text.split()).replace(" %", "\xa0%")  # never at the start of a line
    lines = textwrap.fill(kept, WIDTH, break_long_words=False, break_on_hyphens=False)
    return lines.replace("\xa0", " ")


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _difference(one: Difference) -> str:
    return f"{one.value:+.3f} ({one.low:+.3f} … {one.high:+.3f})"
