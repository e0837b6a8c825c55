"""Pictures of scenes beside their masks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from model.baselines import COLOURED, DEFAULT
from model.compare import Compared, Comparison, best_baseline
from model.pixels import Array
from shared.domain.classes import CLASS_NAMES, NODATA

#: RGB of the classes in pictures, and of no data.
PALETTE = ((222, 203, 164), (255, 255, 255), (45, 45, 60), (120, 190, 255), (245, 160, 190))
UNKNOWN = (0, 0, 0)

#: Side of a scene's picture, the margin between pictures, and a line of text, in pixels.
SIDE, MARGIN, LINE = 112, 6, 14

#: Colours of the file: enough for small pictures, and a third of its bytes.
COLOURS = 32


def chosen_scenes(scenes: Sequence[Compared]) -> list[Compared]:
    """Return the scene of each place that shows most: the most even in its classes."""

    def variety(scene: Compared) -> float:
        known = scene.truth[scene.truth != NODATA]
        share = np.bincount(known, minlength=len(CLASS_NAMES)) / max(known.size, 1)
        return float(-(share * np.log(share + 1e-9)).sum())

    places = dict.fromkeys(scene.place for scene in scenes)
    return [max((x for x in scenes if x.place == place), key=variety) for place in places]


def write_sheet(found: Comparison, path: Path) -> None:
    """Draw a scene of each place: as it looks, truth, default mask, best baseline."""
    scenes, best = chosen_scenes(found.scenes), best_baseline(found, "cloud_f1")
    titles = ["true colour", "truth", f"{DEFAULT} mask", *([best] if best else [])]
    step = SIDE + MARGIN
    size = (len(titles) * step + MARGIN, LINE + len(scenes) * (step + LINE) + LINE)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((MARGIN + column * step, 1), title, fill="black")
    for row, scene in enumerate(scenes):
        top = LINE + row * (step + LINE)
        draw.text((MARGIN, top), f"{scene.place}, {scene.image_id}", fill="black")
        for column, picture in enumerate(_pictures(scene, best)):
            small = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(small, (MARGIN + column * step, top + LINE))
    _legend(draw, size[1] - LINE)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _pictures(scene: Compared, best: str | None) -> list[Array]:
    colours = np.dstack([scene.bands[band] for band in COLOURED])
    masks = [scene.truth, scene.masks[DEFAULT], *([scene.masks[best]] if best else [])]
    unknown = scene.truth == NODATA
    return [colours, *(painted(np.where(unknown, NODATA, mask)) for mask in masks)]


def painted(classes: Array) -> Array:
    """Return classes as colours (rows × columns × 3)."""
    table = np.array([*PALETTE, *[UNKNOWN] * (NODATA + 1 - len(PALETTE))], np.uint8)
    return table[classes]


def _legend(draw: ImageDraw.ImageDraw, top: int) -> None:
    left = MARGIN
    for name, colour in zip((*CLASS_NAMES, "no data"), (*PALETTE, UNKNOWN), strict=True):
        draw.rectangle((left, top + 2, left + 9, top + 11), fill=colour, outline="black")
        draw.text((left + 13, top + 1), name, fill="black")
        left += 20 + 7 * len(name)
