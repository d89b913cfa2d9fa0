"""How learners look on a terminal: figures beside the dummy's, always."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from headrace.core.files import printable
from headrace.runtime.learners import History, Point
from headrace.schemas.learner_spec import LearnerSpec
from headrace.stream_processors.snapshots import Snapshot

_TICKS = "▁▂▃▄▅▆▇█"
_MICROS = 1_000_000
Figures = Mapping[str, Any]


def share(value: float) -> str:
    """Return a share as percent.

    >>> share(1.0), share(0.0123), share(0.5)
    ('100 %', '1.23 %', '50 %')
    """
    return f"{value * 100:.3g} %"


def number(value: float | None) -> str:
    """Return a figure for a person, "-" for none.

    >>> number(11.2345), number(None), number(0.0)
    ('11.23', '-', '0')
    """
    return "-" if value is None else f"{value:.4g}"


def with_error(value: float | None, error: float | None) -> str:
    """Return a figure with its error.

    >>> with_error(11.2345, 0.0312), with_error(3.0, None), with_error(None, None)
    ('11.23 ± 0.031', '3', '-')
    """
    return number(value) if value is None or error is None else f"{number(value)} ± {error:.2g}"


def verdict(one: Figures | None) -> str:
    """Return in words whether a model beats the best dummy over the rolling window.

    >>> verdict({"dummy": False, "best_dummy": "mean", "beats_dummy": True, "recent_loss": 5.0, "dummy_loss": 20.0})
    'beats mean by 15 a row (75 % less loss)'
    >>> verdict({"dummy": False, "best_dummy": "mean", "beats_dummy": False, "recent_loss": 20.0, "dummy_loss": 19.0})
    'does not beat its dummy (mean)'
    """
    if one is None:
        return "no figures yet: they are told every 1,024 labelled records"
    if one["dummy"]:
        return "a dummy"
    if not one["best_dummy"]:
        return "nothing to beat: records have no label that could judge it"
    if one["beats_dummy"] is None:
        return f"too few records to tell whether it beats {one['best_dummy']}"
    if not one["beats_dummy"]:
        return f"does not beat its dummy ({one['best_dummy']})"
    gain = one["dummy_loss"] - one["recent_loss"]
    return f"beats {one['best_dummy']} by {number(gain)} a row ({share(gain / one['dummy_loss'])} less loss)"


def role(one: Figures) -> str:
    """Return what a model is: champion, challenger or dummy."""
    return "champion" if one["champion"] else "dummy" if one["dummy"] else "challenger"


def status_lines(one: Figures) -> Iterator[str]:
    """Yield a learner's status for a person."""
    about = f" of {one['predicts']}" if one["predicts"] else ""
    yield f"{one['learner']}: {one['task']}{about} on {one['dataset']}, version {one['version']}"
    if not one["champion"]:
        yield f"  it has not begun; lag {one['lag']:,}"
        return
    yield (
        f"  champion {one['champion']} (generation {one['generation']}), {one['rows']:,} labelled rows, "
        f"{share(one['sampling'])} of all records sampled, lag {one['lag']:,}"
    )
    if one["loss"] is not None:
        over = f"over all {with_error(one['loss'], one['error'])}"
        yield (f"  loss {over}; last {one['recent_rows']:,} rows {with_error(one['recent_loss'], one['recent_error'])}")
        yield (
            f"  {one['best_dummy'] or 'dummy'} (best dummy) over all {number(one['dummy_loss'])}; "
            f"last {one['recent_rows']:,} rows {number(one['recent_dummy_loss'])}"
        )
    if one["anomalous"] is not None:
        yield f"  beyond its threshold {share(one['anomalous'])} of the last records"
    yield f"  {one['verdict']}"
    yield f"  snapshot {one['snapshot'] or 'none'}" + (f", of {one['snapshot_at']}" if one["snapshot_at"] else "")


