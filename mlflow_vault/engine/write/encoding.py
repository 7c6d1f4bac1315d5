"""One new chunk on its way: what it is coded against, and coding it.

Before a chunk goes anywhere it is decoded again and compared: codecs and memory have
corrupted backups before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.bases import Base, Relative, inherited, pays
from mlflow_vault.errors import StorageError
from mlflow_vault.format.coding.codec import (
    Coded,
    comes_back,
    encode_delta,
    encode_whole,
    estimate_whole,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mlflow_vault.engine.write.cutting import Chunk
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.elements import Element
    from mlflow_vault.format.rows import Tensor

_CLEARLY: Final = 0.6  # of what a tensor's first chunk takes alone


@dataclass(slots=True)
class Course:
    """How one tensor is being stored.

    Attributes:
        tensor: The tensor as its entry will have it, but for age and spent.
        relative: Where it continues another, None where it is new.
        theirs: The tensor it continues.
        whole: Whether it is stored without bases; None until the first new chunk was seen.
        alone: The share that the first new chunk would take without a base; 0 if nobody asked.
        stored: Bytes of its rows, known ones included.
        fresh: Bytes of its rows that this write added.
    """

    tensor: Tensor
    relative: Relative | None = None
    theirs: Tensor | None = None
    whole: bool | None = None
    alone: float = 0.0
    stored: int = 0
    fresh: int = 0

    def aged(self) -> Tensor:
        """The tensor as it was stored, one version older if anything of it changed."""
        tensor, theirs = self.tensor, self.theirs
        if theirs is None or self.whole:
            return replace(tensor, anchor=tensor.element, age=1, spent=self.stored)
        age = theirs.age + (1 if self.fresh else 0)
        spent = inherited(tensor, theirs) + self.fresh
        return replace(tensor, anchor=theirs.anchor, age=age, spent=spent)


@dataclass(slots=True)
class NewChunk:
    """A chunk that has to be stored.

    Attributes:
        tried: Its delta against its base, where that was made to choose the base.
        coding: Done when it is coded.
    """

    chunk: Chunk
    digest: Digest
    course: Course | None
    base: Base | None = None
    base_bytes: bytes | memoryview = b""
    tried: Coded | None = None
    coding: Future[Coded] | None = None

    @property
    def coded(self) -> Coded:
        """How it is stored, once that is known; raises what coding raised."""
        assert self.coding is not None  # noqa: S101 - asked of chunks that are being coded
        return self.coding.result()

    @property
    def element(self) -> Element | None:
        """Of what numbers it is made; None for bytes cut by content."""
        return self.course.tensor.element if self.course else None


def encode(item: NewChunk) -> Coded:
    """Code a chunk the smallest way, then decode it and compare.

    Codecs and memory have corrupted backups before: nothing goes up that did not come back.
    """
    plain, coded = item.chunk.plain, None
    if item.base:
        coded = item.tried or delta(item)
        if coded and not _pays(item, len(coded.payload) / len(plain)):
            coded = None
    base = item.base_bytes if coded else None
    coded = coded or encode_whole(plain, item.element)
    if not comes_back(coded, plain, base):
        raise StorageError(
            f"the chunk {item.digest} did not come back from {coded.codec.name.lower()} coding; "
            "nothing was committed. If logging it again fails too, suspect this machine's memory."
        )
    return coded


def delta(item: NewChunk) -> Coded | None:
    """Code a chunk against its base; None where that cannot be, or saves nothing."""
    if not item.base:
        return None
    return encode_delta(item.chunk.plain, item.base_bytes, item.element, item.base.element)


def _pays(item: NewChunk, share: float) -> bool:
    """Whether a delta of *share* is worth its base.

    The chunks of a tensor are alike: what is far below the first one is not looked at closer.
    """
    if item.course and share < item.course.alone * _CLEARLY:
        return True
    return pays(share, estimate_whole(item.chunk.plain, item.element))
