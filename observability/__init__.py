"""TELEMETRY: the one place that knows log texts, metric names and span layouts."""

if __name__ != "headrace.observability":
    raise ImportError(
        "import headrace.observability, not observability: two names for one module would make two modules"
    )
