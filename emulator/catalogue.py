"""What can be loaded: the public scene collections and the project's own assets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.assets import documents
from emulator.assets.buckets import Buckets
from emulator.assets.store import Asset, AssetStore, not_found
from emulator.clock import NEVER, timestamp, to_milliseconds
from emulator.scenes.catalogued import PROBABILITY_COLLECTION
from emulator.scenes.cloud_score import CLOUD_SCORE_COLLECTION
from emulator.stored import StoredCollection, StoredImage

PUBLIC_ROOT = "projects/earthengine-public/assets/"
DAY_MS = 86_400_000

#: Products of Sentinel-2 images that come late or never: the collections are there in any case.
COMPANIONS = (PROBABILITY_COLLECTION, CLOUD_SCORE_COLLECTION)


class PublicCollection:
    """A collection's images in the order of their ids; some are there only after a while."""

    def __init__(self, images: Iterable[StoredImage]) -> None:
        self._images = sorted(images, key=lambda image: image.id)
        self._waiting = any(image.available_after for image in self._images)
        self._shown = StoredCollection(() if self._waiting else self._images)

    def after(self, days: float) -> StoredCollection:
        """Return the images that are there so many days after the emulator's start."""
        if self._waiting:
            images = [image for image in self._images if image.available_after <= days]
            if len(images) != len(self._shown):
                self._shown = StoredCollection(images)
        return self._shown


class Catalogue:
    """Finds images and collections: by id for expressions, by name for the REST API."""

    def __init__(
        self,
        collections: Mapping[str, Sequence[StoredImage]],
        assets: AssetStore,
        buckets: Buckets,
    ) -> None:
        self._collections = {name: PublicCollection(images) for name, images in collections.items()}
        self._images = {image.id: image for images in collections.values() for image in images}
        self._started = to_milliseconds(timestamp())
        self._assets = assets
        self._buckets = buckets

    def image(self, asset_id: str) -> StoredImage | None:
        """Return an image, or None where there is none."""
        return self._assets.image(asset_id) if _is_own(asset_id) else self._public_image(asset_id)

    def collection(self, asset_id: str) -> StoredCollection | None:
        """Return the images of a collection, in the order of their ids, or None."""
        return (
            self._assets.collection(asset_id)
            if _is_own(asset_id)
            else self._public_collection(asset_id)
        )

    def _public_image(self, image_id: str) -> StoredImage | None:
        image = self._images.get(image_id)
        return image if image and image.available_after <= self._age_in_days() else None

    def _public_collection(self, name: str) -> StoredCollection | None:
        if images := self._collections.get(name):
            return images.after(self._age_in_days())
        return StoredCollection(()) if name in COMPANIONS else None

    def _age_in_days(self) -> float:
        return (to_milliseconds(timestamp()) - self._started) / DAY_MS

    def table(self, asset_id: str) -> Sequence[Mapping[str, Any]] | None:
        """Return the features of a table asset, or None where there is none."""
        folder = self._assets.folder(asset_id, "TABLE")
        return documents.read_table(folder) if folder else None

    def classifier(self, asset_id: str) -> str | None:
        """Return a classifier asset as JSON text, or None where there is none."""
        folder = self._assets.folder(asset_id, "CLASSIFIER")
        return documents.read_classifier(folder) if folder else None

    def geotiff(self, uri: str) -> Path:
        """Return the file of a Cloud Storage object that must exist."""
        return self._buckets.existing(uri)

    def asset(self, name: str) -> Asset:
        """Return an asset that must exist."""
        if name == self._assets.root:
            return Asset(name, "FOLDER", NEVER)
        if not name.startswith(PUBLIC_ROOT):
            return self._assets.get(name)
        public_id = name.removeprefix(PUBLIC_ROOT)
        if (images := self._public_collection(public_id)) is not None:
            newest = max((image.update_time for image in images), default="")
            return Asset(name, "IMAGE_COLLECTION", newest)
        if image := self._public_image(public_id):
            return _public_asset(image)
        raise not_found(name)

    def children(self, parent: str, after: str) -> Iterator[Asset]:
        """Yield the assets right below a folder or collection whose names sort after `after`."""
        if not parent.startswith(PUBLIC_ROOT):
            return self._assets.children(parent, after)
        images = self._public_collection(parent.removeprefix(PUBLIC_ROOT))
        assets = (_public_asset(image) for image in images or ())
        return (asset for asset in assets if asset.name > after)

    def images_by_collection(self) -> dict[str, int]:
        """Return the size of each public collection."""
        days = self._age_in_days()
        return {name: len(images.after(days)) for name, images in self._collections.items()}


def _is_own(asset_id: str) -> bool:
    return asset_id.startswith("projects/") and not asset_id.startswith(PUBLIC_ROOT)


def _public_asset(image: StoredImage) -> Asset:
    return Asset(
        PUBLIC_ROOT + image.id,
        "IMAGE",
        image.update_time,
        image.properties,
        image.size_bytes,
        image.bands,
        image.footprint,
    )
