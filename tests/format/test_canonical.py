"""JSON of one spelling: RFC 8785's own example, and both ways of reading agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_vault.format.canonical import plain, read, spell

EXAMPLE = r"""
{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}
"""
SPELLED = (
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_rfc() -> None:
    """The RFC's example, 3.2.2, is spelled as 3.2.3 has it, and read back."""
    value = json.loads(EXAMPLE)

    assert spell(value).decode() == SPELLED
    assert read(SPELLED.encode()) == value


def test_order_of_keys() -> None:
    """Keys are in order of their UTF-16, as the RFC's 3.2.3 says, not of their code points."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    expected = ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    stored = spell(dict.fromkeys(keys))

    assert list(json.loads(stored)) == expected
    assert read(stored) == dict.fromkeys(keys)
    by_code_point = json.dumps(dict.fromkeys(keys), sort_keys=True, separators=(",", ":"))
    with pytest.raises(ValueError, match="RFC 8785"):
        read(by_code_point.encode())


@given(value=anything)
def test_round_trip(value: Any) -> None:
    """What is plain has one spelling and reads back as it is."""
    told = plain(value)

    assert read(spell(told)) == told


@given(value=anything, ascii_only=st.booleans(), sort=st.booleans())
@example(value=1.0, ascii_only=True, sort=True)
@example(value=[1e-5, 1e16], ascii_only=True, sort=True)
@example(value=-0.0, ascii_only=True, sort=True)
@example(value="\x7f\x1f", ascii_only=True, sort=True)
def test_other_spellings(value: Any, *, ascii_only: bool, sort: bool) -> None:
    """Of Python's spellings those are read that are RFC 8785's, and no others."""
    stored = json.dumps(
        plain(value), ensure_ascii=ascii_only, sort_keys=sort, separators=(",", ":")
    ).encode()

    if stored == rfc8785.dumps(plain(value)):
        assert read(stored) == plain(value)
    else:
        with pytest.raises(ValueError, match=r"RFC 8785|is no number"):
            read(stored)


@pytest.mark.parametrize("depth", [51, 300, 100_000])
def test_deep(depth: int) -> None:
    """What is nested too deeply is neither spelled nor read."""
    value: Any = 1
    for _ in range(min(depth, 300)):
        value = [value]

    with pytest.raises(ValueError, match="too deeply"):
        spell(value)
    with pytest.raises(ValueError, match="too deeply"):
        read(b"[" * depth + b"1" + b"]" * depth)


def test_not_too_deep() -> None:
    """Brackets that are beside each other are no depth."""
    value: list[Any] = [[[]] for _ in range(100)]

    assert read(spell(value)) == value


@given(st.floats(-(2**53), 2**53) | st.decimals(-(10**6), 10**6).map(float))
def test_numbers(value: float) -> None:
    """A number has one spelling, whichever way it is read."""
    one = rfc8785.dumps(plain(value))
    found = read(one)

    assert float(found) == value
    assert rfc8785.dumps(found) == one
    for other in (json.dumps(value).encode(), b"%.17f" % value, b"%.3e" % value):
        if other != rfc8785.dumps(float(other)):
            with pytest.raises(ValueError, match="RFC 8785"):
                read(other)
