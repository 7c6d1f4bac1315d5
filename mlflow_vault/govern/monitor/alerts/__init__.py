"""Alerts: a webhook, Slack and e-mail, for whoever has to know that a version is not healthy."""
