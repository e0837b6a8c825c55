"""Google credentials, and a clear word when there are none."""

from collections.abc import Iterator
from contextlib import contextmanager

from google.auth.exceptions import DefaultCredentialsError

from shared.errors import AccessDenied


@contextmanager
def needed() -> Iterator[None]:
    """Say what to do when the client inside finds no credentials."""
    try:
        yield
    except DefaultCredentialsError as error:
        raise AccessDenied(
            "no Google credentials found: run `gcloud auth application-default login`, "
            "or attach a service account to the function"
        ) from error
