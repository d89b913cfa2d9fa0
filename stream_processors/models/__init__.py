"""MODELS that learn a record at a time. One file a plug-in (entry points `headrace.models`), and what they share.

Nothing here knows Kafka, a clock or a file: `headrace.stream_processors.steps.learn` drives the models, and the process
`learner` drives that.
"""
