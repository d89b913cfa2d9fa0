"""The bench's input: the real flights of 2013 three times over, in files that differ."""

import os
from pathlib import Path

from headrace.runtime.samples import FLIGHTS, sample_csv

FLIGHTS_ROWS = 336_776


def write_rotated(folder: Path, copies: int) -> list[Path]:
    """Write the flights `copies` times, each copy beginning at another row, so that no two files are the same bytes."""
    header, _, body = sample_csv(FLIGHTS).partition(b"\n")
    body = body if body.endswith(b"\n") else body + b"\n"
    paths = []
    for copy in range(copies):
        start = body.find(b"\n", len(body) * copy // copies) + 1 if copy else 0
        path = folder / f"flights-{copy}.csv"
        with path.open("wb") as stream:
            stream.write(header + b"\n" + body[start:] + body[:start])
            os.fsync(stream.fileno())
        paths.append(path)
    return paths
