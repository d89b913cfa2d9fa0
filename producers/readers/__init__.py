"""One module per file format; each finds the record boundaries of its files itself."""
