"""Assets made of files in Cloud Storage: ingested images and tables, and images left there."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from emulator import band_files, fields, grids
from emulator.assets import documents
from emulator.assets.buckets import Buckets
from emulator.assets.patch import TIMES
from emulator.assets.store import Asset, AssetStore
from emulator.clock import timestamp
from emulator.errors import EarthEngineError
from emulator.exports.destinations import NewAsset
from emulator.fields import Json
from emulator.ingest.geotiffs import GeoTiffs
from emulator.ingest.manifests import Footprint, ImageManifest, image_manifest, table_manifest
from emulator.ingest.tables import read_csv
from emulator.tasks import Output, Task


class Ingestion:
    """Checks requests to import, and runs the tasks that they become."""

    def __init__(self, store: AssetStore, buckets: Buckets) -> None:
        self._store = store
        self._buckets = buckets

    def runners(self) -> dict[str, Callable[[Task], Output]]:
        """Return what runs each type of task."""
        return {"INGEST_IMAGE": self._run_image, "INGEST_TABLE": self._run_table}

    def image_request(self, body: Json) -> Json:
        """Return the request of an INGEST_IMAGE task; raise unless it can become one."""
        content = _manifest(body, "imageManifest")
        self._store.check_name(image_manifest(content).name)
        return _described(body, "image", content)

    def table_request(self, body: Json) -> Json:
        """Return the request of an INGEST_TABLE task; raise unless it can become one."""
        content = _manifest(body, "tableManifest")
        self._store.check_name(table_manifest(content).name)
        return _described(body, "table", content)

    def import_external(self, body: Json) -> Asset:
        """Make an image of files that stay where they are."""
        overwrite = fields.flag(body, "overwrite")
        manifest = image_manifest(_manifest(body, "imageManifest"))
        if manifest.mask or manifest.missing is not None:
            raise EarthEngineError("External images cannot have mask bands or missing data.")
        self._store.check_name(manifest.name)
        files = GeoTiffs(manifest, self._buckets, external=True)
        asset = replace(self._asset(manifest, files), bands=tuple(files.external_bands()))
        return self._store.put(asset, overwrite)

    def create_external(self, name: str, body: Json, overwrite: bool) -> Asset:
        """Make an image as assets.create could, before there was image.importExternal."""
        body = fields.in_camel_case(body)
        uris = fields.texts(fields.mapping(body, "cloudStorageLocation"), "uris")
        if len(uris) != 1:
            raise EarthEngineError("An image needs a cloudStorageLocation with one URI.")
        manifest = {key: body[key] for key in ("properties", *TIMES) if key in body}
        manifest |= {"name": name, "tilesets": [{"sources": [{"uris": uris}]}]}
        return self.import_external({"imageManifest": manifest, "overwrite": overwrite})

    def _run_image(self, task: Task) -> NewAsset:
        manifest = image_manifest(task.request["imageManifest"])
        overwrite = bool(task.request.get("overwrite"))
        files = GeoTiffs(manifest, self._buckets)
        asset = self._asset(manifest, files)
        self._store.check_insertable(asset, overwrite)  # before the long part
        policies = {band.id: band.pyramiding for band in files.bands}
        with self._store.new_folder() as folder:
            stored = {}
            for image, box in files.images():
                written = band_files.write_bands(image, box, folder, policies)
                stored |= {band.name: band for band in written}
                task.progress.report(len(stored) / len(files.bands))
            asset = asset.with_files(folder, [stored[band.id] for band in files.bands])
        return NewAsset(asset, overwrite, self._store)

    def _run_table(self, task: Task) -> NewAsset:
        manifest = table_manifest(task.request["tableManifest"])
        overwrite = bool(task.request.get("overwrite"))
        asset = Asset(manifest.name, "TABLE", timestamp(), manifest.properties)
        self._store.check_insertable(asset, overwrite)  # before the long part
        paths = [self._buckets.existing(source.uri) for source in manifest.sources]
        features = read_csv(manifest, paths, task.progress)
        with self._store.new_folder() as folder:
            documents.write_table(folder, features)
            asset = asset.with_files(folder)
        return NewAsset(asset, overwrite, self._store)

    def _asset(self, manifest: ImageManifest, files: GeoTiffs) -> Asset:
        box = files.box(files.bands[0].id)
        outline = grids.footprint(box)
        if manifest.footprint:
            outline = _footprint(manifest.footprint, files)
        return Asset(manifest.name, "IMAGE", timestamp(), manifest.properties, footprint=outline)


def _manifest(body: Json, name: str) -> Json:
    fields.required(body, name)
    return fields.mapping(body, name)


def _described(body: Json, what: str, manifest: Mapping[str, Any]) -> Json:
    fields.flag(body, "overwrite")
    default = f'Ingest {what}: "{manifest["name"]}"'
    return {**body, "description": fields.text(body, "description") or default}


def _footprint(footprint: Footprint, files: GeoTiffs) -> Json:
    """Return a ring of a band's pixel coordinates in longitude and latitude."""
    box = files.box(footprint.band or files.bands[0].id)
    to_lonlat = grids.transformer(box.grid.crs, "EPSG:4326").transform
    a, b, c, d, e, f = box.transform
    ring = [list(to_lonlat(a * x + b * y + c, d * x + e * y + f)) for x, y in footprint.points]
    return {"type": "Polygon", "coordinates": [ring]}
