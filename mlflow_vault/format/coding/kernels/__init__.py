"""The inner loops of coding, written twice: for numpy, and in C for where there is a compiler.

Both do the same to the last bit; numpy's is the oracle that the compiled one is tested with.
"""
