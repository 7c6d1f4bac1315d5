"""Whether what production has fits what the candidate was made with.

    python     the same ``exact`` version, the same ``minor`` (3.11) or ``major`` (3), or any
    packages   so too, for each; or the versions that production may have: ``>=2.4,<3``
    hardware   gpus: every kind that the candidate was made with is there; memory: as much;
               cpu: the same kind; platform: the same system and machine

A model may ask for versions (``>=1.5``) rather than have one; then production's has to be among
them, or be asked for in the same words.  Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlflow_vault.decide.policy.rules.case import environment
from mlflow_vault.decide.policy.schema import LEVELS, Environment
from mlflow_vault.decide.policy.verdict import Result, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow_vault.decide.policy.rules.case import Case

_SHOWN: Final = 5
_PARTS: Final = {"major": 1, "minor": 2}


def judge_environment(case: Case) -> Iterator[Result]:
    """Judge the rule ``environment``, if the policy has it."""
    asked = case.policy.environment
    if asked is None:
        return
    holds, reason, missing = compatible(case)
    packages = ", ".join(f"{name} {wanted}" for name, wanted in asked.packages.items())
    text = f"python {asked.python}; packages {packages or 'any'}"
    if asked.hardware:
        text += f"; {', '.join(asked.hardware)}"
    state = State.PASSED if holds else State.DENIED
    yield Result("environment", text, state, reason, seen(case), missing)


def seen(case: Case) -> dict[str, Any]:
    """Return what the candidate was made with and what production has."""
    return {"environment": environment(case.candidate), "production": case.production()}


def compatible(case: Case) -> tuple[bool | None, str, tuple[str, ...]]:
    """Whether the environments are compatible, None if unknown; why; what is missing."""
    made, has = environment(case.candidate), case.production()
    if has is None and case.excused:
        return True, "there is no baseline", ()
    if made is None or has is None:
        told = (("environment", made), ("production", has))
        lacking = tuple(name for name, found in told if found is None)
        return None, " and ".join(f"{name} is missing" for name in lacking), lacking
    asked = case.policy.environment or Environment()
    broken = [*_python(asked, made, has), *_packages(asked, made, has)]
    for part in asked.hardware:
        broken += _HARDWARE[part](made, has)
    more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    reason = "; ".join(broken[:_SHOWN]) + more
    return not broken, reason or "production has what the candidate was made with", ()


def _python(asked: Environment, made: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[str]:
    wants, found = made.get("python"), has.get("python")
    if asked.python != "ignore":
        yield from _level("python", asked.python, wants, found)


def _packages(asked: Environment, made: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[str]:
    wants, found = _named(made.get("packages")), _named(has.get("packages"))
    rules = {canonicalize_name(name): rule for name, rule in asked.packages.items()}
    others = rules.pop(canonicalize_name("*"), "ignore")
    for name in sorted({*wants, *found} - {*rules}):
        # Without a version on either side nobody asked for one: `pip` in a conda.yaml.
        if wants.get(name) and found.get(name) and others != "ignore":
            yield from _package(name, others, wants[name], found[name])
    for name, rule in sorted(rules.items()):
        if rule != "ignore":
            yield from _package(name, rule, wants.get(name), found.get(name))


def _package(name: str, rule: str, wants: Any, found: Any) -> Iterator[str]:
    if rule in LEVELS:
        yield from _level(name, rule, wants, found)
        return
    for side, told in (("the candidate was made with", wants), ("production has", found)):
        version = _version(told)
        if version is None:
            yield f"{side} no known version of {name}"
        elif not SpecifierSet(rule).contains(version, prereleases=True):
            yield f"{side} {name} {version}, and {rule} is asked"


def _level(name: str, level: str, wants: Any, found: Any) -> Iterator[str]:
    if wants is None or found is None:
        yield f"{name} is missing {'in production' if found is None else 'for the candidate'}"
        return
    exists, asked = _version(found), _version(wants)
    if exists is None and asked is None and wants == found != "" and level != "exact":
        return
    if exists is None:
        yield f"production's {name} is no version: {found!s:.60}"
    elif asked is None:
        if not _among(exists, wants):
            yield f"the candidate asks for {name} {wants!s:.60}, production has {exists}"
    elif not _same(exists, asked, level):
        yield f"the candidate was made with {name} {asked}, production has {exists}"


def _same(one: Version, other: Version, level: str) -> bool:
    if level == "exact":
        return one == other
    kept = _PARTS[level]
    return (one.epoch, *_release(one, kept)) == (other.epoch, *_release(other, kept))


def _release(version: Version, kept: int) -> tuple[int, ...]:
    return (*version.release, 0, 0)[:kept]


def _among(version: Version, wants: Any) -> bool:
    if not isinstance(wants, str) or not wants.strip():
        return False
    try:
        return SpecifierSet(wants).contains(version, prereleases=True)
    except InvalidSpecifier:
        return False


def _version(told: Any) -> Version | None:
    try:
        return Version(told) if isinstance(told, str) else None
    except InvalidVersion:
        return None


def _named(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        return {}
    return {canonicalize_name(str(name)): version for name, version in told.items()}


def _gpus(made: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[str]:
    wants, found = made.get("gpus") or [], has.get("gpus") or []
    if not isinstance(wants, list) or not isinstance(found, list):
        yield "gpus are no list"
        return
    lacking = sorted({str(one) for one in wants} - {str(one) for one in found})
    if lacking:
        yield f"production has no {', '.join(lacking)[:200]}"


def _memory(made: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[str]:
    wants, found = made.get("memory"), has.get("memory")
    if not isinstance(wants, int) or not isinstance(found, int):
        yield "memory is not known"
    elif found < wants:
        yield f"the candidate was made with {wants} bytes of memory, production has {found}"


def _cpu(made: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[str]:
    yield from _equal("cpu", *(_kind(side.get("cpu")) for side in (made, has)))


def _platform(made: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[str]:
    yield from _equal("platform", *(_system(side.get("platform")) for side in (made, has)))


def _equal(name: str, wants: str, found: str) -> Iterator[str]:
    if not wants or not found:
        yield f"{name} is not known"
    elif wants != found:
        yield f"the candidate was made on {wants:.80}, production is {found:.80}"


def _kind(cpu: Any) -> str:
    """The kind of a processor, without how many: ``2 x AMD EPYC``."""
    return cpu.split(" x ", 1)[-1] if isinstance(cpu, str) else ""


def _system(platform: Any) -> str:
    """System and machine of a platform, without the release between them."""
    words = platform.split() if isinstance(platform, str) else []
    return f"{words[0]} {words[-1]}" if words else ""


_HARDWARE: Final = {"cpu": _cpu, "gpus": _gpus, "memory": _memory, "platform": _platform}
