"""Decisions and statements as they lie in a store, and what MLflow is to show of them."""
