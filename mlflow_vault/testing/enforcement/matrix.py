"""Every call that changes a registry, as every role, in every state of policies.

    python -m mlflow_vault.testing.enforcement.matrix docs/enforcement.md

writes the table between the marks of that page.  A cell is tried by itself: the state before it is
the same for all, and what is refused must have changed nothing and be in the audit log.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from unittest import mock

from mlflow_vault.format.log import Actor
from mlflow_vault.testing.enforcement.states import ROLES, STATES, enter
from mlflow_vault.testing.enforcement.tried import TRIED
from mlflow_vault.testing.enforcement.users import asking, authenticating
from mlflow_vault.testing.enforcement.world import World, outcome, populate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.testing.enforcement.tried import Call

    Cells = dict[tuple[Call, str, str], str]

BEGIN: Final = "<!-- the matrix begins: python -m mlflow_vault.testing.enforcement.matrix -->"
END: Final = "<!-- the matrix ends -->"
DONE: Final = "done"
_LETTERS: Final = dict(zip(STATES, "npwdo", strict=True))
_ADMIN: Final = Actor(ROLES["admin"], verified=True)


def try_all(folder: Path) -> Cells:
    """Return how every call ends, by call, role and state; each refusal changed nothing."""
    name = secrets.token_hex(8)
    world = World(folder, name)
    with mock.patch.dict(os.environ, world.environment), authenticating(folder):
        populate(world)
        cells = {cell: how for state in STATES for cell, how in _try_state(world, state)}
    world.close()
    return cells


def _try_state(world: World, state: str) -> Iterator[tuple[tuple[Call, str, str], str]]:
    enter(world.vault, state, _ADMIN)
    world.keep()
    before, logged = world.dump(), world.refusals()
    for call in TRIED:
        for role, user in ROLES.items():
            with asking(user):
                code, said = outcome(partial(call.make, world))
            if code == DONE:
                world.restore()
            else:
                where = f"{call} as {role}, {state}"
                assert code == "PERMISSION_DENIED", f"{where}: {code}, {said}"
                assert world.dump() == before, f"{where}: changed something"
                assert world.refusals() > logged, f"{where}: is not logged"
            logged = world.refusals()
            yield (call, role, state), code


def table(cells: Cells) -> Iterator[str]:
    """Yield the lines of the table: for each call and role the states in which it is done."""
    yield f"| call | {' | '.join(ROLES)} |"
    yield f"|{'---|' * (len(ROLES) + 1)}"
    for call in TRIED:
        found = []
        for role in ROLES:
            done = [_LETTERS[state] for state in STATES if cells[call, role, state] == DONE]
            found.append("all" if len(done) == len(STATES) else " ".join(done) or "-")
        text = f"`{call.name}`{f', {call.text}' if call.text else ''}"
        yield f"| {text} | {' | '.join(found)} |"


def replaced(page: str, lines: Iterator[str]) -> str:
    """Return *page* with the *lines* of a table between its marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return "\n".join([f"{head}{BEGIN}", "", *lines, "", f"{END}{tail}"])


def main(path: Path) -> None:
    """Write the table into the page *path*."""
    logging.disable(logging.WARNING)
    with TemporaryDirectory() as folder:
        cells = try_all(Path(folder))
    page = path.read_text(encoding="utf-8")
    path.write_text(replaced(page, table(cells)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
