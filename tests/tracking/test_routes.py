"""`doors.toml` knows every route and field of MLflow's that can say where something lies.

When MLflow grows another one, this fails: look at what it opens, and add it there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

KINDS: Final = ("door", "plant", "kept", "own")


@pytest.fixture(scope="module")
def asked() -> Any:
    """What this MLflow can be asked, as `list_routes` finds it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", Path(__file__).with_name("list_routes.py")],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return json.loads(done.stdout)


def test_every_field_is_known(asked: Any, doors: Any) -> None:
    """Every described field that may be a location is tried, or known to be none."""
    known: dict[str, set[str]] = {}
    for entry in (entry for kind in KINDS for entry in doors[kind]):
        known.setdefault(entry["route"], set()).update(entry.get("field", "").split())

    unknown = {
        route: sorted(set(fields) - known.get(route, set()))
        for route, fields in asked["fields"].items()
        if not set(fields) <= known.get(route, set())
    }

    assert len(asked["fields"]) > 20
    assert unknown == {}


def test_every_route_is_known(asked: Any, doors: Any) -> None:
    """Every route whose fields nothing describes is tried, or known to name no place."""
    known = {entry["route"] for kind in KINDS for entry in doors[kind]} | set(doors["nowhere"])

    assert len(asked["routes"]) > 20
    assert sorted(set(asked["routes"]) - known) == []


def test_what_is_known_is_tried(doors: Any) -> None:
    """Each line says what is sent, and each field that it claims is in what is sent."""
    for entry in (entry for kind in ("door", "plant", "kept") for entry in doors[kind]):
        sent = str([entry.get("json"), entry.get("query"), entry.get("url")])
        assert "{" in sent, entry
        for field in entry.get("field", "").split():
            last = field.rpartition(".")[2]
            spelled = {last, "{raw}", "update_mask" if "update_mask" in field else last}
            assert any(name in sent for name in spelled), (entry["route"], field)
