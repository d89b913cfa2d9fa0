"""KAFKA -> STORES: hand blocks of records to ClickHouse exactly once, and prove it file by file."""

if __name__ != "headrace.sinks":
    raise ImportError("import headrace.sinks, not sinks: two names for one module would make two modules")
