"""How fast the vault is from end to end, beside what one would use otherwise."""
