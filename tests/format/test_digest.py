"""A digest has one spelling."""

from __future__ import annotations

import pytest

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest

NAME = Digest.of(b"")


def test_round_trip() -> None:
    """What is spelled is read, in capitals too."""
    assert Digest.parse(str(NAME)) == NAME
    assert Digest.parse("b3:" + NAME.raw.hex().upper()) == NAME


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b3:",
        NAME.raw.hex(),
        f"sha256:{NAME.raw.hex()}",
        f"b3:{NAME.raw.hex()}00",
        f"b3:{NAME.raw.hex()[:-1]}",
        f"b3:{NAME.raw.hex(' ')}",
        f"b3: {NAME.raw.hex()}",
        f"{NAME}\n",
        f"b3:{'x' * 64}",
    ],
)
def test_refused(text: str) -> None:
    """What only looks like a digest is none, spaces between its digits included."""
    with pytest.raises(InvalidInputError):
        Digest.parse(text)
