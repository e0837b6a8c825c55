"""The algorithms, one module for each family; importing the package registers them."""

from emulator.functions import (
    array_images,
    arrays,
    dates,
    elements,
    elementwise,
    expressions,
    filters,
    geometry,
    images,
    joins,
    neighbourhood,
    objects,
    projections,
    reducers,
    regions,
    visualisation,
)

__all__ = [
    "array_images",
    "arrays",
    "dates",
    "elements",
    "elementwise",
    "expressions",
    "filters",
    "geometry",
    "images",
    "joins",
    "neighbourhood",
    "objects",
    "projections",
    "reducers",
    "regions",
    "visualisation",
]
