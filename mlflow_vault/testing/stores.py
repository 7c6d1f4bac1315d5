"""Stores around a store: one counts requests, one fails on purpose, one is slow.

Each takes an operation, does something, and hands it on; so they stack, and whatever they
wrap keeps its promises as far as the wrapper lets it::

    counting = CountingStore(MemoryStore())
    for n in itertools.count(1):  # die at every request, one after another
        dying = FaultyStore(counting, [Fault(FaultKind.KILL_AFTER, at=n)])

The same plan on the same operations fails in the same place.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeVar

from mlflow_vault.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlflow_vault.store.protocol import Folder, Stat, Store

T = TypeVar("T")
U = TypeVar("U", bound="Stat | Folder")

PAGE: Final = 1000  # keys that one request lists on S3, GCS and Azure


class Killed(BaseException):
    """The process died here: nothing that `except Exception` may catch, and nothing after it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request: the name of a method of `Store`, and its key or prefix.

    An item of a ``put_many`` is a ``put``.
    """

    name: str
    key: str


class _Wrapped(ABC):
    """A store that hands every operation to *inner* by way of `_around`."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inner!r})"

    @property
    def uri(self) -> str:
        return self._inner.uri

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        return self._around(Operation("get", key), lambda: self._inner.get(key, start, stop))

    def put(self, key: str, body: bytes | bytearray | memoryview) -> str:
        return self._around(Operation("put", key), lambda: self._inner.put(key, body))

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[str]:
        return [self.put(key, body) for key, body in items]

    def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
        return self._around(Operation("create", key), lambda: self._inner.create(key, body))

    def stat(self, key: str) -> Stat | None:
        return self._around(Operation("stat", key), lambda: self._inner.stat(key))

    def list(self, prefix: str) -> Iterator[Stat]:
        return self._listing(Operation("list", prefix), lambda: self._inner.list(prefix))

    def list_level(self, prefix: str) -> Iterator[Stat | Folder]:
        level = Operation("list_level", prefix)
        return self._listing(level, lambda: self._inner.list_level(prefix))

    def delete(self, key: str) -> None:
        return self._around(Operation("delete", key), lambda: self._inner.delete(key))

    @abstractmethod
    def _around(self, operation: Operation, perform: Callable[[], T]) -> T:
        """Do *operation*, which is to call *perform*."""

    def _listing(self, operation: Operation, perform: Callable[[], Iterator[U]]) -> Iterator[U]:
        return self._around(operation, perform)


class CountingStore(_Wrapped):
    """Counts what would be requests on an object store, so that a test can say what a thing costs.

    A listing is a request for every 1,000 keys that are taken from it, at least one.

    Attributes:
        counts: How often, by the name of the operation.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """All requests together."""
        with self._lock:
            return self.counts.total()

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self.counts.clear()

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[str]:
        """Put each of *items* as *inner* does it best; each is one put."""

        def counted() -> Iterator[tuple[str, bytes]]:
            for item in items:
                self._count("put")
                yield item

        return self._inner.put_many(counted())

    def _around(self, operation: Operation, perform: Callable[[], T]) -> T:
        self._count(operation.name)
        return perform()

    def _listing(self, operation: Operation, perform: Callable[[], Iterator[U]]) -> Iterator[U]:
        return self._pages(operation.name, self._around(operation, perform))

    def _pages(self, name: str, found: Iterator[U]) -> Iterator[U]:
        for number, each in enumerate(found):
            if number and number % PAGE == 0:
                self._count(name)
            yield each

    def _count(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1


class FaultKind(Enum):
    """What goes wrong, and whether the operation was performed before it did."""

    ERROR_BEFORE = auto()  # `StorageError`; nothing was done
    ERROR_AFTER = auto()  # `StorageError`; it was done, and the response was lost
    KILL_BEFORE = auto()  # `Killed`; nothing was done, nor is anything from now on
    KILL_AFTER = auto()  # `Killed`; it was done, and nothing is from now on
    TRUNCATE = auto()  # a get returns the first half of its bytes; else nothing goes wrong


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, once: at the *at*-th operation (from 1) that fits the rest.

    Attributes:
        kind: What goes wrong.
        at: Which of the fitting operations it strikes.
        operation: Only operations of this name, any if None.
        prefix: Only keys that start so.
    """

    kind: FaultKind
    at: int = 1
    operation: str | None = None
    prefix: str = ""

    def fits(self, operation: Operation) -> bool:
        """Say whether *operation* is counted towards `at`."""
        name_fits = self.operation is None or self.operation == operation.name
        return name_fits and operation.key.startswith(self.prefix)


class FaultyStore(_Wrapped):
    """Fails as planned, and keeps a log of what was asked of it.

    A listing that fails after it was performed yields its first half, then raises.

    Args:
        inner: The store that does the work.
        plan: What goes wrong.  Where two faults strike one operation, the first listed does.

    Attributes:
        log: Every operation in the order it was begun, those that failed included.
        struck: The faults that have struck.
    """

    def __init__(self, inner: Store, plan: Iterable[Fault] = ()) -> None:
        super().__init__(inner)
        self.log: list[Operation] = []
        self.struck: list[Fault] = []
        self._fitting = [(fault, [0]) for fault in plan]
        self._dead = False
        self._lock = threading.Lock()

    @property
    def dead(self) -> bool:
        """Whether a fault has killed the process."""
        return self._dead

    def _around(self, operation: Operation, perform: Callable[[], T]) -> T:
        kind = self._begin(operation)
        result = perform()
        if kind is FaultKind.TRUNCATE and isinstance(result, bytes):
            return result[: len(result) // 2]  # type: ignore[return-value]
        self._end(operation, kind)
        return result

    def _listing(self, operation: Operation, perform: Callable[[], Iterator[U]]) -> Iterator[U]:
        kind = self._begin(operation)
        return self._half(operation, kind, tuple(perform()))

    def _half(
        self, operation: Operation, kind: FaultKind | None, found: tuple[U, ...]
    ) -> Iterator[U]:
        half = len(found) // 2
        yield from found[:half]
        self._end(operation, kind)
        yield from found[half:]

    def _begin(self, operation: Operation) -> FaultKind | None:
        with self._lock:
            if self._dead:
                raise Killed
            self.log.append(operation)
            kind = self._strike(operation)
            self._dead = kind in {FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER}
        if kind is FaultKind.KILL_BEFORE:
            raise Killed
        if kind is FaultKind.ERROR_BEFORE:
            raise StorageError(f"planned fault before {operation}: nothing was done")
        return kind

    def _strike(self, operation: Operation) -> FaultKind | None:
        kind = None
        for fault, seen in self._fitting:
            if fault.fits(operation):
                seen[0] += 1
                if seen[0] == fault.at and kind is None:
                    kind = fault.kind
                    self.struck.append(fault)
        return kind

    def _end(self, operation: Operation, kind: FaultKind | None) -> None:
        if self._dead:
            raise Killed  # here, or meanwhile in another thread
        if kind is FaultKind.ERROR_AFTER:
            raise StorageError(
                f"planned fault after {operation}: it was done, the response is lost"
            )


class SlowStore(_Wrapped):
    """Waits before every operation, as a network would.

    Args:
        inner: The store that does the work.
        wait: Called before each operation: ``lambda: time.sleep(0.01)``, or a test's barrier.
    """

    def __init__(self, inner: Store, wait: Callable[[], None]) -> None:
        super().__init__(inner)
        self._wait = wait

    def _around(self, operation: Operation, perform: Callable[[], T]) -> T:  # noqa: ARG002
        self._wait()
        return perform()
