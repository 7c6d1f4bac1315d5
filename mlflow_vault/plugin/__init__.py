"""MLflow's doors: what MLflow loads by entry point, and nothing else imports."""
