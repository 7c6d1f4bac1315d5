"""Bytes become the numbers that their file says they are."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mlflow_vault.format.elements import Element
from mlflow_vault.govern.diff.readings import is_ambiguous, reading_of, told_types

# From the tables of the OCP 8-bit Floating Point Specification, and of the paper that brought FNUZ
# (Noune et al., 2022): smallest, one, largest, and what is beyond.
EIGHT_BITS = [
    ("F8_E4M3", {0x01: 2.0**-9, 0x08: 2.0**-6, 0x38: 1, 0xB8: -1, 0x7E: 448, 0x7F: math.nan}),
    ("F8_E5M2", {0x01: 2.0**-16, 0x3C: 1, 0x7B: 57344, 0x7C: math.inf, 0xFC: -math.inf}),
    ("F8_E5M2", {0x7D: math.nan, 0xFF: math.nan, 0x80: -0.0}),
    ("F8_E4M3FNUZ", {0x01: 2.0**-10, 0x40: 1, 0x7F: 240, 0xFF: -240, 0x80: math.nan}),
    ("F8_E5M2FNUZ", {0x01: 2.0**-17, 0x40: 1, 0x7F: 57344, 0x80: math.nan}),
    ("F8_E8M0", {0x00: 2.0**-127, 0x7F: 1, 0xFE: 2.0**127, 0xFF: math.nan}),
]


@pytest.mark.parametrize(("name", "expected"), EIGHT_BITS)
def test_eight_bit_floats(name: str, expected: dict[int, float]) -> None:
    """Floats of eight bits are what their specification says."""
    reading = reading_of(Element.U8, name)

    found = reading.values(reading.bits(bytes(expected))).tolist()

    assert found == pytest.approx(list(expected.values()), nan_ok=True, abs=0)
    assert [math.copysign(1, x) for x in found if x == 0] == [
        math.copysign(1, x) for x in expected.values() if x == 0
    ]


@pytest.mark.parametrize(
    ("element", "told", "name", "value"),
    [
        (Element.U8, "", "U8", 255),
        (Element.U8, "I8", "I8", -1),
        (Element.U8, "BOOL", "BOOL", 255),
        (Element.U16, "", "I16", -1),
        (Element.U32, "U32", "U32", 2**32 - 1),
        (Element.U64, "", "I64", -1),
        (Element.U64, "I8", "I64", -1),  # told by a header that contradicts its entry
        (Element.U64, "whatever", "I64", -1),
    ],
)
def test_integers(element: Element, told: str, name: str, value: int) -> None:
    """Integers are read as their file says, else signed but for bytes."""
    reading = reading_of(element, told)

    assert reading.name == name
    assert reading.values(reading.bits(b"\xff" * element.width)).tolist() == [value]


def test_what_is_ambiguous() -> None:
    """A float is one, a byte may be many things, and nothing is made of the unknown."""
    assert [is_ambiguous(one) for one in (Element.BF16, Element.U8, None)] == [False, True, False]
    assert not reading_of(None).is_number


def safetensors_of(header: bytes) -> bytes:
    """A file that begins as safetensors do."""
    return len(header).to_bytes(8, "little") + header


def told(plain: bytes) -> dict[str, str]:
    """What a file of these bytes says."""
    return told_types(lambda start, stop: plain[start:stop])


def test_told() -> None:
    """A header names the type of every tensor."""
    header = {"__metadata__": {"a": "b"}, "w": {"dtype": "F8_E5M2", "shape": [1]}, "odd": 3}

    assert told(safetensors_of(json.dumps(header).encode()))["w"] == "F8_E5M2"


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"short",
        np.arange(10).tobytes(),
        safetensors_of(b"{"),
        safetensors_of(b"[]"),
        safetensors_of(b'{"a":' * 100_000),
        (1 << 60).to_bytes(8, "little") + b"{}",
        safetensors_of(b'{"a":{"dtype":1},"a":{}}'),
    ],
)
def test_no_header(plain: bytes) -> None:
    """A file that only looks like safetensors tells nothing."""
    assert told(plain) == {}
