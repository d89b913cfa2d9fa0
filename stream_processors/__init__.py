"""KAFKA -> KAFKA: judge and profile records in transactions; windows and alerts as a Faust app."""

if __name__ != "headrace.stream_processors":
    raise ImportError(
        "import headrace.stream_processors, not stream_processors: two names for one module would make two modules"
    )
