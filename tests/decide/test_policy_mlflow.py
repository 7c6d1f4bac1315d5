"""What is called compatible is accepted by MLflow: whoever could call production can call it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_schema
from mlflow.types import ColSpec, DataType, Schema

from mlflow_vault.decide.policy import Context, Policy, State, Subject, judge

POLICY: Final = Policy.model_validate(
    {"metadata": {"name": "x"}, "transition": {"to": "staging"}, "signature": {}}
)
VALUES: Final[dict[str, Any]] = {
    "integer": np.array([1, 2], np.int32),
    "long": np.array([1, 2], np.int64),
    "float": np.array([0.5, 1], np.float32),
    "double": np.array([0.5, 1], np.float64),
    "boolean": np.array([True, False]),
    "string": np.array(["a", "b"], object),
}
schemas = st.dictionaries(
    st.sampled_from("abc"),
    st.tuples(st.sampled_from(sorted(VALUES)), st.booleans()),
    min_size=1,
    max_size=3,
)


def schema(columns: dict[str, tuple[str, bool]]) -> Schema:
    """Return MLflow's schema of *columns*, which have a type and may be required."""
    return Schema(
        [ColSpec(DataType[kind], name, required=must) for name, (kind, must) in columns.items()]
    )


def compatible(old: Schema, new: Schema) -> bool:
    """Whether the rule ``signature`` passes."""
    one = Subject("m/2", "b3:1", "m", facts={"signature": {"inputs": new.to_dict()}})
    other = Subject("m/1", "b3:2", "m", facts={"signature": {"inputs": old.to_dict()}})
    verdict = judge(POLICY, one, other, Context(1))
    return next(one for one in verdict.results if one.rule == "signature").state is State.PASSED


def accepts(new: Schema, old: dict[str, tuple[str, bool]], *, whole: bool) -> bool:
    """Whether MLflow takes what callers of *old* send, *whole* or only what they have to."""
    frame = pd.DataFrame(
        {name: VALUES[kind] for name, (kind, must) in old.items() if must or whole}
    )
    try:
        _enforce_schema(frame, new)
    except MlflowException:
        return False
    return True


@settings(max_examples=250, deadline=None)
@given(schemas, schemas)
def test_mlflow_accepts(old: dict[str, tuple[str, bool]], new: dict[str, tuple[str, bool]]) -> None:
    """MLflow's own enforcement takes the calls that the rule says it takes, and no others."""
    found = compatible(schema(old), schema(new))

    taken = [accepts(schema(new), old, whole=whole) for whole in (True, False)]

    assert found is all(taken)
