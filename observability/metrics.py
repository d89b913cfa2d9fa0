"""What a metric is: its name, kind, unit, labels and meaning, as events and the process's own figures declare it."""

from dataclasses import dataclass
from enum import StrEnum

# Seconds: of transactions, inserts and batches, and of a file's way to the tables.
SHORT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG_BOUNDS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0)
_UNITS = {"seconds": "s", "bytes": "By"} | {
    f"{noun}s": f"{{{noun}}}" for noun in ("row", "file", "record", "message", "span", "log", "alert", "window")
}


class Kind(StrEnum):
    """How values of a metric come together: counters grow by them, a total and a gauge are the last one told."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"
    TOTAL = "total"


@dataclass(frozen=True)
class Measure:
    """One metric. An event's field `value` tells the value (None: nothing is told); without it that is `fixed`.

    A label `stage` that the event has no field for is the process itself. Of a label in `one_of` one value holds at a
    time: that series is 1, and those told before are 0.
    """

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...] = ()
    value: str = ""
    fixed: float = 1.0
    one_of: str = ""
    bounds: tuple[float, ...] = ()

    @property
    def unit(self) -> str:
        """Return the unit in UCUM, as OpenTelemetry writes it.

        >>> Measure("headrace_stored_rows_total", Kind.COUNTER, "").unit
        '{row}'
        >>> Measure("headrace_repeated_batches_total", Kind.COUNTER, "").unit
        '1'
        >>> Measure("headrace_process_cpu_seconds_total", Kind.TOTAL, "").unit
        's'
        """
        known = (_UNITS[word] for word in self.name.split("_") if word in _UNITS)
        return next(known, "1")


LOGGED = Measure("headrace_log_events_total", Kind.COUNTER, "Events that were logged, by level.", ("level",))
CAPPED = Measure(
    "headrace_capped_values_total",
    Kind.COUNTER,
    'Values that were told under the labels "other", since their metric has its greatest number of series.',
    ("metric",),
)
MEMORY = Measure("headrace_process_memory_bytes", Kind.GAUGE, "Resident memory of a process.", ("stage",))
OPEN_FILES = Measure("headrace_process_open_files", Kind.GAUGE, "Open file handles of a process.", ("stage",))
CPU = Measure("headrace_process_cpu_seconds_total", Kind.TOTAL, "CPU time of a process, user and system.", ("stage",))
DISK = Measure("headrace_disk_free_bytes", Kind.GAUGE, "Free room on the disk of the home, as any user has it.")
OWN_MEASURES = (LOGGED, CAPPED, MEMORY, OPEN_FILES, CPU, DISK)
