"""Progress is shown where somebody looks."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from mlflow_vault.progress import is_watched, progress_bar
from mlflow_vault.vault import Vault


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar is shown, told the bytes of real work."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    vault = Vault.init("vault-memory://progress")
    size = Path(__file__).stat().st_size
    vault.write_file(Path(__file__), "1/file")

    with progress_bar("verifying", size) as progress:
        vault.verify(progress=progress)
        progress(0)

    assert is_watched()
    assert "verifying" in terminal.getvalue()


def test_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a log nothing is shown."""
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)

    with progress_bar("verifying", 10) as progress:
        progress(10)

    assert not is_watched()
    assert pipe.getvalue() == ""


def test_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook is looked at, though its streams are no terminals."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", sys)

    assert is_watched()


@pytest.mark.parametrize("visible", [True, False])
def test_told(monkeypatch: pytest.MonkeyPatch, *, visible: bool) -> None:
    """Whoever says so decides."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    with progress_bar("exporting", 10, unit="step", visible=visible) as progress:
        progress(1)

    assert bool(stream.getvalue()) is visible
