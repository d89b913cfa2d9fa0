"""A real stack for tests: the embedded services on free ports in a temporary home."""
