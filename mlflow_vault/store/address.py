"""Addresses: where a vault, or something inside one, lies.

    vault-file:///srv/models      vault-s3://bucket/models
    `-scheme-' `---path----'      `scheme'  authority path

MLflow hands these around as URIs and rewrites them on the way (it collapses slashes and
appends components), so many spellings are one address, and ``str`` gives the canonical one.

A vault's scheme is outside MLflow's own guards, so the guard is here: no address climbs
(``..``), however often that is percent-encoded, and a file address has no host.

Pure but for `Address.of_path`, which asks for the current folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "file"
MEMORY: Final = "memory"
S3: Final = "s3"
GS: Final = "gs"
AZ: Final = "az"
ABFS: Final = "abfs"
# Where the authority is a bucket, or a container, and the path a prefix in it, or nothing.
BUCKETS: Final = frozenset({S3, GS, AZ, ABFS})

_URI: Final = re.compile(
    r"vault[-+]([a-z][a-z0-9]*):(?://([^/]*))?(.*)\Z", re.IGNORECASE | re.DOTALL
)
_ANY_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9]*\Z")
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._-]*\Z")
# An honest path is encoded once; each further level costs a pass, so a hostile one must not
# choose their number.
_MOST_LEVELS: Final = 8
_LONGEST_SHOWN: Final = 200  # characters of an address in a message


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where something lies: a scheme, an authority and a path.

    Attributes:
        scheme: Without ``vault-``: ``file``, ``memory``, ...
        authority: A memory store's name, a bucket; empty for files.
        path: Decoded.  Starts with ``/``, does not end in one, has no empty, ``.`` or ``..``
            component; empty for the whole of an authority.
    """

    scheme: str
    authority: str
    path: str

    def __post_init__(self) -> None:
        if _SCHEME.match(self.scheme) is None:
            raise InvalidInputError(f"{self.scheme!r} is no scheme")
        if _AUTHORITY.match(self.authority) is None:
            # Not repeated in the message: it may be a password.
            raise InvalidInputError(
                f"what stands between '//' and '/' in a vault-{self.scheme} address is no plain "
                "name. Give letters, digits, '.', '_', '-'; credentials belong in the environment."
            )
        if self.scheme == FILE and self.authority:
            raise InvalidInputError(
                f"a vault-file address has no host, got {self.authority!r}: write vault-file:///path"
            )
        if self.scheme in BUCKETS and not self.authority:
            raise InvalidInputError(
                f"a vault-{self.scheme} address needs a bucket: write vault-{self.scheme}://bucket/path"
            )
        if not self.path and not self.authority:
            raise InvalidInputError(
                f"a vault-{self.scheme} address needs a path, and not the root '/'"
            )
        _check_path(self.path)

    def __repr__(self) -> str:
        # What was refused shows up in tracebacks with locals, and may hold a password.
        if _AUTHORITY.match(self.authority) is None:
            return "Address(...)"
        return f"Address({self.scheme!r}, {self.authority!r}, {self.path!r})"

    def __str__(self) -> str:
        slashes = f"//{self.authority}" if self.authority or self.scheme == FILE else ""
        return f"vault-{self.scheme}:{slashes}{quote(self.path)}"

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Read *uri*: ``Address.parse(str(a)) == a``.  It is percent-decoded once.

        >>> str(Address.parse("vault+file:/srv//my%20models/"))
        'vault-file:///srv/my%20models'

        Raises:
            InvalidInputError: It is no vault's URI, has a host, a query or a fragment, climbs, or
                is empty.
        """
        found = _URI.match(uri)
        if found is None:
            raise InvalidInputError(
                f"{_shown(uri)} is no vault's address: write vault-file:///path or vault-s3://bucket/path"
            )
        scheme, authority, path = found[1].lower(), found[2] or "", found[3]
        for mark, code in ("?", "%3F"), ("#", "%23"):
            if mark in path or mark in authority:
                raise InvalidInputError(
                    f"{_shown(uri)} has a {mark!r}: for a folder of that name write {code}; "
                    "queries and fragments mean nothing to a vault"
                )
        if path and not path.startswith("/"):
            raise InvalidInputError(
                f"{_shown(uri)} has a relative path: write vault-{scheme}:/path"
            )
        if scheme == FILE and authority.lower() == "localhost":
            authority = ""
        try:
            decoded = unquote(path, errors="strict")
        except UnicodeDecodeError as cause:
            raise InvalidInputError(f"{_shown(uri)} does not decode to UTF-8") from cause
        return cls(scheme, authority, _collapse(decoded))

    @classmethod
    def of_path(cls, path: str | Path) -> Address:
        """Return the address of a local folder; a relative one starts at the current folder.

        Raises:
            InvalidInputError: It is a URI, the root ``/`` or no UTF-8.
        """
        text = os.fspath(path)
        if not text or _ANY_URI.match(text):
            raise InvalidInputError(
                f"{_shown(text)} is no local folder: use Address.parse for a URI"
            )
        return cls(FILE, "", _collapse(os.path.abspath(text)))  # noqa: PTH100 - no symlink is followed

    def parent(self) -> Address | None:
        """Return what lies above, None at the top.

        >>> str(Address.parse("vault-file:/srv/models").parent())
        'vault-file:///srv'
        """
        above = self.path.rpartition("/")[0]
        if not self.path or not (above or self.authority):
            return None
        return replace(self, path=above)

    def parents(self) -> tuple[Address, ...]:
        """Return all that lies above, the nearest first."""
        found = []
        above = self.parent()
        while above is not None:
            found.append(above)
            above = above.parent()
        return tuple(found)

    def joined(self, path: str) -> Address:
        """Return the address of *path*, as it is (nothing is decoded), below this one.

        Raises:
            InvalidInputError: It is absolute, climbs or is not normalised.
        """
        if not path:
            return self
        return replace(self, path=f"{self.path}/{path}")


def _check_path(path: str) -> None:
    if path and (path[0] != "/" or path[-1] == "/" or "//" in path):
        raise InvalidInputError(
            f"{_shown(path)} is no address's path: it starts with '/' and has no empty component"
        )
    try:
        path.encode()
    except UnicodeEncodeError as cause:
        raise InvalidInputError(f"{path!r} is not UTF-8") from cause
    seen = path
    for _ in range(_MOST_LEVELS):
        if "\0" in seen:
            raise InvalidInputError(f"{_shown(path)} has a NUL character")
        if not {".", ".."}.isdisjoint(re.split(r"[/\\]", seen)):
            raise InvalidInputError(f"{_shown(path)} has a '.' or '..' component: write it without")
        decoded = unquote(seen)
        if decoded == seen:
            return
        seen = decoded
    raise InvalidInputError(f"{_shown(path)} is percent-encoded more than {_MOST_LEVELS} times")


def _collapse(path: str) -> str:
    return re.sub(r"//+", "/", path).rstrip("/")


def _shown(text: str) -> str:
    """Return *text* for a message: short, and without what may be credentials."""
    # A password may have a slash in it; what follows a '?' or '#' may be a token.
    shown = re.sub(r"([?#]).*", r"\1...", re.sub(r"//.*@", "//...@", text), flags=re.DOTALL)
    return repr(shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "...")
