"""The audit log: what was done, by whom, in an order that nobody can change unseen.

    log.py          append and read entries
    finding.py      the newest of numbered objects; many small ones
    keys.py         Ed25519 keys that sign checkpoints
    checkpoints.py  sign what the log holds, and keep the tiles over it
    proofs.py       show to whoever has no vault that an entry is in the log
    verifying.py    compare everything with everything
    ledgers.py      the same for decisions
    witnessed.py    and for what was said or applied
    refusals.py     log what seals refuse
    drift.py        compare MLflow's registry with all of it
    verification.py what that found
    searching.py    search and export
    standing.py     which versions and aliases there were at a moment

Entries are the truth.  Tiles are derived from them, and a checkpoint is what somebody remembers of
them: who keeps one elsewhere notices when the log's end, or all of it, is rewritten.

Signing needs the extra ``sign``; nothing else here does.
"""
