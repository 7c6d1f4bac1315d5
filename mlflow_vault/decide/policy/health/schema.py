"""What a policy may say of health: where a figure comes from, and what it has to be.

    health:
      rules:
        - {name: auc, metric: live/auc, experiment: credit-live, at_least: 0.7, max_age: 1h}
        - {name: errors, prometheus: 'job:errors:ratio{version="$number"}', at_most: 0.02}
        - {name: drift, python: "acme.health:drift", args: {limit: 0.2}}
      failure_limit: 3
      inconclusive_limit: 10
      delay: 10m

Bounds say what is healthy.  No rule holds an address or a secret: where Prometheus is, and whom
alerts reach, is for whoever runs the monitor to say.

Pure: no I/O.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from mlflow_vault.decide.expression import SEARCH, Expression, Type, fields, parse
from mlflow_vault.decide.expression import Field as Asked
from mlflow_vault.decide.policy.durations import Duration  # noqa: TC001 - for pydantic
from mlflow_vault.decide.policy.parts import Number, Part, Plain, Text

VALUE: Final = Asked("attribute", "value", type=Type.NUMBER)
AGE: Final = Asked("attribute", "age", type=Type.DURATION)
MOST: Final = 100  # rules of one policy

_VOCABULARY: Final = SEARCH.extended({"attribute": {"value": Type.NUMBER, "age": Type.DURATION}})


def read_health_condition(text: str) -> Expression:
    """Read a condition over ``value``, ``age`` and what is known of the version.

    >>> str(read_health_condition("value >= metrics.auc - 0.05"))
    'value >= metrics.auc - 0.05'

    Raises:
        InvalidInputError: It is no condition; the message shows where.
    """
    return parse(text, _VOCABULARY, strict=True)


def _readable(condition: str) -> str:
    if VALUE not in set(fields(read_health_condition(condition))):
        raise ValueError("a health condition asks for value: value >= metrics.auc - 0.05")
    return condition


class HealthRule(Part):
    """One figure, or one question, and what is healthy.

    `metric` is the version's latest value, or with `experiment` that of any of its runs which
    `runs`, a filter of MLflow's, finds.  `prometheus` is an instant query that gives one value;
    ``$model``, ``$number``, ``$stage`` and ``$digest`` stand for the version's.  `python` is a
    function that answers whether the version is healthy.
    """

    name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    metric: Text | None = None
    experiment: Text | None = None
    runs: Text | None = None
    prometheus: Text | None = None
    python: Annotated[Text, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")] | None = None
    args: Plain = Field(default={})
    timeout: Annotated[Duration, Field(gt=0, le=3_600_000)] = 60_000
    at_least: Number | None = None
    at_most: Number | None = None
    require: Annotated[Text, AfterValidator(_readable)] | None = None
    max_age: Annotated[Duration, Field(gt=0)] = 86_400_000

    @model_validator(mode="after")
    def _whole(self) -> HealthRule:
        sources = (self.metric, self.prometheus, self.python)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("say one of metric, prometheus and python")
        bounded = (self.at_least, self.at_most, self.require) != (None, None, None)
        if bounded is (self.python is not None):
            raise ValueError(
                "python answers yes or no by itself: no at_least, at_most, require"
                if bounded
                else "say what is healthy: at_least, at_most or require"
            )
        if self.metric is None and self.experiment is not None:
            raise ValueError("experiment is where a metric is looked for")
        if self.runs is not None and self.experiment is None:
            raise ValueError("runs are those of an experiment, which is missing")
        if self.args and self.python is None:
            raise ValueError("args are those of a python function, which is missing")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("nothing is at_least that and at_most this")
        return self

    @property
    def text(self) -> str:
        """The rule, as people would say it."""
        if self.python is not None:
            return f"{self.python} says yes"
        asked = self.metric or self.prometheus or ""
        where = f" in {self.experiment}" if self.experiment is not None else ""
        parts = [f">= {self.at_least:g}"] if self.at_least is not None else []
        parts += [f"<= {self.at_most:g}"] if self.at_most is not None else []
        parts += [" ".join(self.require.split())] if self.require is not None else []
        return f"{' '.join(asked.split())}{where}: {', '.join(parts)}"


class Health(Part):
    """Rules for a version that stands in a stage, and how often one may fail before we act.

    `delay` is how long a version stands there before it is judged.  Samples from before that do
    not count, so that those of its predecessor are not held against it.
    """

    rules: Annotated[tuple[HealthRule, ...], Field(min_length=1, max_length=MOST)]
    failure_limit: Annotated[int, Field(strict=True, ge=1, le=1000)] = 3
    inconclusive_limit: Annotated[int, Field(strict=True, ge=1, le=1000)] = 10
    delay: Duration = 300_000

    @model_validator(mode="after")
    def _named(self) -> Health:
        names = [rule.name for rule in self.rules]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise ValueError(f"two health rules are called {name!r}")
        return self
