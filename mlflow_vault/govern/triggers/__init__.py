"""What sets promotions off: a round over all candidates, and MLflow's webhooks that wake it.

    promote_candidates(...)     moves what passes, of the policies that are automatic; says the rest
    Deliveries, Receiver        webhooks of MLflow, checked; they wake and say nothing else
    Waker                       joins wake-ups into rounds

Written down in docs/triggers.md.
"""
