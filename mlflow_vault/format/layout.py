"""Where every kind of object lies in a store, and how artifact paths become keys.

    vault.json                 what this vault is; written once
    tree/<path>!               entries: what MLflow sees, overwritten atomically
    packs/<aa>/<id>            encoded chunks
    intents/ outcomes/ sweeps/ transactions and collections
    notices/features/<name>    what a reader or writer must know; written once
    notices/condemned/<gc>     packs a collector is about to delete
    seals/<unit>!/<digest>     promises that a path no longer changes
    versions/records/          versions, by digest
    versions/content/          their entries
    versions/names/            which there are of a registered model
    policies/, decisions/, statements/, factors/    see `governed_layout`
    log/<sequence>             what was done, and by whom; written once
    log/tile/...               hashes over the log, as C2SP lays them out
    log/checkpoints/<number>   signed heads of the log; written once
    hints/...                  notes that save work and may be wrong

An artifact path is any POSIX path a person can type; `spelling` says how it becomes a key:

    Model v2/MLmodel  ->  tree/!model!032v2/!m!lmodel!

A last ``!`` marks an entry, so that ``a`` and ``a/b`` never collide.  The way back is unique:
`path_of` undoes `tree_key`.

Pure: no I/O.  Written down in docs/format.md, "Keys".
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.spelling import CONTINUED, MARK, escape, escape_path, unescape

VAULT: Final = "vault.json"
TREE: Final = "tree/"
PACKS: Final = "packs/"
INTENTS: Final = "intents/"
OUTCOMES: Final = "outcomes/"
NOTICES: Final = "notices/"
FEATURES: Final = "notices/features/"
CONDEMNED: Final = "notices/condemned/"
SWEEPS: Final = "sweeps/"
SEALS: Final = "seals/"
RECORDS: Final = "versions/records/"
CONTENT: Final = "versions/content/"
NAMES: Final = "versions/names/"
SIGNATURES: Final = "versions/signatures/"
LOG: Final = "log/"
CHECKPOINTS: Final = "log/checkpoints/"
TILES: Final = "log/tile/"
PROBES: Final = "hints/probes/"
HINTS: Final = "hints/"
KNOWN_FILES: Final = "hints/files/"
FAMILIES: Final = "hints/families/"
LISTINGS: Final = "hints/listings/"
LOG_HEAD: Final = "hints/log"  # where the log ended

_ODD: Final = frozenset({"", ".", ".."})  # components that no path has
_LONGEST: Final = 900  # bytes: S3 takes keys of 1,024, and a prefix comes before ours
_LONGEST_NAME: Final = 780  # bytes of a model's name as spelled, so that its keys are no longer


def check_path(path: str) -> str:
    """Return *path* if it names something inside a vault; the empty path is its root.

    Raises:
        InvalidInputError: It climbs (``..``, encoded any number of times), is absolute,
            has a NUL, an empty or a ``.`` component, or is too long.

    >>> check_path("1/run/artifacts/model.pkl")
    '1/run/artifacts/model.pkl'
    """
    if not path:
        return path
    if len(path) > _LONGEST:
        raise InvalidInputError(f"artifact path {path[:80]!r}... is too long: shorten it")
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as cause:
        raise InvalidInputError(f"artifact path {path!r} is no text: {cause.reason}") from cause
    _refuse_climbing(path)
    if path.startswith("/"):
        raise InvalidInputError(f"artifact path {path!r} is absolute; give it relative to its root")
    if not _ODD.isdisjoint(path.split("/")):
        raise InvalidInputError(f"artifact path {path!r} has an empty or '.' component")
    if len(escape_path(path)) > _LONGEST:
        raise InvalidInputError(f"artifact path {path[:80]!r}... is too long: shorten it")
    return path


def _refuse_climbing(path: str) -> None:
    """Refuse what climbs or ends early once it is decoded, any number of times."""
    seen = path
    while True:
        if "\0" in seen:
            raise InvalidInputError(f"artifact path {path!r} has a NUL character")
        if ".." in re.split(r"[/\\]", seen):
            raise InvalidInputError(f"artifact path {path!r} climbs out of its folder with '..'")
        decoded = unquote(seen, errors="surrogateescape")
        if decoded == seen:
            return
        seen = decoded


def join(folder: str, name: str) -> str:
    """Put *name* below *folder*, either of which may be empty."""
    return f"{folder}/{name}" if folder and name else folder or name


def tree_key(path: str) -> str:
    """The key of the entry of the file *path*.

    >>> tree_key("Model v2/MLmodel")
    'tree/!model!032v2/!m!lmodel!'
    """
    return TREE + escape_path(check_path(path)) + MARK


def tree_prefix(path: str) -> str:
    """What the keys of all entries below the folder *path* start with."""
    return TREE + (escape_path(check_path(path)) + "/" if path else "")


def path_of(key: str) -> str:
    """Undo `tree_key`, or `tree_prefix` where *key* ends in ``/``.

    Raises:
        InvalidInputError: No artifact path has this key.
    """
    end = "/" if key.endswith("/") else MARK
    inner = key.removeprefix(TREE).removesuffix(end)
    parts = [
        unescape(component, key) for component in inner.replace(CONTINUED + "/", "").split("/")
    ]
    path = "/".join(parts)
    if not path or key != f"{TREE}{escape_path(check_path(path))}{end}":
        raise InvalidInputError(f"{key} is not the key of an artifact path")
    return path


def pack_key(pack: bytes) -> str:
    """The key of the pack with the random 16-byte id *pack*."""
    name = pack.hex()
    return f"{PACKS}{name[:2]}/{name}"


def pack_of(key: str) -> bytes:
    """Undo `pack_key`.

    Raises:
        InvalidInputError: *key* is not that of a pack.
    """
    name = key.rsplit("/", 1)[-1]
    if not re.fullmatch(r"[0-9a-f]{32}", name) or pack_key(bytes.fromhex(name)) != key:
        raise InvalidInputError(f"{key} is not the key of a pack")
    return bytes.fromhex(name)


def seal_unit(path: str) -> str:
    """The prefix below which every seal that can cover *path* lies: one listing tells.

    A unit is what MLflow calls an artifact root, ``.../artifacts``, else the first component.
    """
    parts = path.split("/")
    stop = parts.index("artifacts") + 1 if "artifacts" in parts else 1
    return f"{SEALS}{escape_path('/'.join(parts[:stop]))}{MARK}/"


def seal_key(path: str) -> str:
    """The key of the seal on *path*; the seal covers it and everything below."""
    unit = seal_unit(path)
    return f"{unit}{Digest.of(path.encode('utf-8', 'surrogateescape')).raw.hex()}"


def seal_prefix(path: str) -> str:
    """What the keys of the seals of all units below the folder *path* start with."""
    return SEALS + (escape_path(path) + "/" if path else "")


def record_key(digest: Digest, commit: str) -> str:
    """The key of the version with these files that the commit *commit* made."""
    return f"{record_prefix(digest)}{commit}"


def record_prefix(digest: Digest) -> str:
    """What the keys of all versions with these files start with."""
    name = digest.raw.hex()
    return f"{RECORDS}{name[:2]}/{name}/"


def content_key(digest: Digest, commit: str, part: int) -> str:
    """The key of one object of the entries that the commit *commit* copied."""
    name = digest.raw.hex()
    return f"{CONTENT}{name[:2]}/{name}/{commit}/{part:05d}"


def signature_key(digest: Digest, name: str) -> str:
    """The key of the signature *name* of a version's files."""
    return f"{signature_prefix(digest)}{name}"


