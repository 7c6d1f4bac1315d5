"""Tries a version in a clean environment, and keeps what came out as evidence.

    check the version out -> make an environment -> run tests, evaluate -> evidence

Everything of the model's runs in processes of that environment (`suite_program`,
`evaluation_program`); here only their answers are read.  Written down in docs/triggers.md.
"""
