"""Vegetation indices, each declared by its formula."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class VegetationIndex:
    """An index without unit: an expression of reflectances by Sentinel-2's band names.

    `amplitude` is how far it moves in a year to how far NDVI does: the median over the pixels of
    the synthetic regions (seeds 0, 1, 3 and 5) whose NDVI moves by more than 0.2. What fills gaps
    and finds seasons was made for NDVI, and sees the others divided by it.
    """

    name: str
    formula: str
    bands: tuple[str, ...]
    amplitude: float = 1.0


NDVI: Final = VegetationIndex("NDVI", "(b('B8') - b('B4')) / (b('B8') + b('B4'))", ("B8", "B4"))
#: Jiang et al. 2008, doi 10.1016/j.rse.2008.06.006.
EVI2: Final = VegetationIndex(
    "EVI2", "2.5 * (b('B8') - b('B4')) / (b('B8') + 2.4 * b('B4') + 1)", ("B8", "B4"), 0.4
)
#: Difference vegetation index, which PPI is a function of (Jin and Eklundh 2014,
#: doi 10.1016/j.rse.2014.07.010): like PPI it does not saturate over dense canopies.
DVI: Final = VegetationIndex("DVI", "b('B8') - b('B4')", ("B8", "B4"), 0.2)
INDICES: Final = {index.name: index for index in (NDVI, EVI2, DVI)}
