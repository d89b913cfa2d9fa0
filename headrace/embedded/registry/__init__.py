"""Confluent's schema registry REST interface for Avro, with its state on the _schemas topic."""