def signature_prefix(digest: Digest) -> str:
    """What the keys of all signatures of a version's files start with."""
    name = digest.raw.hex()
    return f"{SIGNATURES}{name[:2]}/{name}/"


def name_key(name: str, number: int, digest: Digest, commit: str) -> str:
    """The key that says that a version is called *name* and *number*.

    >>> name_key("Fraud", 3, Digest.of(b""), "0c")[:36]
    'versions/names/!fraud!/0000000003-af'
    """
    return f"{name_prefix(name)}{number:010d}-{digest.raw.hex()}-{commit}"


def name_prefix(name: str) -> str:
    """What the keys of all versions of the registered model *name* start with.

    Raises:
        InvalidInputError: *name* is too long, or no text.
    """
    return f"{NAMES}{spelled_name(name)}/"


def named_record(key: str) -> tuple[int, str]:
    """The number and the key of the version that the name key *key* is of.

    Raises:
        InvalidInputError: *key* is not that of a name.
    """
    found = _NAMED.fullmatch(key.rpartition("/")[2])
    if not key.startswith(NAMES) or found is None:
        raise InvalidInputError(f"{key} is not the key of a version's name")
    return int(found[1]), record_key(Digest(bytes.fromhex(found[2])), found[3])


def spelled_name(name: str) -> str:
    """Spell the name of a model or a policy as one component of a key.

    Raises:
        InvalidInputError: It is too long, or no text.
    """
    try:
        spelled = escape(name)
    except UnicodeEncodeError as cause:
        raise InvalidInputError(f"the name {name!r} is no text: {cause.reason}") from cause
    if len(spelled) > _LONGEST_NAME:
        raise InvalidInputError(
            f"the name {name[:40]!r}... is too long for a vault: register it by a shorter one"
        )
    return f"{spelled}{MARK}"


def log_key(sequence: int) -> str:
    """The key of the entry with this number in the audit log.

    >>> log_key(7)
    'log/00000000000000000007'
    """
    return f"{LOG}{sequence:020d}"


def checkpoint_key(number: int) -> str:
    """The key of the checkpoint with this number."""
    return f"{CHECKPOINTS}{number:020d}"


def known_file_key(digest: Digest) -> str:
    """The key of the hint that says where a file of these bytes is held."""
    name = digest.raw.hex()
    return f"{KNOWN_FILES}{name[:2]}/{name}"


def family_key(bucket: str) -> str:
    """The key of the hint that lists the newest members of a family *bucket*."""
    name = Digest.of(bucket.encode("utf-8", "surrogateescape")).raw.hex()[:32]
    return f"{FAMILIES}{name[:2]}/{name}"


def listing_key(folder: str) -> str:
    """The key of the hint that holds the sizes of the files directly in *folder*."""
    name = Digest.of(folder.encode("utf-8", "surrogateescape")).raw.hex()[:32]
    return f"{LISTINGS}{name[:2]}/{name}"


_NAMED: Final = re.compile(r"([0-9]{10,})-([0-9a-f]{64})-([0-9a-f]+)")
