"""Who may do what, and who did: versions, lineage, search, signatures."""
