"""A person's credentials for Drive that are no longer taken: said, and not tried for ever."""

import json

import google.oauth2.credentials
import pytest

from shared.adapters.drive import GoogleDrive
from shared.errors import AccessDenied

from .test_doctor import served


@pytest.fixture
def drive(tmp_path):
    file = tmp_path / "credentials.json"
    keys = ("client_id", "client_secret", "refresh_token")
    file.write_text(json.dumps(dict.fromkeys(keys, "not-to-be-told")))
    made = GoogleDrive(user=file)
    yield made
    made.close()


def test_refused_ones_are_a_reason_without_the_secret(drive, monkeypatch):
    with served({}) as url:
        where = "_GOOGLE_OAUTH2_TOKEN_ENDPOINT"
        monkeypatch.setattr(google.oauth2.credentials, where, f"{url}/token")
        with pytest.raises(AccessDenied, match="credentials") as told:
            drive.stat("a-file")
    assert "not-to-be-told" not in str(told.value)
