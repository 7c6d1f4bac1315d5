"""One file that proves a promotion, to whoever has neither the vault nor a network.

    bundle.py      what the file holds, and its one spelling
    summaries.py   what each policy said, as SLSA's verification summaries
    making.py      collects it from a vault
    verifying.py   recomputes everything; asks no store, no MLflow and no network
    chain.py       from the checkpoint to the version
    files.py       files on a disk
    again.py       verdicts, judged again
    people.py      approvals and evidence: who said it, who signed it
    claims.py      what that found: proven, only told, or false

What is proven hangs from one signature, of the audit log's checkpoint:

    checkpoint <- entry of the log <- decision <- version's files, policies, verdicts

Approvals and models have signatures of their own; without those they are told by the decision.

Needs the extra ``sign``.  Written down in docs/bundle.md.
"""
