"""What to roll back to follows from what was decided."""

from __future__ import annotations

from mlflow_vault.decide.rollbacks import fallen, is_failing
from mlflow_vault.format.decision import Decision, Stand
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Actor
from mlflow_vault.format.statement import Kind, Statement

FILES = {number: Digest.of(b"%d" % number) for number in range(1, 9)}


def _decided(*moves: tuple[str, int]) -> list[Decision]:
    """Decisions about production, newest first: what was done, and who stood there then."""
    found: list[Decision] = []
    before: dict[str, Stand] = {}
    for sequence, (action, number) in enumerate(moves):
        after = {} if action == "archive" else {"production": _stand(number, sequence)}
        found.append(
            Decision(
                vault="v",
                model="credit",
                sequence=sequence,
                time=sequence,
                id="0" * 32,
                action=action,
                actor=Actor("ann"),
                number=number,
                digest=FILES[number],
                to="archived" if action == "archive" else "production",
                before=before,
                after=after,
            )
        )
        before = after
    return found[::-1]


def _stand(number: int, sequence: int) -> Stand:
    return Stand(number, FILES[number], sequence, sequence)


def test_nothing() -> None:
    """Where nobody stood there is nothing to go back to."""
    assert fallen([]).stands == ()
    assert fallen(_decided(("promote", 1))).healthy() == ()


def test_latest_first() -> None:
    """Who left last comes first, each once, and who stands there now does not."""
    found = fallen(_decided(*(("promote", number) for number in (1, 2, 3, 1, 4))))

    assert [one.number for one in found.healthy()] == [1, 3, 2]


def test_never_twice() -> None:
    """What somebody rolled back from is never healthy again, even if it was promoted again."""
    moves = [("promote", 1), ("promote", 2), ("roll_back", 1), ("promote", 2), ("promote", 3)]
    found = fallen(_decided(*moves))

    assert found.failed == {FILES[2]}
    assert [one.number for one in found.healthy()] == [1]


def test_archived() -> None:
    """What was archived out of production left it, and was not rolled back from."""
    found = fallen(_decided(("promote", 1), ("promote", 2), ("archive", 2)))

    assert [one.number for one in found.healthy()] == [2, 1]


def test_failing() -> None:
    """The last look of monitoring counts."""
    said = [
        Statement("v", "credit", 1, FILES[1], kind, "0" * 32, time, Actor("m"), body=body)
        for time, (kind, body) in enumerate(
            [
                (Kind.HEALTH, {"condition": "failing"}),
                (Kind.HEALTH, {"condition": "healthy"}),
                (Kind.EVIDENCE, {"condition": "failing"}),
            ]
        )
    ]

    assert [is_failing(said[:count]) for count in range(4)] == [False, True, False, False]
