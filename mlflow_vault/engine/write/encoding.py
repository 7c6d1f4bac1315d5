"""One new chunk on its way: what it is coded against, and coding it.

Before a chunk goes anywhere it is decoded again and compared: codecs and memory have
corrupted backups before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlflow_vault.decide.bases import Base, Relative, inherited, pays
from mlflow_vault.errors import CorruptionError, StorageError
from mlflow_vault.format.coding.codec import (
    Coded,
    decode,
    encode_delta,
    encode_whole,
    estimate_whole,
)

if TYPE_CHECKING:
    from mlflow_vault.engine.write.cutting import Chunk
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.elements import Element
    from mlflow_vault.format.rows import Tensor


@dataclass(slots=True)
class Course:
    """How one tensor is being stored.

    Attributes:
        tensor: The tensor as its entry will have it, but for age and spent.
        relative: Where it continues another, None where it is new.
        theirs: The tensor it continues.
        whole: Whether it is stored without bases; None until the first new chunk was seen.
        stored: Bytes of its rows, known ones included.
        fresh: Bytes of its rows that this write added.
    """

    tensor: Tensor
    relative: Relative | None = None
    theirs: Tensor | None = None
    whole: bool | None = None
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
    """A chunk that has to be stored."""

    chunk: Chunk
    digest: Digest
    course: Course | None
    base: Base | None = None
    base_bytes: bytes | memoryview = b""
    coded: Coded | None = None
    uses_base: bool = False

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
        coded = encode_delta(plain, item.base_bytes, item.element, item.base.element)
        if coded and not pays(len(coded.payload) / len(plain), estimate_whole(plain, item.element)):
            coded = None
    base = item.base_bytes if coded else None
    coded = coded or encode_whole(plain, item.element)
    try:
        came_back = decode(coded.codec, coded.payload, size=len(plain), base=base) == plain
    except CorruptionError:
        came_back = False
    if not came_back:
        raise StorageError(
            f"the chunk {item.digest} did not come back from {coded.codec.name.lower()} coding; "
            "nothing was committed. If logging it again fails too, suspect this machine's memory."
        )
    return coded
