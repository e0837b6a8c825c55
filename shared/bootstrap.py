"""The composition root: builds the services of the stack in use, once, when first asked."""

from datetime import UTC, datetime

from shared.config import Settings, read_settings
from shared.services import Bus, EarthEngine, Ledger, Services

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
    ledger, bus = _embedded(settings) if settings.stack == "embedded" else _google(settings)
    return Services(ledger, bus, _earth_engine(settings), lambda: datetime.now(UTC))


def _embedded(settings: Settings) -> tuple[Ledger, Bus]:
    from shared.adapters.embedded import Database, SqliteBus, SqliteLedger

    assert settings.data is not None  # read_settings sees to it
    database = Database(settings.data / "verdure.sqlite")
    return SqliteLedger(database), SqliteBus(database)


def _google(settings: Settings) -> tuple[Ledger, Bus]:
    from shared.adapters.firestore import FirestoreLedger
    from shared.adapters.pubsub import PubSubBus

    deployment = settings.deployment
    return FirestoreLedger(settings.project, deployment), PubSubBus(settings.project, deployment)


def _earth_engine(settings: Settings) -> EarthEngine:
    from shared.adapters.earth_engine import EarthEngineClient

    return EarthEngineClient(settings.project, settings.earth_engine_url)
