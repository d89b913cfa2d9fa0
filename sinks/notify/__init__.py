"""Tells people of quality alerts: webhook, Slack-compatible, e-mail, and what is installed as headrace.notifiers."""
