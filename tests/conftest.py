"""What several folders of tests share."""

import shutil

import pytest

from cli import stacks


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
