"""Stores across a network, and the patience they need."""
