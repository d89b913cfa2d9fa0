"""A table of windows without Kafka: deltas are fed one by one, and a kill may fall between any two entries."""

from typing import Any

from headrace.stream_processors.window_law import Laws
from headrace.stream_processors.window_plan import Plan, Source
from headrace.stream_processors.window_table import WindowTable

HOUR, MICROS, BASE = 3600, 1_000_000, 1_700_000_000 // 3600 * 3600
NOW = BASE + 10 * 24 * HOUR


def write_entries(plan: Plan, table: dict[str, bytes], most: int | None = None) -> None:
    """Write the entries of a plan in their order, at most so many of them."""
    for key, data in list(plan.entries())[:most]:
        if data is None:
            table.pop(key, None)
        else:
            table[key] = data


class Line:
    """A topic of one partition, the table, and what was published; `published` is by key, as a subscriber keeps it."""

    def __init__(self, laws: Laws, table: dict[str, bytes] | None = None) -> None:
        self.laws = laws
        self.table: dict[str, bytes] = {} if table is None else table
        self.windows = self.restarted()
        self.records: dict[tuple[str, int, int], dict[str, Any]] = {}
        self.alerts: dict[str, dict[str, Any]] = {}
        self.plans: list[Plan] = []

    def restarted(self) -> WindowTable:
        """Return a table as a process that starts has it."""
        found = WindowTable(self.table)
        found.recover()
        return found

    def feed(self, offset: int, value: dict[str, Any], *, entries: int | None = None) -> None:
        """Process a delta; with `entries` the process is killed after so many entries were written."""
        plan = self.windows.plan(Source(0, offset, (NOW + offset) * MICROS), value, self.laws)
        if plan is None:
            return
        self.plans.append(plan)
        for record in plan.windows:
            place = (record["clock"], record["start"] // MICROS, record["revision"])
            if self.records.setdefault(place, record) != record:
                raise AssertionError(f"{place} was told twice, and differently")
        for alert in plan.alerts:
            if self.alerts.setdefault(alert["alert_id"], alert) != alert:
                raise AssertionError(f"alert {alert['alert_id']} was told twice, and differently")
        write_entries(plan, self.table, entries)
        if entries is None:
            self.windows.keep(plan)
        else:
            self.windows = self.restarted()

    def told(self) -> list[tuple[int, int, int]]:
        """Return (hour, revision, rows) of the published windows of event time, in the order of publishing."""
        found = [record for (clock, _, _), record in self.records.items() if clock == "event"]
        return [((one["start"] // MICROS - BASE) // HOUR, one["revision"], one["rows"]) for one in found]
