"""A file that we damage on purpose, so that the demo can show what becomes of bad data."""

from headrace.runtime.samples import flights_by_month

DAMAGED_NAME = "flights-2013-damaged.csv"
_ROWS = 3_000
# Prime steps from one start: no row before 10,403 has two faults.
_EVERY = {
    "origin XXX, which no flight has": 101,
    "a negative distance": 151,
    "a word where a number belongs": 307,
    "the last field cut off": 499,
}


def damaged_flights() -> tuple[bytes, dict[str, int]]:
    """Return a CSV of 3,000 January flights with faults, and how many rows have which fault.

    The faults fall on fixed rows, so every run damages the same ones. The last row opens a quote and never closes it.
    """
    _, january = next(flights_by_month())
    header, *lines = january.decode().splitlines()
    names, done = header.split(","), []
    faults = dict.fromkeys(_EVERY, 0)
    for number, line in enumerate(lines[: _ROWS - 1]):
        fields = line.split(",")
        fault = next((name for name, every in _EVERY.items() if number and number % every == 0), "")
        if fault:
            faults[fault] += 1
            fields = _damage(fields, names, fault)
        done.append(",".join(fields))
    faults["an opened quote that never closes"] = 1
    return "\n".join([header, *done, '2013,1,4,"517']).encode(), faults


def _damage(fields: list[str], names: list[str], fault: str) -> list[str]:
    changed = list(fields)
    if fault.startswith("origin"):
        changed[names.index("origin")] = "XXX"
    elif fault.startswith("a negative"):
        changed[names.index("distance")] = f"-{fields[names.index('distance')]}"
    elif fault.startswith("a word"):
        changed[names.index("dep_delay")] = "late"
    else:
        changed.pop()
    return changed
