"""What was decided and how things stand, as people ask it."""
