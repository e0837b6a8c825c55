import os
import uuid

import pytest

from cli import google_emulators


@pytest.fixture(scope="session")
def firestore_and_pubsub():
    """Google's emulators, for the whole session: skipped where absent, failing so in CI."""
    if lack := google_emulators.missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lack)
    with google_emulators.started("contract-tests"):
        yield


@pytest.fixture
def fresh_project():
    """A project of its own: nothing that another test left is in it."""
    return f"contract-{uuid.uuid4().hex[:12]}"
