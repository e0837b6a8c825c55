"""The real `ee` client, pointed at an emulator."""

import ee
from google.auth.credentials import AnonymousCredentials

from emulator import PROJECT


def connect(url: str, project: str = PROJECT) -> None:
    """Initialize the client; what the emulator refuses is raised at once, without retries.

    Initialize would also fetch a public file, without a timeout: not here.
    """
    disconnect()
    ee.deprecation._FetchDataCatalogStac = dict
    ee.Initialize(AnonymousCredentials(), project=project, url=url)
    ee.data.setMaxRetries(0)


def disconnect() -> None:
    """Close the client's connections; a later call opens them again."""
    if session := ee.data._get_state().requests_session:
        session.close()
