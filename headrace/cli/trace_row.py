"""One row's way: computed from the spans of its file, which say their rows and offsets, and from what is stored.

Nothing is recorded for a row, so every row can be followed, also one that nobody meant to look at.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from headrace.cli.trace_spans import Span
from headrace.core.clock import micros
from headrace.core.identity import root_span_id
from headrace.observability.tracing import SpanEvent
from headrace.schemas.ledger import FileEntry
from headrace.schemas.sql_text import table_name
from headrace.transport.warehouse import Warehouse

_TABLE = "SELECT 1 FROM system.tables WHERE database = 'headrace' AND name = {table:String}"
_STORED = """
SELECT `_topic`, `_partition`, `_offset`, toUnixTimestamp64Milli(`_ingested_at`) * 1000000
FROM {table} WHERE `_file` = {{file:String}} AND `_row` = {{row:Int64}}"""
_REASONS = """
SELECT stage, arrayStringConcat(arrayMap(one -> concat(one.code, if(one.field = '', '', concat(' ', one.field)),
    if(one.rule = '', '', concat(' (', one.rule, ')'))), reasons), ', ')
FROM headrace.quarantine WHERE `dataset` = {dataset:String} AND `_file` = {file:String} AND `_row` = {row:Int64}
"""
_PREDICTIONS = """
SELECT learner, model, generation, learned, value, label, probability, score, anomalous,
    toUnixTimestamp64Milli(`_ingested_at`) * 1000000
FROM headrace.predictions
WHERE dataset = {dataset:String} AND `_file` = {file:String} AND `_row` = {row:Int64} ORDER BY `_ingested_at`, learner
"""
_ALERTS = """
SELECT alert_id FROM headrace.alerts
WHERE dataset = {dataset:String} AND arrayExists(one -> one.1 = {file:String} AND one.2 = {row:Int64}, samples)
"""
# The span before each, where the one that it names was of other rows of the batch.
_BEFORE = {"judge": "publish", "store": "judge", "learn": "judge"}


@dataclass(frozen=True)
class Place:
    """Where a row is stored: its table, and the message that it came with; `stage` is who put it into quarantine."""

    table: str
    topic: str
    partition: int
    offset: int
    at_ns: int
    stage: str = ""


@dataclass(frozen=True)
class RowWay:
    """What is known of one row: its place, the spans that it was in, and what was said of it."""

    entry: FileEntry
    row: int
    place: Place | None
    spans: Sequence[Span]
    told: Sequence[str] = ()
    predicted_at: Sequence[tuple[str, int]] = field(default_factory=tuple)

    def lines(self) -> Iterator[str]:
        """Yield what is said before the tree: its place, why it was refused, what was predicted, and the hops."""
        rows = self.entry.rows_published
        if self.place is None and self.row >= rows > 0 and self.entry.final:
            yield f"row {self.row}: the file has {rows:,} rows, counted from 0"
        elif self.place is None:
            yield f"row {self.row}: neither in headrace.{self.entry.dataset} nor in quarantine (yet)"
        else:
            where = f"{self.place.topic} partition {self.place.partition} offset {self.place.offset}"
            yield f"row {self.row}: in headrace.{self.place.table}, from {where}"
        yield from self.told
        before = 0
        for name, at in self.hops():
            lag = f"  +{_seconds(at - before)}" if before else ""
            yield f"{name:<10} {datetime.fromtimestamp(at / 1e9, self.entry.updated_at.tzinfo):%H:%M:%S.%f}{lag}"
            before = at

    def hops(self) -> list[tuple[str, int]]:
        """Return (what happened, when in nanoseconds), the oldest first; spans say it, and the tables without them."""
        entry, ends = self.entry, {span.name: span.end_ns for span in self.spans if span.status != "Error"}
        known = [
            ("closed", _nanoseconds(entry.modified_at)),
            ("claimed", _nanoseconds(entry.claimed_at)),
            ("read", ends.get("read")),
            ("published", ends.get("publish")),
            self._judged(ends.get("judge")),
            ("stored", ends.get("store")),
            ("proved", _nanoseconds(entry.balanced_at)),
            *self.predicted_at,
            *(("alert", span.start_ns) for span in self.spans if span.name == "alert"),
        ]
        return sorted(((name, at) for name, at in known if at), key=lambda hop: hop[1])

    def _judged(self, at: int | None) -> tuple[str, int | None]:
        if self.place is not None and self.place.stage == "read":
            return "put aside", self.place.at_ns  # by the reader: it came to no judge
        if at is not None or self.place is None:
            return "judged", at
        return "put aside" if self.place.table == "quarantine" else "judged", self.place.at_ns

    def span(self) -> Span:
        """Return the row's own span, for exports: its hops are the events; the same row gives the same id."""
        hops, file = self.hops(), self.entry.file
        own = hashlib.sha256(f"{self.entry.trace_id}\0{self.row}".encode()).hexdigest()[:16]
        told = {"headrace.dataset": self.entry.dataset, "headrace.file": file, "headrace.first_row": str(self.row)}
        if self.place:
            told |= {"headrace.topic": self.place.topic, "headrace.first_offset": str(self.place.offset)}
        return Span(
            span_id=own,
            parent=root_span_id(self.entry.dataset, file),
            name="row",
            service="headrace-trace",
            start_ns=hops[0][1],
            duration_ns=hops[-1][1] - hops[0][1],
            attributes=told | {"headrace.last_row": str(self.row)},
            trace_id=self.entry.trace_id,
            resource={"service.name": "headrace-trace", "service.namespace": "headrace"},
            events=[SpanEvent(name, at) for name, at in hops],
        )


