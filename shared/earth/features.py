"""What the forest sees of a pixel: bands, ratios of them, and differences to the background.

A feature is an expression over TOA reflectances (0 … 1), written once here: Earth Engine
evaluates it on images, `model.features` on numpy arrays. Dividing by 0 gives 0 in both, as in
Earth Engine. Values are single precision, the precision the forest was trained in.
"""

import re

import ee

#: Bands of the fallback model, which Landsat and most other sensors have too.
SIX_BANDS = ("B2", "B3", "B4", "B8", "B11", "B12")

#: Bands of Sentinel-2 Level-1C (Earth Engine catalogue).
ALL_BANDS = (*("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"),)

#: Two bands, whose difference is a feature over their sum.
Contrast = tuple[str, str]

#: Ratios of the six bands. NDSI: Hall et al. 1995 (doi 10.1016/0034-4257(95)00137-P); whiteness:
#: Gómez-Chova et al. 2007 (doi 10.1109/LGRS.2007.903407); HOT, haze-optimised transform: Zhang et
#: al. 2002 (doi 10.1016/S0034-4257(02)00034-2), its clear line as in Zhu and Woodcock 2012
#: (doi 10.1016/j.rse.2011.10.028).
_SIX_RATIOS: dict[str, str | Contrast] = {
    "visible": "(B2 + B3 + B4) / 3",
    "ndsi": ("B3", "B11"),
    "ndvi": ("B8", "B4"),
    "ndwi": ("B3", "B8"),
    "ndmi": ("B8", "B11"),
    "swir_ratio": ("B11", "B12"),
    "blue_red": ("B2", "B4"),
    "green_red": ("B3", "B4"),
    "blue_infrared": ("B2", "B12"),
    "hot": "B2 - B4 / 2",
    "whiteness": (
        "(abs(B2 - (B2 + B3 + B4) / 3) + abs(B3 - (B2 + B3 + B4) / 3)"
        " + abs(B4 - (B2 + B3 + B4) / 3)) / (B2 + B3 + B4)"
    ),
}

#: Cirrus over the blue band (Hollstein et al. 2016, doi 10.3390/rs8080666), water vapour above
#: the reflecting surface (Gao and Kaufman 1990), and the slope of scattering and of the red edge.
_ALL_RATIOS: dict[str, str | Contrast] = {
    "cirrus_ratio": "B10 / B2",
    "vapour_ratio": "B9 / B8A",
    "aerosol_slope": ("B1", "B2"),
    "red_edge": ("B7", "B5"),
}

#: Rise above the background: what clouds do in the visible, and shadows in the infrared.
_DIFFERENCES = {f"rise_{band}": band for band in ("B2", "B4", "B8", "B11")}

#: Stands for a difference where there is no background: no difference of reflectances is so low.
NO_BACKGROUND = -2.0

#: Bands of the image that are compared with the background.
COMPARED = tuple(_DIFFERENCES.values())


def definitions(bands: tuple[str, ...]) -> dict[str, str]:
    """Return the expressions of the features over `bands` (ALL_BANDS or SIX_BANDS), in order."""
    return {band: band for band in bands} | {
        name: ratio if isinstance(ratio, str) else "({0} - {1}) / ({0} + {1})".format(*ratio)
        for name, ratio in _ratios(bands).items()
    }


def _ratios(bands: tuple[str, ...]) -> dict[str, str | Contrast]:
    return _SIX_RATIOS | (_ALL_RATIOS if bands == ALL_BANDS else {})


def names(bands: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of all features over `bands`, in the order the model was trained with."""
    return (*definitions(bands), *_DIFFERENCES)


def feature_image(
    reflectance: ee.Image, bands: tuple[str, ...], background: ee.Image | None
) -> ee.Image:
    """Return the features over `bands`, the image's own, as float bands, in any order.

    `background` has the reflectances of COMPARED. Where it is masked, or None, differences are
    NO_BACKGROUND.
    """
    ratios = _ratios(bands)
    contrasts = {name: pair for name, pair in ratios.items() if isinstance(pair, tuple)}
    parts = [
        _expression(reflectance, f"{name} = {r}")
        for name, r in ratios.items()
        if isinstance(r, str)
    ]
    return ee.Image.cat(
        reflectance,
        _contrasts(reflectance, contrasts),
        *parts,
        _differences(reflectance, background),
    ).toFloat()


def _expression(reflectance: ee.Image, text: str) -> ee.Image:
    return reflectance.expression(re.sub(r"\bB\w+", r"b('\g<0>')", text))


def _contrasts(reflectance: ee.Image, pairs: dict[str, Contrast]) -> ee.Image:
    """Return all contrasts at once: a graph has few operations of many bands."""
    named = list(pairs)
    first, second = (
        reflectance.select(list(bands), named) for bands in zip(*pairs.values(), strict=True)
    )
    return first.subtract(second).divide(first.add(second))


def _differences(reflectance: ee.Image, background: ee.Image | None) -> ee.Image:
    named = list(_DIFFERENCES)
    if background is None:
        return ee.Image.constant([NO_BACKGROUND] * len(named)).rename(named)
    rise = reflectance.select(list(COMPARED), named).subtract(background)
    return rise.unmask(NO_BACKGROUND, False)
