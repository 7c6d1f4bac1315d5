"""The command line: what the face offers, typed in a shell.

    words -> `parser` -> a command -> `Answer` -> `main` prints it, as text or as JSON

A command computes and returns; only `main` prints, and only it knows exit codes.  Nothing heavy
is imported before a command needs it, so that ``--help`` comes at once.
"""
