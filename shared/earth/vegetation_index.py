"""Vegetation indices of an image."""

import ee

from shared.domain.indices import NDVI, VegetationIndex


def vegetation_index(reflectance: ee.Image, index: VegetationIndex = NDVI) -> ee.Image:
    """Return one band with the index's name, double; masked where a band of it is, or all are 0.

    Unlike `normalizedDifference` it keeps pixels of which a reflectance is negative.
    """
    bands = reflectance.select(list(index.bands)).toDouble()
    lit = bands.reduce(ee.Reducer.max()).gt(0)  # 0 / 0 would be 0, which is an index of bare soil
    return bands.expression(index.formula).rename(index.name).updateMask(lit)
