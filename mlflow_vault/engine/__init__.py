"""Makes it happen: the only threads, progress and order of writes."""
