"""What can be loaded: the public scene collections and the project's own assets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator import documents
from emulator.assets import Asset, AssetStore, not_found
from emulator.buckets import Buckets
from emulator.clock import NEVER
from emulator.resources import PUBLIC_ROOT
from emulator.stored import StoredCollection, StoredImage


class Catalogue:
    """Finds images and collections: by id for expressions, by name for the REST API."""

    def __init__(
        self,
        collections: Mapping[str, Sequence[StoredImage]],
        assets: AssetStore,
        buckets: Buckets,
    ) -> None:
        self._collections = {
            name: StoredCollection(sorted(images, key=lambda image: image.id))
            for name, images in collections.items()
        }
        self._images = {
            image.id: image for images in self._collections.values() for image in images
        }
        self._assets = assets
        self._buckets = buckets

    def image(self, asset_id: str) -> StoredImage | None:
        """Return an image, or None where there is none."""
        return self._assets.image(asset_id) if _is_own(asset_id) else self._images.get(asset_id)

    def collection(self, asset_id: str) -> StoredCollection | None:
        """Return the images of a collection, in the order of their ids, or None."""
        return (
            self._assets.collection(asset_id)
            if _is_own(asset_id)
            else self._collections.get(asset_id)
        )

    def table(self, asset_id: str) -> Sequence[Mapping[str, Any]] | None:
        """Return the features of a table asset, or None where there is none."""
        folder = self._assets.folder(asset_id, "TABLE")
        return documents.read_table(folder) if folder else None

    def classifier(self, asset_id: str) -> Mapping[str, Any] | None:
        """Return a classifier asset, or None where there is none."""
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
        if public_id in self._collections:
            newest = max((i.update_time for i in self._collections[public_id]), default="")
            return Asset(name, "IMAGE_COLLECTION", newest)
        if public_id in self._images:
            return _public_asset(self._images[public_id])
        raise not_found(name)

    def children(self, parent: str, after: str) -> Iterator[Asset]:
        """Yield the assets right below a folder or collection whose names sort after `after`."""
        if not parent.startswith(PUBLIC_ROOT):
            return self._assets.children(parent, after)
        images = self._collections.get(parent.removeprefix(PUBLIC_ROOT))
        assets = (_public_asset(image) for image in images or ())
        return (asset for asset in assets if asset.name > after)

    def images_by_collection(self) -> dict[str, int]:
        """Return the size of each public collection."""
        return {name: len(images) for name, images in self._collections.items()}


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
