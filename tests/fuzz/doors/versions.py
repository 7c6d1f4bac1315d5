"""What is told of versions, and asked of them: records, content, signatures, filters."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.expression import evaluate, judge, parse
from mlflow_vault.decide.lineage.build import build
from mlflow_vault.errors import InvalidInputError, VaultError
from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, frame
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.describing.bom import bom
from mlflow_vault.govern.describing.card import model_card
from mlflow_vault.govern.index.known import lookup
from mlflow_vault.govern.records import Records
from mlflow_vault.govern.searching import Found
from mlflow_vault.govern.signing.bundle import Signature
from mlflow_vault.govern.signing.statement import Statement
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlflow_vault.decide.expression import Field, Value

_KEY: Final = "the/key"
_COMMIT: Final = "0c" * 16
_EMPTY: Final = Version(
    digest_of([]), _COMMIT, "", 0, 0, "", Origin("", ""), (), content=_COMMIT, parts=1
)


def _version(fed: bytes) -> None:
    """The input is JSON, whose files get the digest that they make."""
    version = _read(fed)
    if version is None:
        return
    with suppress(InvalidInputError):  # too large to be kept is no mistake of the reader's
        assert Version.from_bytes(version.to_bytes(), _KEY).digest == version.digest
    version._repr_html_()
    Found((version,)).to_dict()
    build([version]).to_mermaid()
    look = lookup(version, None)
    evaluate(parse("metrics.f1 > 0.5 OR tags.team = 'a' OR dataset.name = 'b'"), look)
    bom(version)
    model_card(version)


def _read(fed: bytes) -> Version | None:
    try:
        body = json.loads(fed)
        files = [File.from_dict(file) for file in body["files"]]
        body["digest"] = digest_of(files).raw.hex()
        stored = frame(Kind.VERSION, json.dumps(body).encode())
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        stored = frame(Kind.VERSION, fed or b"{}")
    with suppress(VaultError):
        return Version.from_bytes(stored, _KEY)
    return None


def _content(fed: bytes) -> None:
    """The input is the body of a part of a version's content."""
    store = MemoryStore()
    store.put(layout.content_key(_EMPTY.digest, _COMMIT, 0), frame(Kind.FILES, fed or b"\0"))
    with suppress(VaultError):
        assert not Records(store).entries(_EMPTY), "files that the version does not list"


def _filter(fed: bytes) -> None:
    """The input is a filter."""
    known: dict[str, Value] = {"f1": 0.5, "team": "risk", "created": 1}

    def look(field: Field) -> Value:
        return known.get(field.key)

    text = fed.decode("utf-8", "replace")
    with suppress(InvalidInputError):
        asked = parse(text)
        assert evaluate(asked, look) in {True, False}
        assert judge(asked, look) in {True, False, None}


def _bundle(fed: bytes) -> None:
    """The input is a signature."""
    with suppress(InvalidInputError):
        signature = Signature.from_bytes(fed)
        assert Signature.from_bytes(signature.to_bytes()) == signature
        Statement.parse(signature.payload)
    with suppress(InvalidInputError):
        Statement.parse(fed)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "version": _version,
    "content": _content,
    "filter": _filter,
    "bundle": _bundle,
}
