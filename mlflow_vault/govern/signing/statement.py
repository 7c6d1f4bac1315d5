"""What a signature says: these files, with these digests, are one model.

An in-toto statement as OpenSSF Model Signing 1.0 defines it: one resource for each file, and a
subject whose SHA-256 is taken over the resources' digests.  The standard leaves out files that git
keeps (``.gitattributes`` and three more), and whatever else a record of ours says.  So the subject
is annotated with the version's own digest, which is over every file, and with that of the record:

    subject: {name, digest: {sha256}, annotations: {mlflow_vault.digest, .commit, .record}}

Other verifiers pass over annotations; ours holds a statement to all that it says.

Pure: no I/O, no cryptography.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest, from_hex
from mlflow_vault.format.layout import check_path
from mlflow_vault.format.stored_json import read_json
from mlflow_vault.format.version import digest_of, finite

if TYPE_CHECKING:
    from mlflow_vault.format.version import File, Version

_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PREDICATE: Final = "https://model_signing/signature/v1.0"
_DIGEST: Final = "mlflow_vault.digest"
_COMMIT: Final = "mlflow_vault.commit"
_RECORD: Final = "mlflow_vault.record"
# Stock verifiers pass over these at a model's root, so as resources they would be missing there.
_PASSED_OVER: Final = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
_SIZES: Final = {"sha256": 32, "blake3": 32}  # bytes of the digests that versions have
# What of a record is signed.  Fields that a later release adds need an annotation of their own.
_RECORDED: Final = (
    *("digest", "id", "name", "number", "created", "author"),
    *("parents", "metadata", "facts"),
)
_ORIGIN: Final = ("uri", "path", "model_id", "run_id", "experiment_id")
_DOMAIN: Final = b"mlflow-vault record 1\n"
_NAMED: Final = 5  # files that a message names


@dataclass(frozen=True, slots=True)
class Statement:
    """What one signature is over, parsed.

    Attributes:
        algorithm: Of the resources' digests: ``sha256`` or ``blake3``.
        resources: Each file's digest, by path.
        digest: The version's, where the signer annotated it.
        commit: The id of the record that was signed with it; empty if none was.
        record: The digest of that record.
    """

    algorithm: str
    resources: dict[str, bytes]
    digest: Digest | None = None
    commit: str = ""
    record: Digest | None = None

    @classmethod
    def parse(cls, payload: bytes) -> Statement:
        """Read a payload, believing nothing.

        Raises:
            InvalidInputError: It is no statement on a model, or of a kind that is not judged here.
        """
        try:
            return _parse(read_json(payload))
        except (AttributeError, LookupError, TypeError, ValueError) as cause:
            raise InvalidInputError(f"its statement cannot be believed: {cause}") from cause

    def differences(self, version: Version) -> list[str]:
        """What of *version* is not as it was signed; empty if all is."""
        found = []
        held = {file.path: _digest(file, self.algorithm) for file in version.files}
        covered = self.digest == version.digest
        if self.digest is not None and not covered:
            found.append(f"it is over {self.digest}, and this is {version.digest}")
        missing = self.resources.keys() - held.keys()
        changed = {
            path for path, digest in self.resources.items() if held.get(path, digest) != digest
        }
        unsigned = {
            path
            for path in held.keys() - self.resources.keys()
            if not (covered and is_passed_over(path))
        }
        for paths, what in ((changed, "changed"), (missing, "missing"), (unsigned, "not signed")):
            if paths:
                found.append(f"{what}: {_names(paths)}")
        if covered and self.commit == version.id and not self.covers_record(version):
            found.append("its record changed since: name, origin, parents, metadata or facts")
        return found

    def covers_record(self, version: Version) -> bool:
        """Whether it vouches for all that the record of *version* says, too."""
        return self.commit == version.id and self.record == record_digest(version)


def state(version: Version) -> bytes:
    """The payload to sign for *version*.

    Raises:
        InvalidInputError: It has no files that can be signed, or one whose name no JSON can hold.
    """
    if digest_of(version.files) != version.digest:
        raise InvalidInputError(f"the files of {version.label} do not make its digest")
    files = sorted(
        (file for file in version.files if not is_passed_over(file.path)),
        key=lambda file: file.path,
    )
    if not files:
        raise InvalidInputError(f"{version.label} has no files to sign")
    over = sorted({file.path.split("/")[0] for file in version.files} & _PASSED_OVER)
    serialization: dict[str, Any] = {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
    }
    if over:
        serialization["ignore_paths"] = over
    root = hashlib.sha256(b"".join(file.sha256 for file in files)).hexdigest()
    statement = {
        "_type": _STATEMENT,
        "subject": [
            {
                "name": version.name or "model",
                "digest": {"sha256": root},
                "annotations": {
                    _DIGEST: str(version.digest),
                    _COMMIT: version.id,
                    _RECORD: str(record_digest(version)),
                },
            }
        ],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": serialization,
            "resources": [
                {"name": file.path, "algorithm": "sha256", "digest": file.sha256.hex()}
                for file in files
            ],
        },
    }
    try:
        return json.dumps(statement, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as cause:
        raise InvalidInputError(
            f"{version.label} has a name that is no UTF-8, which signatures cannot hold: "
            f"{cause.object[cause.start : cause.end]!r}"
        ) from cause


def record_digest(version: Version) -> Digest:
    """Name what the record of *version* says beside its files, however it is stored."""
    whole = version.to_dict()
    signed = {name: whole[name] for name in _RECORDED}
    signed["origin"] = {name: whole["origin"][name] for name in _ORIGIN}
    return Digest.of(_DOMAIN + json.dumps(finite(signed), sort_keys=True).encode())


def is_passed_over(path: str) -> bool:
    """Whether stock verifiers do not look at the file *path* of a model."""
    return path.split("/", maxsplit=1)[0] in _PASSED_OVER


def _digest(file: File, algorithm: str) -> bytes:
    return file.sha256 if algorithm == "sha256" else file.digest.raw


def _names(paths: set[str]) -> str:
    told = ", ".join(repr(path) for path in sorted(paths)[:_NAMED])
    return f"{told} and {len(paths) - _NAMED} more" if len(paths) > _NAMED else told


def _parse(statement: Any) -> Statement:
    if statement["_type"] != _STATEMENT:
        raise ValueError("it is no in-toto statement")
    if statement["predicateType"] != _PREDICATE:
        raise ValueError("it is not of OpenSSF Model Signing 1.0")
    (subject,) = statement["subject"]
    algorithm = _algorithm(statement["predicate"]["serialization"])
    resources: dict[str, bytes] = {}
    root = hashlib.sha256()
    for resource in statement["predicate"]["resources"]:
        path, digest = check_path(resource["name"]), from_hex(resource["digest"])
        if resource["algorithm"] != algorithm or len(digest) != _SIZES[algorithm]:
            raise ValueError(f"the digest of {path!r} is no {algorithm}")
        if not path or path in resources:
            raise ValueError(f"it names {path!r} twice")
        resources[path] = digest
        root.update(digest)
    if not resources:
        raise ValueError("it is over no files")
    if subject["digest"]["sha256"] != root.hexdigest():
        raise ValueError("its subject is not what its resources make")
    return Statement(algorithm, resources, *_annotated(subject.get("annotations") or {}))


def _algorithm(serialization: Any) -> str:
    if serialization["method"] != "files":
        raise ValueError("it is over parts of files; sign whole files instead")
    algorithm = serialization["hash_type"]
    if algorithm not in _SIZES:
        raise ValueError("it is over digests that versions do not have; use sha256")
    return str(algorithm)


def _annotated(annotations: dict[str, Any]) -> tuple[Digest | None, str, Digest | None]:
    """Return what a signer of ours adds: all of it or nothing."""
    if annotations.keys().isdisjoint({_DIGEST, _COMMIT, _RECORD}):
        return None, "", None
    commit = annotations[_COMMIT]
    if not isinstance(commit, str):
        raise TypeError("the commit it names is no text")
    return Digest.parse(annotations[_DIGEST]), commit, Digest.parse(annotations[_RECORD])
