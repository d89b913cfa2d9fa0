"""Pure steps: frame in, verdicts or statistics out. No Kafka, no clock, no I/O."""
