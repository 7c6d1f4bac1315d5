"""Versions: immutable, named, attributed sets of files.

A version is named by what it contains, in the spelling of all digests.  The name is taken over
its files alone, so neither how they are stored nor who committed them, when and under which name
changes it:

    MLmodel 512 b3:...            sorted by path
    model.safetensors 90868376 b3:...     --BLAKE3-->  b3:6f1e...

All else is what was known when it was committed: where the files came from, what they were made
from, and what MLflow told.  MLflow's number is a label: numbers start again after a model was
deleted, a digest cannot.

Pure: no I/O.  Written down in docs/format.md, "Versions".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format.digest import Digest, from_hex
from mlflow_vault.format.record import Kind, frame_json, unframe_json
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_COMMIT: Final = re.compile("[0-9a-f]{32}")
_YEAR_10000: Final = 253_402_300_800_000  # milliseconds since 1970
_PARTS: Final = 100_000  # objects of content
_SHA256: Final = 32  # bytes
_LAST: Final = 253_402_300_799_999  # the last millisecond of the year 9999
_ORIGIN: Final = ("uri", "path", "model_id", "run_id", "experiment_id")
_DOMAIN: Final = b"mlflow-vault version 1\n"  # no file begins so and means this


@dataclass(frozen=True, slots=True, order=True)
class File:
    """One file of a version.

    Attributes:
        path: From the version's root.
        size: Bytes.
        digest: BLAKE3 of the bytes.
        sha256: SHA-256 of the bytes, for signatures and other tools.
    """

    path: str
    size: int
    digest: Digest
    sha256: bytes

    def to_dict(self) -> dict[str, Any]:
        """This file as plain values."""
        return {
            "path": self.path,
            "size": self.size,
            "b3": self.digest.raw.hex(),
            "sha256": self.sha256.hex(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> File:
        """Undo `to_dict`.

        Raises:
            LookupError, TypeError, ValueError: It is no file.
        """
        return cls(
            path=str(values["path"]),
            size=int(values["size"]),
            digest=Digest(from_hex(values["b3"])),
            sha256=from_hex(values["sha256"]),
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the files of a version came from.

    Attributes:
        uri: What was committed, as it was asked for: ``models:/m-...``, ``runs:/...``.
        path: The sealed artifact path in the vault; the files lie below.
        model_id: MLflow's logged model, ``m-...``; empty if there is none.
        run_id: The run that made it; empty if there is none.
        experiment_id: The experiment of either.
    """

    uri: str
    path: str
    model_id: str = ""
    run_id: str = ""
    experiment_id: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable, named, attributed set of files.

    Attributes:
        digest: The name of its files.
        id: The name of this commit; several may hold the same files.
        name: The registered model; empty if it is none.
        number: MLflow's label; 0 if it has none.
        created: Milliseconds since 1970, UTC.
        author: Who committed it, as far as MLflow or the system knows.
        origin: Where its files came from.
        files: Sorted by path.
        parents: Digests of the versions that it was declared to be made from.
        metadata: What its committer declared.
        facts: What MLflow and the run told without being asked; docs/format.md, "Facts".
        content: The id of the commit whose copy of the entries this one uses.
        parts: Of how many objects that copy is.
    """

    digest: Digest
    id: str
    name: str
    number: int
    created: int
    author: str
    origin: Origin
    files: tuple[File, ...]
    parents: tuple[Digest, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    content: str = ""
    parts: int = 0

    def __repr__(self) -> str:
        return f"Version({self.label!r}, {str(self.digest)[:15]!r})"

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def label(self) -> str:
        """What people call it: ``name/3``, or its digest where it has no number."""
        return f"{self.name}/{self.number}" if self.number else str(self.digest)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """This version as plain values."""
        return {
            "digest": self.digest.raw.hex(),
            "id": self.id,
            "name": self.name,
            "number": self.number,
            "created": self.created,
            "author": self.author,
            "origin": {
                "uri": self.origin.uri,
                "path": self.origin.path,
                "model_id": self.origin.model_id,
                "run_id": self.origin.run_id,
                "experiment_id": self.origin.experiment_id,
            },
            "files": [file.to_dict() for file in self.files],
            "parents": [parent.raw.hex() for parent in self.parents],
            "metadata": self.metadata,
            "facts": self.facts,
            "content": self.content,
            "parts": self.parts,
        }

    def _repr_html_(self) -> str:
        made = datetime.fromtimestamp(self.created / 1000, UTC).isoformat(sep=" ")
        rows: list[tuple[str, object]] = [
            ("digest", self.digest),
            ("committed", made),
            ("author", self.author),
            ("from", self.origin.uri),
            ("files", f"{len(self.files)}, {self.size:,} bytes"),
            *((f"metadata.{key}", value) for key, value in sorted(self.metadata.items())),
        ]
        for kind in ("params", "metrics"):
            rows += [(f"{kind}.{key}", value) for key, value in sorted(self.told(kind).items())]
        return html_table(self.label, rows)

    def to_bytes(self) -> bytes:
        """Spell this version as a stored object.

        Raises:
            InvalidInputError: Its metadata is no JSON or too large.
        """
        try:
            return frame_json(Kind.VERSION, finite(self.to_dict()))
        except (RecursionError, TypeError, ValueError) as cause:
            raise InvalidInputError(
                f"the metadata of {self.label} cannot be kept as JSON: {cause}"
            ) from cause

    @classmethod
    def from_bytes(cls, stored: bytes, key: str) -> Version:
        """Undo `to_bytes`, believing nothing.

        Raises:
            CorruptionError: *stored* is damaged, or its files do not make its digest.
            UnsupportedError: It needs a newer release.
        """
        body = unframe_json(Kind.VERSION, stored, key)
        try:
            version = cls(
                digest=Digest(from_hex(body["digest"])),
                id=str(body["id"]),
                name=str(body["name"]),
                number=int(body["number"]),
                created=int(body["created"]),
                author=str(body["author"]),
                origin=Origin(*(str(body["origin"][name]) for name in _ORIGIN)),
                files=tuple(map(File.from_dict, body["files"])),
                parents=tuple(Digest(from_hex(parent)) for parent in body["parents"]),
                metadata=dict(body["metadata"]),
                facts=dict(body["facts"]),
                content=str(body["content"]),
                parts=int(body["parts"]),
            )
            named = digest_of(version.files)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as cause:
            raise CorruptionError(key, f"it is no version ({cause})") from cause
        if named != version.digest:
            raise CorruptionError(key, "its files do not make its digest")
        reason = _unsound(version)
        if reason:
            raise CorruptionError(key, f"it is no version ({reason})")
        return version

    def told(self, kind: str) -> dict[str, Any]:
        """The facts of one kind that are an object, such as ``"metrics"``; empty otherwise.

        Facts come from whoever logged to MLflow and may be anything that JSON can say.
        """
        value = self.facts.get(kind)
        return value if isinstance(value, dict) else {}


def _unsound(version: Version) -> str:
    if not all(map(_COMMIT.fullmatch, (version.id, version.content))):
        return "a commit is 32 hexadecimal digits"
    if version.number < 0 or not 0 <= version.created <= _LAST or not 0 <= version.parts <= _PARTS:
        return "a number beyond range"
    if any(len(file.sha256) != _SHA256 or file.size < 0 for file in version.files):
        return "a file that cannot be"
    return ""


def digest_of(files: Iterable[File]) -> Digest:
    """Name a set of files by what it contains.

    >>> a = File("a", 0, Digest.of(b""), bytes(32))
    >>> b = File("b", 0, Digest.of(b""), bytes(32))
    >>> digest_of([a, b]) == digest_of([b, a])
    True

    Raises:
        InvalidInputError: Two files share a path.
    """
    hasher = blake3(_DOMAIN)
    before: bytes | None = None
    for path, file in sorted((spelled(file.path), file) for file in files):
        if path == before:
            raise InvalidInputError(f"two files of one version are called {file.path!r}")
        before = path
        # The length stands before the path, so that no path can look like what follows one.
        hasher.update(b"%d %s %d %s\n" % (len(path), path, file.size, str(file.digest).encode()))
    return Digest(hasher.digest())


def spelled(path: str) -> bytes:
    """Spell a path as it is sorted and hashed."""
    return path.encode("utf-8", "surrogateescape")


def finite(value: Any) -> Any:
    """Return *value* with numbers that JSON lacks spelled as text: ``"NaN"``, ``"-Infinity"``."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return value
