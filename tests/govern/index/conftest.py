"""Versions to be found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def make() -> Callable[..., Version]:
    """Make a version of a registered model, with facts."""

    def made(number: int, name: str = "m", created: int = 0, **facts: Any) -> Version:
        files = (File("a", number, Digest.of(name.encode()), bytes(32)),)
        return Version(
            digest_of(files),
            f"{name}{number:02d}",
            name,
            number,
            created or 1000 + number,
            "ann",
            Origin("models:/m-1", "1/models"),
            files,
            facts=facts,
        )

    return made
