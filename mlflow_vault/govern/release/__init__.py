"""Releases: which version stands in which stage, who let it, and what was said of it.

    ledger.py      the decisions about one model, numbered, and carrying them out
    statements.py  approvals, rejections, evidence and health, beside each version
    kept.py        objects that never change, read once

The vault decides, MLflow shows it: a decision is durable before it is in the audit log, and in the
audit log before the registry shows it.  Whoever comes next finishes what somebody left.
"""
