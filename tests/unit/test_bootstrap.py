from shared import bootstrap
from shared.adapters.embedded import SqliteBus, SqliteLedger
from shared.adapters.firestore import FirestoreLedger
from shared.adapters.pubsub import PubSubBus


def test_the_environment_says_which_stack(monkeypatch, tmp_path):
    monkeypatch.setenv("VERDURE_STACK", "embedded")
    monkeypatch.setenv("VERDURE_PROJECT", "demo-project")
    monkeypatch.setenv("VERDURE_DATA", str(tmp_path))
    bootstrap.use(None)
    services = bootstrap.services()
    assert isinstance(services.ledger, SqliteLedger)
    assert isinstance(services.bus, SqliteBus)
    assert services.now().tzinfo is not None
    assert bootstrap.services() is services
    services.bus.close()
    bootstrap.use(None)


def test_the_cloud_is_the_default_and_connects_to_nothing_yet(monkeypatch):
    monkeypatch.delenv("VERDURE_STACK", raising=False)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-project")
    bootstrap.use(None)
    services = bootstrap.services()
    assert isinstance(services.ledger, FirestoreLedger)
    assert isinstance(services.bus, PubSubBus)
    bootstrap.use(None)
