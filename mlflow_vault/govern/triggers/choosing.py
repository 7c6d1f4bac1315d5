"""Which versions are candidates for a transition that nobody asked for.

    to staging      versions that are newer than all that ever stood anywhere; newest first
    to production   what stands in staging, if it is newer than what stands in production
    to archived     what was replaced, or is tagged as deprecated, and stands nowhere

Automatic moves only go forward: what once stood in a stage, was rolled back from or is deprecated
does not come back by itself, whatever its numbers say.  Somebody may still move it by hand.

Pure: no I/O; whether a candidate passes is for the policies to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.policy.matching import is_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlflow_vault.decide.policy.schema import Policy
    from mlflow_vault.format.decision import Decision, Stand
    from mlflow_vault.govern.host import Held

DEPRECATED_TAG: Final = "deprecated"  # of a model version
_YES: Final = frozenset(("true", "yes", "1"))
_STAGES: Final = ("production", "staging")  # what stands there moves on before others come
_TARGETS: Final = (*_STAGES, "archived")
_SOURCES: Final = {"staging": ("none",), "production": ("staging",), "archived": ("none",)}
# Of versions that came while nobody looked the newest may be bad and the one before it good.
_LOOK_BACK: Final = 5


@dataclass(frozen=True, slots=True)
class Past:
    """What the decisions about a model come to.

    Attributes:
        stands: Who stands in which stage.
        stood: The numbers and digests of what ever stood in a stage, by stage.
        failed: The digests that somebody rolled back from.
        archived: The numbers and digests of what is archived.
        seen: The number of the newest decision, -1 if there is none.
    """

    stands: Mapping[str, Stand] = field(default_factory=dict)
    stood: Mapping[str, frozenset[tuple[int, str]]] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    archived: frozenset[tuple[int, str]] = frozenset()
    seen: int = -1

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> Past:
        """Read what was decided, newest first."""
        newest: Decision | None = None
        stood: dict[str, set[tuple[int, str]]] = {stage: set() for stage in _STAGES}
        failed: set[str] = set()
        last: dict[tuple[int, str], str] = {}  # where each moved last
        for one in decisions:
            newest = newest or one
            last.setdefault((one.number, str(one.digest)), one.to)
            for stage in _STAGES:
                there = [side[stage] for side in (one.before, one.after) if stage in side]
                stood[stage] |= {(stand.number, str(stand.digest)) for stand in there}
            if one.action == "roll_back" and one.to in one.before:
                failed.add(str(one.before[one.to].digest))
        return cls(
            newest.after if newest is not None else {},
            {stage: frozenset(versions) for stage, versions in stood.items()},
            frozenset(failed),
            frozenset(version for version, to in last.items() if to == "archived"),
            newest.sequence if newest is not None else -1,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may move, if the policies say so.

    Attributes:
        name: The registered model.
        number: Of the version.
        digest: Of the version, ``b3:...``.
        to: The stage.
        why: What makes it a candidate.
        seen: The number of the newest decision about the model that was known then.
    """

    name: str
    number: int
    digest: str
    to: str
    why: str
    seen: int = -1

    @property
    def label(self) -> str:
        """What people call the version."""
        return f"{self.name}/{self.number}"


def automatic(policies: Iterable[Policy], name: str) -> dict[str, tuple[Policy, ...]]:
    """The policies that move versions of the model *name* by themselves, by stage."""
    found = [
        policy
        for policy in policies
        if policy.transition.automatic
        and policy.transition.kind != "rollback"
        and is_for(policy, name)
    ]
    stages = [one for one in _TARGETS if any(policy.transition.to == one for policy in found)]
    return {
        stage: tuple(policy for policy in found if policy.transition.to == stage)
        for stage in stages
    }


