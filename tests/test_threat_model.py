"""Every claim of the threat model names a test that shows it, and every test named is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
TEXT: Final = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
NAMED: Final = re.compile(r"`(tests/[^`]*)`")


def claims() -> dict[str, list[str]]:
    """Return each claim of the tables and the tests it names."""
    found = {}
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line[:1] == "|" else []
        if cells and cells[0] != "claim" and set(cells[0]) != {"-"}:
            assert len(cells) == 2, line
            found[cells[0]] = NAMED.findall(cells[1])
    return found


def test_every_claim_names_a_test() -> None:
    """No claim stands without one."""
    assert len(claims()) > 20
    assert [claim for claim, tests in claims().items() if not tests] == []


@pytest.mark.parametrize("named", sorted(set(NAMED.findall(TEXT))))
def test_every_test_is_there(named: str) -> None:
    """What is named is a file with tests in it, or one of them."""
    file, _, test = named.partition("::")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    tests |= {
        ast.unparse(target)  # a state machine's test case is assigned
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }

    assert any(name.lower().startswith("test") for name in tests)
    assert not test or test in tests
