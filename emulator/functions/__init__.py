"""The algorithms, one module for each family; importing the package registers them."""

from emulator.functions import (
    arrays,
    dates,
    elements,
    elementwise,
    expressions,
    filters,
    geometry,
    images,
    joins,
    kernels,
    neighbourhood,
    objects,
    projections,
    reducers,
    regions,
    visualisation,
)

__all__ = [
    "arrays",
    "dates",
    "elements",
    "elementwise",
    "expressions",
    "filters",
    "geometry",
    "images",
    "joins",
    "kernels",
    "neighbourhood",
    "objects",
    "projections",
    "reducers",
    "regions",
    "visualisation",
]
