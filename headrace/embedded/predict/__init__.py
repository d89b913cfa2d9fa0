"""Predictions over HTTP: the champion of each learner's newest committed snapshot answers."""
