"""Errors as sentences for people."""

from collections.abc import Iterator
from contextlib import contextmanager

import ee
import typer
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from rich.markup import escape

from cli import stacks
from cli.google_emulators import EmulatorsMissing
from cli.progress import console
from emulator.launch import EmulatorFailed
from emulator.scenes.folder import InvalidSceneFolder
from shared.errors import InvalidConfiguration, VerdureError


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Print what is wrong and what to do, without a traceback. Exit 2: wrong input, 1: else."""
    try:
        yield
    except (InvalidConfiguration, InvalidSceneFolder) as error:
        code, message = 2, str(error)
    except (VerdureError, EmulatorFailed, EmulatorsMissing, stacks.FunctionFailed) as error:
        code, message = 1, str(error)
    except (ee.EEException, GoogleAPICallError, GoogleAuthError) as error:
        code, message = 1, f"Google says: {error}; `verdure doctor` knows what may be missing"
    else:
        return
    tell(message)
    raise typer.Exit(code)


def tell(problem: str) -> None:
    """Print what is wrong as it is: long paths stay whole, and brackets are no markup."""
    console.print(f"[red]Error:[/] {escape(problem)}", highlight=False, soft_wrap=True)
