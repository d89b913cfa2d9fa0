"""THE CONTRACT: what a dataset's records look like, how they are encoded, and which topics carry them."""

if __name__ != "headrace.schemas":
    raise ImportError("import headrace.schemas, not schemas: two names for one module would make two modules")
