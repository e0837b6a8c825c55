"""The composition root: builds the services of the stack in use, once, when first asked."""

from datetime import UTC, datetime
from pathlib import Path

from shared.config import Settings, read_settings
from shared.services import AssetLedger, Bus, Ledger, Objects, Services

#: Where the local Earth Engine keeps its buckets, below the embedded stack's folder.
BUCKETS = Path("earth-engine") / "buckets"

_services: Services | None = None


def services() -> Services:
    """Return the services of this process."""
    global _services
    if _services is None:
        _services = build(read_settings())
    return _services


def use(replacement: Services | None) -> None:
    """Make `services` return these; None has them built from the environment again."""
    global _services
    _services = replacement


def build(settings: Settings) -> Services:
    """Build the adapters of a stack. Their SDKs are imported here, not when the module is."""
    from shared.adapters.drive import GoogleDrive
    from shared.adapters.earth_engine import EarthEngineClient
    from shared.adapters.earth_engine_assets import EarthEngineAssets

    ledger, bus, assets, objects = (
        _embedded(settings) if settings.stack == "embedded" else _google(settings)
    )
    client = EarthEngineClient(settings.project, settings.earth_engine_url)
    return Services(
        ledger,
        bus,
        client,
        lambda: datetime.now(UTC),
        assets,
        EarthEngineAssets(client),
        objects,
        # The emulator of Earth Engine has Drive too, as it has Cloud Storage.
        GoogleDrive(settings.earth_engine_url, settings.drive_credentials),
    )


def _embedded(settings: Settings) -> tuple[Ledger, Bus, AssetLedger, Objects]:
    from shared.adapters.embedded import Database, SqliteBus, SqliteLedger
    from shared.adapters.embedded_assets import SqliteAssets
    from shared.adapters.folder import FolderObjects

    assert settings.data is not None  # read_settings sees to it
    database = Database(settings.data / "verdure.sqlite")
    return (
        SqliteLedger(database),
        SqliteBus(database),
        SqliteAssets(database),
        FolderObjects(settings.data / BUCKETS),
    )


def _google(settings: Settings) -> tuple[Ledger, Bus, AssetLedger, Objects]:
    from shared.adapters.firestore import FirestoreLedger
    from shared.adapters.firestore_assets import FirestoreAssets
    from shared.adapters.pubsub import PubSubBus
    from shared.adapters.storage import CloudObjects

    project, deployment = settings.project, settings.deployment
    return (
        FirestoreLedger(project, deployment),
        PubSubBus(project, deployment),
        FirestoreAssets(project, deployment),
        # The emulator of Earth Engine has the objects too that its exports make.
        CloudObjects(project, settings.earth_engine_url),
    )
