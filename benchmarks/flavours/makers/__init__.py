"""Makers: each function yields three versions of one model, in the room of its library."""
