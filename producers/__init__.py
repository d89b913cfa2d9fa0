"""FILES -> KAFKA: watch folders, read files row by row, publish them in transactions, keep the ledger."""

if __name__ != "headrace.producers":
    raise ImportError("import headrace.producers, not producers: two names for one module would make two modules")
