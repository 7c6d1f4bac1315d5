"""A round moves what passes, tells of the rest, and is stopped by nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.verdict import Result, State, Verdict
from mlflow_vault.errors import ConflictError, DeniedError, StorageError, WaitingError
from mlflow_vault.format.digest import Digest
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.triggers.rounds import promote_candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mlflow_vault.format.decision import Decision
    from mlflow_vault.govern.triggers.choosing import Candidate


def policy(name: str, mode: str = "enforce", to: str = "staging", **more: Any) -> Policy:
    """A policy that is automatic."""
    transition = {"to": to, "automatic": True, **more}
    return Policy.model_validate(
        {"metadata": {"name": name}, "mode": mode, "transition": transition}
    )


def held(name: str, number: int) -> Held:
    """A version as the registry has it."""
    digest = str(Digest.of(f"{name}/{number}".encode()))
    return Held(f"models:/{name}/{number}", "", name=name, number=number, digest=digest)


@dataclass
class Table:
    """A desk whose policies say what they are told to; what moved stands nowhere after that.

    Attributes:
        in_force: The policies.
        models: How many versions each model has.
        says: What a policy says of a version, if it does not pass.
        on_move: What happens instead of a move.
    """

    in_force: tuple[Policy, ...]
    models: dict[str, int]
    says: dict[tuple[str, str], State] = field(default_factory=dict)
    on_move: Callable[[Candidate], None] | None = None
    moved: list[tuple[str, str]] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)

    def policies(self) -> Sequence[Policy]:
        """All policies in force."""
        return self.in_force

    def registered(self, name: str) -> Iterable[Held]:
        """What the registry has, but what has moved."""
        gone = {label for label, _ in self.moved}
        for model, count in self.models.items():
            for number in range(1, count + 1):
                if name in {"", model} and f"{model}/{number}" not in gone:
                    yield held(model, number)

    def history(self, name: str) -> Iterator[Decision]:
        """Nothing; of a broken model not even that."""
        if name == "broken":
            raise StorageError("the disk is gone")
        return iter(())

    def judge(self, candidate: Candidate, *, thorough: bool) -> tuple[Verdict, ...]:
        """What was said."""
        self.judged += [candidate.label] * thorough
        return tuple(
            Verdict(
                policy=one.name,
                policy_digest=str(one.digest),
                mode=one.mode,
                transition=f"promotion to {candidate.to}",
                candidate=candidate.label,
                candidate_digest=candidate.digest,
                baseline="",
                baseline_digest="",
                time=0,
                results=(
                    Result(
                        "r", "r", self.says.get((one.name, candidate.label), State.PASSED), "so"
                    ),
                ),
            )
            for one in self.in_force
        )

    def move(self, candidate: Candidate, reason: str) -> int:
        """Move."""
        assert candidate.why in reason
        if self.on_move is not None:
            self.on_move(candidate)
        self.moved.append((candidate.label, candidate.to))
        return candidate.seen + 1


def fates(table: Table, name: str = "") -> list[tuple[str, str]]:
    """Hold a round; say what became of whom."""
    found = promote_candidates(table, name)
    return [(one.label, one.fate.value) for one in found.candidates]


def test_moves() -> None:
    """The newest that passes moves; what is denied or waits is told, and stays."""
    says = {("p", "m/3"): State.DENIED, ("p", "n/1"): State.WAITING}
    table = Table((policy("p"),), {"m": 3, "n": 1}, says)

    found = promote_candidates(table)

    assert table.moved == [("m/2", "staging"), ("m/1", "staging")]  # nothing stands on this table
    assert [str(one) for one in found.candidates if one.number == 3 or one.name == "n"] == [
        "m/3 to staging: denied (the newest version without a stage)\n    p, r: so",
        "n/1 to staging: waiting (the newest version without a stage)\n    p, r: so",
    ]
    assert str(found).endswith("2 moved, 1 waiting, 1 denied")
    assert found.to_dict()["moved"] == 2
    assert "n/1" in found._repr_html_()


def test_nothing_automatic() -> None:
    """Without automatic policies nothing is even asked."""
    table = Table((policy("p", automatic=False),), {"m": 3})

    assert fates(table) == []
    assert str(promote_candidates(table)) == "no candidates"
    assert table.judged == []


def test_one_model() -> None:
    """A round may be about one model."""
    table = Table((policy("p"),), {"m": 1, "n": 1})

    assert fates(table, "n") == [("n/1", "moved")]


def test_failures_stay_apart() -> None:
    """A model that cannot be looked at, or a move that fails, does not stop the others."""

    def fail(candidate: Candidate) -> None:
        if candidate.name == "bad":
            raise RuntimeError("a surprise")

    table = Table((policy("p"),), {"bad": 1, "broken": 1, "m": 1}, on_move=fail)

    found = promote_candidates(table)

    assert [(one.label, one.fate.value) for one in found.candidates] == [
        ("bad/1", "failed"),
        ("broken", "failed"),
        ("m/1", "moved"),
    ]
    assert [one.reasons for one in found.failed] == [
        ("RuntimeError: a surprise",),
        ("the disk is gone",),
    ]


def test_modes() -> None:
    """Nothing moves by a policy that it does not pass, whatever its mode, or by a rehearsal."""
    warns = policy("w", "warn")
    rehearses = policy("d", "dry_run")
    denied = {("w", "m/1"): State.DENIED, ("d", "m/1"): State.DENIED}

    assert fates(Table((warns,), {"m": 1})) == [("m/1", "moved")]
    assert fates(Table((warns,), {"m": 1}, denied)) == [("m/1", "denied")]
    assert fates(Table((rehearses,), {"m": 1})) == [("m/1", "ready")]
    assert fates(Table((rehearses,), {"m": 1}, denied)) == [("m/1", "denied")]
    assert fates(Table((policy("p"), rehearses), {"m": 1}, denied)) == [("m/1", "moved")]


def test_all_have_a_say() -> None:
    """A policy in force that is not automatic can stand against it; one that warns cannot."""
    denied = {("other", "m/1"): State.DENIED}

    strict = Table((policy("p"), policy("other", automatic=False)), {"m": 1}, denied)
    mild = Table((policy("p"), policy("other", "warn", automatic=False)), {"m": 1}, denied)

    assert fates(strict) == [("m/1", "denied")]
    assert fates(mild) == [("m/1", "moved")]


def test_overtaken() -> None:
    """Who comes second looks again, and then finds nothing to do."""
    table = Table((policy("p"),), {"m": 1})

    def lose(candidate: Candidate) -> None:
        table.moved.append((candidate.label, candidate.to))
        raise ConflictError("bob was first")

    table.on_move = lose

    assert fates(table) == [("m/1", "overtaken")]
    assert table.judged == ["m/1"]


def test_changed_meanwhile() -> None:
    """What no longer passes when it is moved is told as any other."""
    for error, fate in ((DeniedError("no"), "denied"), (WaitingError("later"), "waiting")):

        def refuse(_: Candidate, error: Exception = error) -> None:
            raise error

        assert fates(Table((policy("p"),), {"m": 1}, on_move=refuse)) == [("m/1", fate)]


def test_ends() -> None:
    """A desk on which candidates come back again and again does not hold a round for ever."""
    table = Table((policy("p"),), {"m": 1})

    def lose(_: Candidate) -> None:
        raise ConflictError("bob was first")

    table.on_move = lose

    assert fates(table) == [("m/1", "overtaken")]
    assert len(table.judged) < 10
