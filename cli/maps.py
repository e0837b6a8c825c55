"""Maps as files: COGs in the bands' units, and pictures with their legend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image, ImageDraw
from rasterio.io import MemoryFile
from rasterio.shutil import copy as copy_raster

Array = np.ndarray[Any, Any]

#: Pixels: of a panel's longer side, around it, of the legend's bar and its texts.
SIDE, MARGIN, BAR, TEXTS = 480, 16, 18, 86
TITLE = 22
#: Percentiles of the values at the ends of the legend.
ENDS = (2, 98)
TICKS = 5
GREENS = ((120, 72, 30), (222, 190, 120), (245, 240, 190), (120, 180, 80), (10, 80, 40))
DATES = ((70, 20, 110), (60, 90, 160), (50, 160, 140), (160, 210, 80), (250, 230, 40))
DIFFERENCES = ((140, 60, 20), (225, 165, 110), (245, 245, 245), (120, 190, 170), (0, 90, 80))
#: Of land without a value, and of what is no land.
WITHOUT, OUTSIDE = (150, 150, 150), (235, 235, 240)


@dataclass(frozen=True)
class Panel:
    """A map to draw: values (rows, columns), NaN where none; `land` where there could be one."""

    values: Array
    land: Array
    title: str
    colours: Sequence[tuple[int, int, int]]
    label: Callable[[float], str] = "{:.3g}".format
    is_symmetric: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """Values at the ends of the legend."""
        known = self.values[~np.isnan(self.values)]
        if not known.size:
            return 0.0, 1.0
        low, high = (float(x) for x in np.percentile(known, ENDS))
        if self.is_symmetric:
            high = max(abs(low), abs(high))
            low = -high
        return (low, high) if high > low else (low - 0.5, low + 0.5)


def write_cog(
    path: Path, bands: dict[str, Array], transform: Any, crs: str, tags: dict[str, str]
) -> None:
    """Write bands (rows, columns) by name as float32, NaN where there is no value."""
    first = next(iter(bands.values()))
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": len(bands),
        "nodata": np.nan,
        "height": first.shape[0],
        "width": first.shape[1],
        "crs": crs,
        "transform": transform,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with MemoryFile() as memory:
        with memory.open(**profile) as raster:
            for i, (name, values) in enumerate(bands.items(), 1):
                raster.write(values.astype("float32"), i)
                raster.set_band_description(i, name)
            raster.update_tags(**tags)
        with memory.open() as raster:
            copy_raster(
                raster, temporary, driver="COG", compress="deflate", overview_resampling="nearest"
            )
    temporary.rename(path)


def read_cog(path: Path) -> tuple[dict[str, Array], Any, str, dict[str, str]]:
    """Return what `write_cog` wrote: bands, transform, crs, tags."""
    with rasterio.open(path) as raster:
        bands = dict(zip(raster.descriptions, raster.read().astype(float), strict=True))
        return bands, raster.transform, raster.crs.to_string(), raster.tags()


def draw(panels: Sequence[Panel], caption: str, path: Path) -> None:
    """Draw panels side by side, each with its title and legend, as a PNG."""
    drawn = [_draw(panel) for panel in panels]
    width = sum(picture.width for picture in drawn)
    height = max(picture.height for picture in drawn)
    sheet = Image.new("RGB", (width, height + TITLE), "white")
    left = 0
    for picture in drawn:
        sheet.paste(picture, (left, 0))
        left += picture.width
    ImageDraw.Draw(sheet).text((MARGIN, height), caption, fill="black")
    sheet.save(path)


def day_of(yydoy: Array) -> Array:
    """Return days since 1970 of HR-VPP's dates, 18123 for day 123 of 2018."""
    known = np.nan_to_num(yydoy, nan=1001.0)
    years = 2000 + known // 1000
    new_years = ((years - 1970).astype(int)).astype("datetime64[Y]").astype("datetime64[D]")
    days = new_years.astype(int) + known % 1000 - 1
    return np.where(np.isnan(yydoy), np.nan, days)


def date_label(days: float) -> str:
    """Return a day since 1970 as a legend says it."""
    return f"{date(1970, 1, 1) + timedelta(round(days)):%d %b %Y}"


def _draw(panel: Panel) -> Image.Image:
    low, high = panel.ends
    shown = _coloured((panel.values - low) / (high - low), panel.colours)
    missing = np.where(panel.land[..., None], WITHOUT, OUTSIDE)
    pixels = np.where(np.isnan(panel.values)[..., None], missing, shown).astype(np.uint8)
    picture = Image.fromarray(pixels)
    factor = SIDE / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    picture = picture.resize(size, Image.Resampling.NEAREST)
    framed = Image.new(
        "RGB",
        (picture.width + 3 * MARGIN + BAR + TEXTS, picture.height + TITLE + MARGIN),
        "white",
    )
    framed.paste(picture, (MARGIN, TITLE))
    pen = ImageDraw.Draw(framed)
    pen.text((MARGIN, 6), panel.title, fill="black")
    _draw_legend(framed, pen, panel, picture.width + 2 * MARGIN, picture.height)
    return framed


def _draw_legend(
    framed: Image.Image, pen: ImageDraw.ImageDraw, panel: Panel, left: int, height: int
) -> None:
    low, high = panel.ends
    bar_height = height * 2 // 3
    shares = np.linspace(1, 0, bar_height)[:, None].repeat(BAR, axis=1)
    bar = Image.fromarray(_coloured(shares, panel.colours).astype(np.uint8))
    framed.paste(bar, (left, TITLE))
    for i in range(TICKS):
        share = i / (TICKS - 1)
        y = TITLE + round((1 - share) * (bar_height - 1))
        pen.line((left + BAR, y, left + BAR + 4, y), fill="black")
        pen.text((left + BAR + 7, y - 6), panel.label(low + share * (high - low)), fill="black")
    for i, (colour, text) in enumerate(((WITHOUT, "no season"), (OUTSIDE, "no land"))):
        y = TITLE + bar_height + 14 + 20 * i
        pen.rectangle((left, y, left + BAR, y + 12), fill=colour)
        pen.text((left + BAR + 7, y), text, fill="black")


def _coloured(shares: Array, colours: Sequence[tuple[int, int, int]]) -> Array:
    """Return RGB (rows, columns, 3) of shares, which may lie beyond 0 and 1."""
    places = np.linspace(0, 1, len(colours))
    inside = np.clip(np.nan_to_num(shares), 0, 1)
    channels = [np.interp(inside, places, channel) for channel in zip(*colours, strict=True)]
    return np.stack(channels, axis=-1)
