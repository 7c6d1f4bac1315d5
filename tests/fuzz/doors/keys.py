"""Paths and keys: each leads to the other and back, and nothing leads out."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.families import series_buckets
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import layout, spelling
from mlflow_vault.format.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEY: Final = re.compile(r"tree(/[a-z0-9._!-]{1,200})+")


def _path(fed: bytes) -> None:
    """The input is an artifact path."""
    path = fed.decode("utf-8", "surrogateescape")
    with suppress(InvalidInputError):
        key = layout.tree_key(path)
        if path:
            assert _KEY.fullmatch(key)
            assert layout.path_of(key) == path
            assert layout.path_of(layout.tree_prefix(path)) == path
        assert len(key) <= 1024
        assert layout.seal_key(path).startswith(layout.seal_unit(path))
        layout.listing_key(path)
        for bucket in series_buckets(path):
            layout.family_key(bucket)


def _key(fed: bytes) -> None:
    """The input is a key in a store, or a digest as text."""
    text = fed.decode("utf-8", "surrogateescape")
    for key in (text, layout.TREE + text, layout.TREE + text + spelling.MARK):
        with suppress(InvalidInputError):
            path = layout.path_of(key)
            found = layout.tree_prefix(path) if key.endswith("/") else layout.tree_key(path)
            assert found == key
        with suppress(InvalidInputError):
            assert layout.pack_key(layout.pack_of(key)) == key
    with suppress(InvalidInputError):
        assert str(Digest.parse(text)).lower() == text.lower()


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {"path": _path, "key": _key}