def plan_candidates(
    name: str, held: Iterable[Held], past: Past, policies: Mapping[str, tuple[Policy, ...]]
) -> list[Candidate]:
    """Choose candidates.

    Args:
        name: The registered model.
        held: Its versions, as the registry has them.
        past: What was decided about it.
        policies: As `automatic` returns them.

    Returns:
        Candidates in the order in which they are to be tried; of those to one stage the first that
        passes should move, of those to the archive all.
    """
    seen = _Seen({one.number: one for one in held if one.digest}, past)
    chosen: list[Candidate] = []
    for stage, asking in policies.items():
        sources = {source for one in asking for source in one.transition.from_ or _SOURCES[stage]}
        found = seen.old(sources) if stage == "archived" else seen.new(stage, sources)
        chosen += [
            Candidate(name, one.number, one.digest, stage, why, past.seen) for one, why in found
        ]
    return chosen


@dataclass(frozen=True, slots=True)
class _Seen:
    versions: Mapping[int, Held]
    past: Past

    def new(self, stage: str, sources: set[str]) -> Iterator[tuple[Held, str]]:
        """What may move up to *stage*."""
        if "staging" in sources and stage == "production":
            yield from self._staged()
        if "none" in sources:
            floor = self._furthest()
            fresh = (
                one
                for number, one in sorted(self.versions.items(), reverse=True)
                if number > floor and not self._stood(one, *_STAGES) and self._may_rise(one)
            )
            for count, one in enumerate(fresh):
                if count == _LOOK_BACK:
                    return
                yield one, "the newest version without a stage" if not count else "a new version"

    def old(self, sources: set[str]) -> Iterator[tuple[Held, str]]:
        """What may go to the archive."""
        occupied = {where: one for where in _STAGES if (one := self._at(where)) is not None}
        for number, one in sorted(self.versions.items()):
            where = [place for place, there in occupied.items() if there.number == number]
            if (number, one.digest) in self.past.archived or "production" in where:
                continue
            if (where or ["none"])[0] not in sources:
                continue
            if _is_deprecated(one):
                yield one, f"it is tagged as {DEPRECATED_TAG}"
            elif not where and any(
                (number, one.digest) in self.past.stood.get(at, ()) for at in occupied
            ):
                yield one, "it was replaced"

    def _staged(self) -> Iterator[tuple[Held, str]]:
        staged, live = self._at("staging"), self._at("production")
        if staged is None or not self._may_rise(staged):
            return
        is_newer = live is None or staged.number > live.number
        if is_newer and not self._stood(staged, "production"):
            yield staged, "it stands in staging"

    def _at(self, stage: str) -> Held | None:
        """Who stands in *stage*; nobody if the registry forgot them, and numbers began again.

        Where nothing was ever decided, the registry's alias says it.
        """
        stand = self.past.stands.get(stage)
        if stand is None:
            aliased = [one for one in self.versions.values() if stage in one.aliases]
            return aliased[0] if aliased and not self.past.stood.get(stage) else None
        held = self.versions.get(stand.number)
        return held if held is not None and held.digest == str(stand.digest) else None

    def _furthest(self) -> int:
        """The newest number that ever stood anywhere; those of a deleted model do not count."""
        stood = {version for versions in self.past.stood.values() for version in versions}
        there = [
            number
            for number, digest in stood
            if (held := self.versions.get(number)) is not None and held.digest == digest
        ]
        aliased = [one.number for stage in _STAGES if (one := self._at(stage)) is not None]
        return max(there + aliased, default=0)

    def _stood(self, one: Held, *stages: str) -> bool:
        """Whether these files stood there, under whatever number."""
        stood = (version for stage in stages for version in self.past.stood.get(stage, ()))
        return any(digest == one.digest for _, digest in stood)

    def _may_rise(self, one: Held) -> bool:
        archived = (one.number, one.digest) in self.past.archived
        return not archived and one.digest not in self.past.failed and not _is_deprecated(one)


def _is_deprecated(held: Held) -> bool:
    return held.tags.get(DEPRECATED_TAG, "").strip().lower() in _YES
