"""What bytes mean: pure, and written down in docs/format.md."""
