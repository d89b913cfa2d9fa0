"""The shipped learners over a whole year of real records, by the slices that the process learns, without Kafka.

Records come in the order of their files at the broker's time of their event, so none is left out of the sample. A
record brings its own label here and is learned right after it was predicted; who knows the arrival only hours later
says so by `lateLabels`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from headrace.schemas.learner_spec import LearnerSpec, Task
from headrace.stream_processors.learner_feed import Slice, WindowSlice, record_slices
from headrace.stream_processors.learner_models import make_learner
from headrace.stream_processors.steps.contenders import Turn
from headrace.stream_processors.steps.learn import Learner, Standing
from headrace.stream_processors.steps.learner_findings import Findings
from headrace.stream_processors.steps.learner_records import beats
from headrace.testing.learner_streams import STREAMS, compare
from headrace.testing.learners import law, shipped_spec
from headrace.testing.real_rows import real_records

SHIPPED = ("flights_delay", "flights_late", "flights_volume", "weather_anomalies", "weather_wind_gust")
_FILE = "00000000000000f1"
_LATE = {"accuracy": "accuracy", "roc_auc": "ROC area", "rmse": "RMSE", "r2": "R²"}


@dataclass
class Result:
    """What one learner reached: its standings at the end, what happened to models, and its rolling curve.

    `curve` has a moment, the champion's rolling loss and the best dummy's, after each told standing.
    """

    learner: str
    task: Task
    rows: int
    standings: Sequence[Standing]
    turns: list[dict[str, Any]] = field(default_factory=list)
    curve: list[tuple[datetime, float, float]] = field(default_factory=list)

    @property
    def models(self) -> list[dict[str, Any]]:
        """Return the figures of every model."""
        best = min((one for one in self.standings if one.dummy), key=lambda one: one.total.loss, default=None)
        return [
            {
                "model": one.name,
                "champion": one.champion,
                "dummy": one.dummy,
                "generation": one.generation,
                "rows": one.total.rows,
                "loss": one.total.loss,
                "error": one.total.error,
                "metrics": dict(one.total.metrics),
                "anomalous": one.anomalous,
                "beats_dummy_all": _below(one, best),
                "beats_dummy_lately": beats(one, best),
            }
            for one in self.standings
        ]


def told_year(name: str, rows: int = 0) -> Result:
    """Return what a shipped learner reaches on the records of its dataset, or on the first `rows` of them."""
    spec = shipped_spec(name)
    frame, event = records_of(spec.dataset, rows)
    learner, result = make_learner(spec), Result(name, spec.task, len(frame), ())
    for one in slices(spec, frame, event):
        turns = one.run(learner, [], Findings())
        result.turns += [_turn(turn, one.event_at or 0) for turn in turns]
        _follow(learner, result, one.event_at or 0)
    result.standings = learner.standings()
    return result


def records_of(dataset: str, rows: int = 0) -> tuple[pl.DataFrame, str]:
    """Return the records of a shipped dataset in order, and the field of their event time."""
    contract, frame = real_records(dataset)
    frame = frame.with_columns(pl.lit(_FILE).alias("_file"))
    return frame.sort(contract.window.time_field, maintain_order=True)[: rows or None], contract.window.time_field


def slices(spec: LearnerSpec, frame: pl.DataFrame, event: str) -> list[Slice]:
    """Return the slices that the process would make of the records, or of their closed days for a forecast."""
    moments = frame[event].cast(pl.Datetime("us")).to_physical().to_numpy()
    if spec.task is Task.FORECAST:
        days = frame.group_by(pl.col(event).dt.date().alias("day")).len().sort("day").rows()
        starts = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day, _ in days]
        return [
            WindowSlice(spec, {"start": start, "end": start + timedelta(days=1), "rows": count, "fields": []}, 0)
            for start, (_, count) in zip(starts, days, strict=True)
        ]
    contract = law(spec.dataset)
    if contract is None:
        raise ValueError(f'no contract comes with headrace for "{spec.dataset}"')
    return list(record_slices(spec, contract, frame, moments // 1_000, b""))


def table(result: Result) -> str:
    """Return the standings as a table, the dummies beside every model, and the verdict in words."""
    figures = [name for name in _LATE if any(name in one.total.metrics for one in result.standings)]
    lines = [
        f"**{result.learner}** ({result.task}), {result.rows:,} records",
        "",
        "| model | " + "".join(f"{_LATE[name]} | " for name in figures) + "mean loss ± error | |",
        "|---|" + "---|" * (len(figures) + 2),
    ]
    for one, told in zip(result.standings, result.models, strict=True):
        what = ["dummy"] if one.dummy else (["champion"] if one.champion else [])
        what += [f"{one.generation} swaps"] if one.generation else []
        what += [] if one.dummy or told["beats_dummy_all"] is not False else ["**does not beat its dummy**"]
        what += [f"{one.anomalous:.2%} flagged lately"] if one.anomalous is not None else []
        values = "".join(f"{one.total.metrics.get(name, float('nan')):.4g} | " for name in figures)
        loss = f"{one.total.loss:.4g} ± {one.total.error:.2g}" if one.total.rows else "none: nothing judges it"
        lines.append(f"| {one.name} | {values}{loss} | {', '.join(what)} |")
    counts = Counter((turn["model"], turn["kind"]) for turn in result.turns)
    said = ", ".join(f"{model}: {count} {kind}" for (model, kind), count in sorted(counts.items()))
    return "\n".join([*lines, "", f"What happened: {said or 'nothing'}.", ""])


def river_table(rows: int | None = None) -> str:
    """Return the figures of river's own streams, ours beside those of `evaluate.progressive_val_score`."""
    lines = ["| stream | model | figure | learner | river | equal | best dummy |", "|---|---|---|---|---|---|---|"]
    for stream in STREAMS:
        for case in stream.cases:
            for one in compare(stream, case, rows=rows):
                same = "yes" if one.apart < 1e-9 else f"**no, {one.apart:.1e} apart**"
                what = f"| {one.stream} | {one.model} | {one.figure} "
                lines.append(
                    f"{what}| {one.ours:.6f} | {one.rivers:.6f} | {same} | {one.dummy:.4f} ({one.dummy_name}) |"
                )
    return "\n".join([*lines, ""])


