"""Which versions, runs, datasets and code came from which: pure graphs, queries and outputs."""
