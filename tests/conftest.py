"""What several folders of tests share."""

import os
import shutil
import uuid

import pytest

from cli import google_emulators, stacks


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


@pytest.fixture(scope="session")
def _published(tmp_path_factory):
    """An emulator's data in which the cloud models are published, which takes seconds."""
    data = tmp_path_factory.mktemp("published")
    stacks.publish_models(data)
    return data


@pytest.fixture
def publish_models(_published):
    """A function that makes a folder an emulator's data with the cloud models published."""

    def publish(data):
        shutil.copytree(_published, data)
        return data

    return publish
