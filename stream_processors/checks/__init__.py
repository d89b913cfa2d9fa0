"""The checks: one file each, found through the entry points `headrace.checks`. Pure: no Kafka, no clock, no I/O.

A check says which figures it needs of a batch (vectorised, per window), and what the merged figures mean. States merge
in any order and any split, because they are made of counts and of the cells of `headrace.stream_processors.sketches`.
"""