def model_table(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield the models of one learner side by side, as a table of text."""
    metrics = sorted({name for one in figures for name in one["recent_metrics"]} - {"mae", "log_loss"})
    recent = max((one["recent_rows"] for one in figures), default=0)
    rows = [["", "model", "gen.", "loss over all", f"loss of the last {recent:,}", *metrics, ""]]
    for one in figures:
        figure = [number(one["recent_metrics"].get(name)) for name in metrics]
        rows.append(
            [
                role(one),
                one["model"],
                str(one["generation"]),
                with_error(one["loss"], one["error"]),
                with_error(one["recent_loss"], one["recent_error"]),
                *figure,
                "" if one["dummy"] else verdict(one),
            ]
        )
    yield from aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines whose columns begin at the same places.

    >>> list(aligned([["a", "bc"], ["def", "g"]]))
    ['  a    bc', '  def  g']
    """
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    for row in rows:
        yield ("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))).rstrip()


def curve_lines(points: Sequence[Point]) -> Iterator[str]:
    """Yield the champion's rolling loss over time and the best dummy's, on one scale."""
    if len(points) < 2:
        return
    mine, theirs = [one.loss for one in points], [one.dummy_loss for one in points]
    bounds = [value for value in (*mine, *theirs) if value is not None]
    low, high = min(bounds), max(bounds)
    told = f"rolling loss from row {points[0].rows:,} to {points[-1].rows:,}, between {number(low)} and {number(high)}"
    yield told
    yield f"  champion    {spark(mine, low, high)}  now {number(mine[-1])}"
    if any(value is not None for value in theirs):
        yield f"  best dummy  {spark(theirs, low, high)}  now {number(theirs[-1])}"


def spark(values: Sequence[float | None], low: float, high: float) -> str:
    """Return values as a line of blocks, a blank where there is none.

    >>> spark([0.0, 5.0, None, 10.0], 0.0, 10.0)
    '▁▅ █'
    """
    width = high - low
    places = [
        None if value is None or not math.isfinite(value) else round((value - low) / width * 7) if width else 0
        for value in values
    ]
    return "".join(" " if place is None else _TICKS[max(0, min(7, place))] for place in places)


def event_line(event: Figures) -> str:
    """Return an event for a person."""
    model = f" {printable(event['model'])}" if event["model"] else ""
    told = f": {printable(event['detail'])}" if event["detail"] else ""
    at = f"{event['at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    kept = f" (snapshot {event['snapshot']})" if event["snapshot"] else ""
    return f"{at}  row {event['rows']:,}  {event['kind']}{model}{told}{kept}"


def snapshot_rows(snapshots: Sequence[Snapshot]) -> list[list[str]]:
    """Return snapshots as rows of a table, the newest first."""
    head = ["snapshot", "labelled rows", "champion", "sha256", "kept", "last record"]
    return [
        head,
        *(
            [one.name, f"{one.rows:,}", one.champion, one.sha256[:12], "kept" if one.kept else "", f"{moment(one.at)}"]
            for one in reversed(snapshots)
        ),
    ]


def rule_of(spec: LearnerSpec) -> str:
    """Return the rule of promotion in one sentence."""
    rule = spec.promotion
    return (
        f"a challenger is promoted if, asked every {rule.every:,} labelled rows, it lost less than the champion over "
        f"the last {rule.over:,} by more than {rule.errors:g} standard errors, {rule.after} times in a row"
    )


def show_lines(spec: LearnerSpec, path: str, found: History) -> Iterator[str]:
    """Yield all that is known of one learner."""
    yield path
    kinds = [f"{name} ({spec.kinds[name]})" for name in spec.features]
    yield f"features: {', '.join(kinds) or 'none but the series itself'}"
    if spec.label is not None or spec.series is not None:
        yield rule_of(spec)
    yield from curve_lines(found.curve)
    yield "snapshots" if found.snapshots else "snapshots: none"
    if found.snapshots:
        yield from aligned(snapshot_rows(found.snapshots))
    yield "history" if found.events else "history: nothing yet"
    yield from (f"  {event_line(event)}" for event in found.events)


def moment(micros: int) -> str:
    """Return a time in UTC; what a learner told before its first record has none."""
    if not micros:
        return "before any record"
    return f"{datetime.fromtimestamp(micros / _MICROS, UTC):%Y-%m-%d %H:%M:%S}"
