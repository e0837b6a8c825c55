"""Vegetation indices of an image, each declared by its formula."""

from dataclasses import dataclass
from typing import Final

import ee


@dataclass(frozen=True)
class VegetationIndex:
    """An index without unit: an expression of TOA reflectances by Sentinel-2's band names."""

    name: str
    formula: str
    bands: tuple[str, ...]


NDVI: Final = VegetationIndex("NDVI", "(b('B8') - b('B4')) / (b('B8') + b('B4'))", ("B8", "B4"))
#: Jiang et al. 2008, doi 10.1016/j.rse.2008.06.006.
EVI2: Final = VegetationIndex(
    "EVI2", "2.5 * (b('B8') - b('B4')) / (b('B8') + 2.4 * b('B4') + 1)", ("B8", "B4")
)
#: Difference vegetation index, which PPI is a function of (Jin and Eklundh 2014,
#: doi 10.1016/j.rse.2014.07.010): like PPI it does not saturate over dense canopies.
DVI: Final = VegetationIndex("DVI", "b('B8') - b('B4')", ("B8", "B4"))
INDICES: Final = {index.name: index for index in (NDVI, EVI2, DVI)}


def vegetation_index(reflectance: ee.Image, index: VegetationIndex = NDVI) -> ee.Image:
    """Return one band with the index's name, double; masked where a band of it is, or all are 0.

    Unlike `normalizedDifference` it keeps pixels of which a reflectance is negative.
    """
    bands = reflectance.select(list(index.bands)).toDouble()
    lit = bands.reduce(ee.Reducer.max()).gt(0)  # 0 / 0 would be 0, which is an index of bare soil
    return bands.expression(index.formula).rename(index.name).updateMask(lit)
