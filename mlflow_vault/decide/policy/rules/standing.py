"""Where a version stands and for how long: the transition itself, soak, and the clock.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.decide.policy.durations import moment, rough, spell
from mlflow_vault.decide.policy.matching import is_for
from mlflow_vault.decide.policy.verdict import Result, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.policy.rules.case import Case


def judge_model(case: Case) -> Iterator[Result]:
    """Judge whether the policy is for such models at all."""
    patterns, name = case.policy.metadata.models, case.candidate.name
    holds = is_for(case.policy, name)
    reason = f"{name!r} is" if holds else f"the policy is not for {name!r}"
    yield Result(
        "models",
        f"the model is one of {', '.join(patterns)}",
        State.PASSED if holds else State.DENIED,
        reason,
        {"name": name},
    )


def judge_transition(case: Case) -> Iterator[Result]:
    """Judge where the candidate comes from."""
    asked, stages = case.policy.transition, case.candidate.stages
    seen = {"stages": list(stages), "stood": sorted({stay.stage for stay in case.context.stays})}
    reason, holds = f"it stands in {', '.join(stages)}", True
    if asked.from_ and not set(asked.from_) & set(stages):
        holds, reason = False, f"{reason}, not in {' or '.join(asked.from_)}"
    if asked.kind == "rollback" and asked.to not in seen["stood"]:
        holds, reason = False, f"it never stood in {asked.to}: there is nothing to go back to"
    text = f"{asked.kind} from {' or '.join(asked.from_) or 'any stage'} to {asked.to}"
    state = State.PASSED if holds else State.DENIED
    yield Result("transition", text, state, reason, seen)


def judge_clock(case: Case) -> Iterator[Result]:
    """Judge whether what happened lies in the past."""
    now = case.context.now
    times = {"created": case.candidate.created}
    for at, stay in enumerate(case.context.stays):
        times[f"stays[{at}].entered"] = stay.entered
        if stay.left is not None:
            times[f"stays[{at}].left"] = stay.left
    odd = [f"{name} is {why}" for name, time in sorted(times.items()) if (why := case.ahead(time))]
    if now <= 0:
        odd.append("it is not known what time it is")
    state = State.DENIED if odd else State.PASSED
    reason = "; ".join(odd[:5]) or f"it is {moment(now)}"
    yield Result("clock", "nothing lies in the future", state, reason, {"now": now, **times})


def judge_soak(case: Case) -> Iterator[Result]:
    """Judge how long the candidate has stood where the policy wants it."""
    asked = case.policy.soak
    if asked is None:
        return
    text = f"in {asked.in_} for at least {spell(asked.for_)}"
    stays = (stay for stay in case.context.stays if stay.stage == asked.in_ and stay.left is None)
    since = [stay.entered for stay in stays]
    if not since or asked.in_ not in case.candidate.stages:  # what was told and what is agree
        reason = f"it does not stand in {asked.in_}"
        lacking = (f"a stay in {asked.in_}",)
        yield Result("soak", text, State.DENIED, reason, {"entered": since or None}, lacking)
        return
    entered = max(since)  # a stay that was begun again counts from its new beginning
    seen = {"entered": entered, "now": case.context.now}
    if ahead := case.ahead(entered):
        reason = f"the stay began {ahead}"
        yield Result("soak", text, State.DENIED, reason, seen, ("a clock that is right",))
        return
    stood = case.age(entered)
    reason = f"since {moment(entered)}, for {rough(stood)}"
    if stood < asked.for_:
        lacking = (f"{rough(asked.for_ - stood)} more",)
        yield Result("soak", text, State.WAITING, f"{reason}: {lacking[0]}", seen, lacking)
        return
    yield Result("soak", text, State.PASSED, reason, seen)
