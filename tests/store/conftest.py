"""Failures of the contract show their values, as those of any test."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "mlflow_vault.testing.contract",
    "mlflow_vault.testing.objects_contract",
    "mlflow_vault.testing.listings_contract",
)