def follow_row(warehouse: Warehouse, entry: FileEntry, row: int, spans: Sequence[Span]) -> RowWay:
    """Return a row's way. Asks the warehouse for what is stored of the row."""
    place = _place(warehouse, entry, row)
    key = {"dataset": entry.dataset, "file": entry.file, "row": row}
    told: list[str] = []
    if place is not None and place.table == "quarantine":
        for stage, reasons in warehouse.rows(_REASONS, key):
            place = replace(place, stage=stage)
            told.append(f"refused by the {'reader' if stage == 'read' else 'judge'}: {reasons}")
    predictions = warehouse.rows(_PREDICTIONS, key) if _exists(warehouse, "predictions") else []
    samples = {alert for (alert,) in warehouse.rows(_ALERTS, key)} if _exists(warehouse, "alerts") else set()
    told += [_prediction(*values[:-1]) for values in predictions]
    predicted = tuple(("predicted", int(values[-1])) for values in predictions)
    return RowWay(entry, row, place, spans_of_row(spans, row, place, samples), told, predicted)


def spans_of_row(spans: Sequence[Span], row: int, place: Place | None, alerts: Collection[str] = ()) -> list[Span]:
    """Return the spans that a row was in: those of its rows or offsets, and those of the whole file.

    Of the file's alerts only `alerts` are about the row: it is one of their samples.
    """
    kept = [span for span in spans if _holds(span, row, place)]
    kept = [span for span in kept if span.attributes.get("headrace.alert", "") in {"", *alerts}]
    ids = {span.span_id for span in kept}
    found = {span.name: span.span_id for span in kept if span.status != "Error"}
    return [
        span
        if not span.parent or span.parent in ids
        else replace(span, parent=found.get(_BEFORE.get(span.name, ""), ""))
        for span in kept
    ]


def _holds(span: Span, row: int, place: Place | None) -> bool:
    if span.name in {"judge", "learn"} and place is not None and place.stage == "read":
        return False
    if span.name == "store" and place is not None and span.number("first_offset") is not None:
        same = (span.attributes.get("headrace.topic"), span.number("partition")) == (place.topic, place.partition)
        return same and (span.number("first_offset") or 0) <= place.offset <= (span.number("last_offset") or 0)
    first, last = span.number("first_row"), span.number("last_row")
    return first is None or last is None or first <= row <= last


def _place(warehouse: Warehouse, entry: FileEntry, row: int) -> Place | None:
    for table in (entry.dataset, "quarantine"):
        if _exists(warehouse, table):
            query = _STORED.format(table=table_name(table))
            if table == "quarantine":
                query += " AND `dataset` = {dataset:String}"
            parameters = {"file": entry.file, "row": row, "dataset": entry.dataset}
            for topic, partition, offset, at in warehouse.rows(query, parameters):
                return Place(table, topic, partition, offset, at)
    return None


def _exists(warehouse: Warehouse, table: str) -> bool:
    return bool(warehouse.rows(_TABLE, {"table": table}))


def _prediction(learner: str, model: str, generation: int, learned: int, *found: Any) -> str:
    value, label, probability, score, anomalous = found
    said = [f"{value:.4g}"] if value is not None else []
    if label is not None:
        said.append(label if probability is None else f"{label} ({probability:.0%})")
    if score is not None:
        said.append(f"score {score:.4g}{', anomalous' if anomalous else ''}")
    by = f"{model}, generation {generation}, after {learned:,} learned"
    return f"predicted by {learner}: {'; '.join(said) or 'nothing'} ({by})"


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment) * 1_000


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3f} s"
