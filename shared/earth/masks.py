"""Masks as one collection, wherever their pixels are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ee

from shared.earth import copies


@dataclass(frozen=True)
class Place:
    """Where a mask is read: from its asset, or, with `uris`, from the files of its copy.

    `description` is what Earth Engine said of the asset before it left; an asset that came back
    needs it only if it `lost` something on the way, which manifests do not hold.
    """

    asset_id: str
    image_id: str
    description: Mapping[str, Any] | None = None
    layout: str = ""
    uris: tuple[str, ...] = ()
    lost: bool = False


def collection(places: Sequence[Place]) -> ee.ImageCollection:
    """Return the masks at some places as a collection, in the order given.

    Bands, types, grids, pixels, properties and times are those of the assets as they were made,
    whether a mask is an asset still, came back as one, or is read from Cloud Storage.
    """
    return ee.ImageCollection([_image(place) for place in places])


def _image(place: Place) -> ee.Image:
    if not place.uris:
        image = ee.Image(place.asset_id)
        if not place.lost or place.description is None:
            return image
        # Not the asset with properties set: it has others too, in which they are encoded.
        bare = ee.Image.cat([image.select([band["id"]]) for band in place.description["bands"]])
        return copies.with_metadata(bare, place.description, place.image_id)
    assert place.description is not None  # what is archived is described
    opened = copies.opened(place.description, place.layout, place.uris)
    return copies.with_metadata(opened, place.description, place.image_id)
