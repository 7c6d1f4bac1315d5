"""How histories are made: versions of real trained floats, in the formats they are kept in."""

from __future__ import annotations

from histories.recipe import DEFAULT_CACHE, History, Recipe, Workshop

__all__ = ["DEFAULT_CACHE", "History", "Recipe", "Workshop"]
