"""A store that allows what an IAM policy allows: who asks for more is refused, as by a server.

It judges documents as AWS does, as far as ours go: statements that allow, actions, resources with
``*``, and the conditions ``StringLike``, ``StringLikeIfExists`` and ``Null``.  A server that does
not know a condition's key, such as Ceph's gateway, goes by it; that can be asked for, too.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlflow_vault.store.protocol import Folder, Stat, Store

AWS: Final = frozenset({"s3:prefix", "s3:if-none-match"})
CEPH: Final = frozenset({"s3:prefix"})


class GuardedStore:
    """A store, as somebody with some rights sees it.

    Args:
        inner: The store.
        document: An IAM policy.
        place: The bucket and the prefix that its keys are under: ``bucket/models/``.
        known: The keys of conditions that the server knows.

    Attributes:
        used: Every action and key that was allowed, but for listings.
    """

    def __init__(
        self, inner: Store, document: Mapping[str, Any], place: str, known: frozenset[str] = AWS
    ) -> None:
        self._inner = inner
        self._statements = document["Statement"]
        self._bucket, _, self._root = place.partition("/")
        self._known = known
        self.used: set[tuple[str, str]] = set()

    @property
    def uri(self) -> str:
        """Where it lies."""
        return self._inner.uri

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes of *key*, as `Store.get`."""
        self._look(key)
        return self._inner.get(key, start, stop)

    def put(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* whole, as `Store.put`."""
        self._need("s3:PutObject", key)
        return self._inner.put(key, body)

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[str]:
        """Put each of *items*, as `Store.put_many`."""
        return [self.put(key, body) for key, body in items]

    def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* if nothing is there, as `Store.create`."""
        self._need("s3:PutObject", key, {"s3:if-none-match": "*"})
        return self._inner.create(key, body)

    def stat(self, key: str) -> Stat | None:
        """Return what a listing would say of *key*, as `Store.stat`."""
        self._look(key)
        return self._inner.stat(key)

    def list(self, prefix: str) -> Iterator[Stat]:
        """Yield every object below *prefix*, as `Store.list`."""
        self._need("s3:ListBucket", None, {"s3:prefix": self._root + prefix})
        return self._inner.list(prefix)

    def list_level(self, prefix: str) -> Iterator[Stat | Folder]:
        """Yield what lies directly below *prefix*, as `Store.list_level`."""
        self._need("s3:ListBucket", None, {"s3:prefix": self._root + prefix})
        return self._inner.list_level(prefix)

    def delete(self, key: str) -> None:
        """Remove *key*, as `Store.delete`."""
        self._need("s3:DeleteObject", key)
        self._inner.delete(key)

    def _look(self, key: str) -> None:
        """What is missing is told to those only who may list."""
        self._need("s3:GetObject", key)
        if self._inner.stat(key) is None:
            self._need("s3:ListBucket", None)

    def _need(self, action: str, key: str | None, told: Mapping[str, str] | None = None) -> None:
        place = f"arn:aws:s3:::{self._bucket}" + ("" if key is None else f"/{self._root}{key}")
        if not any(self._allows(one, action, place, told or {}) for one in self._statements):
            raise PermissionDeniedError(f"403: no statement allows {action} on {place}")
        if key is not None:
            self.used.add((f"{action} if nothing is there" if told else action, key))

    def _allows(
        self, statement: Mapping[str, Any], action: str, place: str, told: Mapping[str, str]
    ) -> bool:
        assert statement["Effect"] == "Allow"
        return (
            action in statement["Action"]
            and any(fnmatchcase(place, one) for one in statement["Resource"])
            and all(
                self._holds(operator, key, wanted, told)
                for operator, keys in statement.get("Condition", {}).items()
                for key, wanted in keys.items()
            )
        )

    def _holds(self, operator: str, key: str, wanted: Any, told: Mapping[str, str]) -> bool:
        if key not in self._known:
            return True
        if operator == "Null":
            return (key in told) is (wanted == "false")
        if key not in told:
            return operator == "StringLikeIfExists"
        return any(fnmatchcase(told[key], one) for one in wanted)
