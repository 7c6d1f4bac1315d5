"""Versions described in the forms that others read: CycloneDX, model cards."""
