"""The inner loops of coding, written twice: for numpy, and compiled where numba is installed.

Both do the same to the last bit; numpy's is the oracle that the compiled one is tested with.
"""