def storms(rows: int = 0) -> str:
    """Return how the flights fared that left in hours whose weather was flagged, beside all others.

    Nobody labelled the weather. Flights were not looked at by the learner, so they can say whether its hours mean
    anything: an hour that is flagged by chance is as any other.
    """
    spec = shipped_spec("weather_anomalies")
    frame, event = records_of(spec.dataset, rows)
    flights = records_of("flights")[0].with_columns(pl.col("time_hour").cast(pl.Datetime("us")))
    lines = ["| weather_anomalies | hours | mean arrival delay, minutes | cancelled |", "|---|---|---|---|"]
    for model in spec.models:
        flagged = frame.filter(pl.Series(_flags(spec, model.name, frame, event)))
        hours = flagged.select("origin", pl.col(event).cast(pl.Datetime("us")).alias("time_hour")).unique()
        for words, how in (("flagged by", "semi"), ("not by", "anti")):
            found = flights.join(hours, on=["origin", "time_hour"], how=how)  # type: ignore[arg-type]
            late = found["arr_delay"].drop_nulls().to_numpy()
            error = float(late.std()) / max(1, len(late)) ** 0.5
            gone = found["dep_time"].null_count() / max(1, len(found))
            count = len(hours) if how == "semi" else len(frame) - len(hours)
            mean = float(late.mean()) if len(late) else float("nan")
            lines.append(f"| {words} {model.name} | {count:,} | {mean:.1f} ± {error:.1f} | {gone:.1%} |")
    return "\n".join([*lines, ""])


def _flags(spec: LearnerSpec, model: str, frame: pl.DataFrame, event: str) -> list[bool]:
    learner, flags = make_learner(spec), []
    learner.promote(model, "to see its flags")
    for one in slices(spec, frame, event):
        published: list[tuple[pl.DataFrame, bytes]] = []
        one.run(learner, published, Findings())
        flags += [bool(flag) for told, _ in published for flag in told["anomalous"].to_list()]
    return flags


def _follow(learner: Learner, result: Result, at: int) -> None:
    moment = datetime.fromtimestamp(at / 1e6, UTC)
    for _rows, standings in learner.tellings:
        lead = next(one for one in standings if one.champion)
        dummies = [one.recent.loss for one in standings if one.dummy]
        if dummies and lead.recent.rows:
            result.curve.append((moment, lead.recent.loss, min(dummies)))
    learner.tellings.clear()


def _turn(turn: Turn, at: int) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at / 1e6, UTC)
    own = {"kind": turn.kind, "model": turn.contender, "rows": turn.rows, "detail": turn.detail}
    return own | {"at": f"{moment:%Y-%m-%d}"}


def _below(one: Standing, dummy: Standing | None) -> bool | None:
    """Return whether a model lost less than a dummy over all rows, by more than twice the errors of both."""
    if dummy is None or one.dummy or not one.total.rows:
        return None
    return bool(one.total.loss + 2 * np.hypot(one.total.error, dummy.total.error) < dummy.total.loss)
