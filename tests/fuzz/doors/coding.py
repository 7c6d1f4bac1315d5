"""Payloads: whatever one says, decoding gives so many bytes or says that it is damaged."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import LARGEST_CHUNK
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.coding.codec import (
    Codec,
    decode,
    encode_delta,
    encode_whole,
    estimate_whole,
)
from mlflow_vault.format.coding.kernels import plain
from mlflow_vault.format.coding.kernels.choice import fastest, using
from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlflow_vault.format.coding.kernels.protocol import Kernels

_ELEMENTS: Final = (None, *Element)
_HEAD: Final = 6  # bytes: codec, size, and bytes of the base


def spell(codec: int, payload: bytes, size: int, base: bytes | None) -> bytes:
    """Return the input that makes the target decode this."""
    length = 0xFFFF if base is None else len(base)
    head = bytes([codec]) + size.to_bytes(3, "little") + length.to_bytes(2, "little")
    return head + (base or b"") + payload


def _decode(fed: bytes) -> None:
    """The input says codec, size and bytes of the base; then come base and payload."""
    if len(fed) < _HEAD:
        return
    codec, size = fed[0], int.from_bytes(fed[1:4], "little")
    length = int.from_bytes(fed[4:_HEAD], "little")
    base = None if length == 0xFFFF else fed[_HEAD : _HEAD + length]
    payload = fed[_HEAD + len(base or b"") :]
    both = [_decoded(loops, codec, payload, size, base) for loops in (plain, fastest())]
    assert both[0] == both[1], "numpy and C differ"
    found = both[0]
    if found is None:
        return
    assert len(found) == size <= LARGEST_CHUNK
    assert codec in set(Codec)
    assert decode(codec, memoryview(payload), size=size, base=base) == found


def _decoded(
    loops: Kernels, codec: int, payload: bytes, size: int, base: bytes | None
) -> bytes | None:
    with using(loops), suppress(CorruptionError):
        return decode(codec, payload, size=size, base=base)
    return None


def _encode(fed: bytes) -> None:
    """The input says two elements and where it parts; what is encoded comes back."""
    if len(fed) < 4:
        return
    element, base_element = (_ELEMENTS[octet % len(_ELEMENTS)] for octet in fed[:2])
    parting = 4 + int.from_bytes(fed[2:4], "little")
    base, plain = fed[4:parting], fed[parting:]
    whole = encode_whole(plain, element)
    assert decode(whole.codec, whole.payload, size=len(plain)) == plain
    assert estimate_whole(plain, element) >= 0
    delta = encode_delta(plain, base, element, base_element)
    if delta is not None:
        assert decode(delta.codec, delta.payload, size=len(plain), base=base) == plain
        with suppress(CorruptionError):  # another base gives other bytes, or none
            decode(delta.codec, delta.payload, size=len(plain), base=base[1:])


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {"decode": _decode, "encode": _encode}
