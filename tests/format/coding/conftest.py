"""Everything about coding holds for both sets of inner loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.format.coding.kernels import choice, compiled, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.coding.kernels.protocol import Kernels


@pytest.fixture(params=[plain, compiled], ids=["plain", "compiled"], scope="module", autouse=True)
def loops(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """The inner loops that codecs use."""
    with choice.using(request.param):
        yield request.param
