"""What the warehouse holds of a dataset's quality: closed windows, alerts, advice and receipts, as plain dicts."""

import base64
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from headrace.errors import ContractInvalid, WrongUse
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import SUFFIX, ContractStore, contract_path, read_contract
from headrace.schemas.registry import Registry
from headrace.schemas.sql_text import identifier, table_name
from headrace.settings import Paths, Settings
from headrace.stream_processors.steps.advice import UNMEASURED_GAIN
from headrace.stream_processors.steps.roll_up import PackedCells, cells_by_field
from headrace.stream_processors.steps.score import Figures, rescored
from headrace.stream_processors.steps.stored_sql import Span, figures_query
from headrace.transport.warehouse import Warehouse

MOST_WINDOWS = 400
_MICROS = 1_000_000
CLOCKS = ("event", "arrival")
_PLACE = "dataset = {dataset:String} AND clock = {clock:String} AND w.start >= fromUnixTimestamp64Micro({since:Int64})"
_TIMES = "toUnixTimestamp64Micro(w.start) AS start, toUnixTimestamp64Micro(w.end) AS end"
_JUDGED = ("outcome", "weight", *Figures._fields)
_LIGHT = f"""
SELECT {_TIMES}, revision, contract_version, rows, rejected, checked,
    arrayMap(v -> ({", ".join(f"tupleElement(v, '{name}')" for name in _JUDGED)}), verdicts) AS judged,
    arrayMap(f -> (tupleElement(f, 'name'), tupleElement(f, 'rows'), tupleElement(f, 'nulls')), fields) AS missing
FROM headrace.windows AS w WHERE {_PLACE} ORDER BY w.start DESC LIMIT {{most:UInt32}}
"""  # noqa: S608  what is put in is a constant
_WHOLE = f"""
SELECT * EXCEPT (start, end, closed_at), {_TIMES}, toUnixTimestamp64Micro(w.closed_at) AS closed_at
FROM headrace.windows AS w WHERE {_PLACE} AND w.rows > 0 ORDER BY w.start DESC LIMIT 1
"""  # noqa: S608  what is put in is a constant
_CELLS = f"""
SELECT arrayMap(c -> (tupleElement(c, 'owner'), tupleElement(c, 'figure'), base64Encode(tupleElement(c, 'data'))),
    arrayFilter(c -> startsWith(tupleElement(c, 'owner'), 'field:'), cells)) AS packed
FROM headrace.window_entries AS w FINAL WHERE _deleted = 0 AND {_PLACE}
ORDER BY w.start DESC, revision DESC LIMIT 1 BY w.start LIMIT {{most:UInt32}}
"""  # noqa: S608  what is put in is a constant
_ALERT = """
SELECT * EXCEPT (raised_at, window_start, window_end), toUnixTimestamp64Micro(a.raised_at) AS raised_at,
    toUnixTimestamp64Micro(a.window_start) AS window_start, toUnixTimestamp64Micro(a.window_end) AS window_end
FROM headrace.alerts AS a WHERE dataset = {dataset:String}"""
# One delta may close many windows, whose transitions have its time: then the later window has the last word.
_ALERTS = f"""{_ALERT}
ORDER BY a.raised_at DESC, a.window_start DESC LIMIT 1 BY if(subject = '', alert_id, subject) LIMIT {{most:UInt32}}
"""
_WORST = f"""{_ALERT} AND state != 'resolved' AND clock = {{clock:String}}
    AND a.window_start >= fromUnixTimestamp64Micro({{since:Int64}})
ORDER BY rows_at_risk DESC, a.window_start LIMIT 1 BY rule LIMIT {{most:UInt32}}
"""
_HISTORY = f"""
SELECT {_TIMES}, arrayMap(v -> (tupleElement(v, 'rule'), tupleElement(v, 'outcome'), tupleElement(v, 'observed'),
    tupleElement(v, 'lower'), tupleElement(v, 'upper')), arrayFilter(v -> has({{rules:Array(String)}},
    tupleElement(v, 'rule')), verdicts)) AS found
FROM headrace.windows AS w WHERE {_PLACE} ORDER BY w.start DESC LIMIT {{most:UInt32}}
"""  # noqa: S608  what is put in is a constant
_DATASETS = """
SELECT DISTINCT dataset FROM (SELECT dataset FROM headrace.window_entries WHERE _deleted = 0
    UNION ALL SELECT dataset FROM headrace.files) ORDER BY dataset
"""
_COLUMN = (
    "SELECT name FROM system.columns WHERE database = 'headrace' AND table = {dataset:String} AND name = {name:String}"
)
_ADVICE = """
SELECT * EXCEPT (raised_at), toUnixTimestamp64Micro(a.raised_at) AS raised_at FROM headrace.advice AS a
WHERE dataset = {dataset:String}
ORDER BY rows_at_risk * greatest(expected_gain, {least:Float64}) * confidence DESC, advice_id LIMIT {most:UInt32}
"""
_FILES = """
SELECT name, file, state, balanced, rows_read, rows_stored, rows_quarantined, rows_unreadable, reason, detail,
    toUnixTimestamp64Micro(f.updated_at) AS updated_at
FROM headrace.files AS f WHERE dataset = {dataset:String} ORDER BY f.updated_at DESC, name LIMIT {most:UInt32}
"""


_CHAMPION = """
SELECT model, rows, recent_loss, recent_error, recent_metrics, best_dummy, dummy_loss, beats_dummy, anomalous
FROM headrace.model_metrics WHERE learner = {learner:String} AND version = {version:String} AND champion
ORDER BY rows DESC, _offset DESC LIMIT 1
"""
_TURN = """
SELECT kind, model, detail, toUnixTimestamp64Micro(at) AS moment FROM headrace.model_events
WHERE learner = {learner:String} AND kind IN ('drift', 'swap', 'promotion', 'rollback')
ORDER BY at DESC, rows DESC, kind DESC LIMIT 1
"""
_LOSSES = """
WITH (SELECT max(rows) FROM headrace.model_metrics WHERE learner = {learner:String} AND version = {version:String})
    AS most
SELECT max(rows) AS upto, argMax(recent_loss, rows) AS loss, argMax(dummy_loss, rows) AS dummy
FROM headrace.model_metrics
WHERE learner = {learner:String} AND version = {version:String} AND champion AND recent_loss IS NOT NULL
GROUP BY intDiv(rows * {most:UInt32}, most + 1) ORDER BY upto
"""


class Observed(NamedTuple):
    """What one window says of one rule; `start` in microseconds since 1970."""

    start: int
    outcome: str
    observed: float | None
    lower: float | None
    upper: float | None


class QualityStore:
    """Reads; blocks for a round trip a call. The caller closes the warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def windows(self, dataset: str, clock: str, since: int = 0, most: int = MOST_WINDOWS) -> list[dict[str, Any]]:
        """Return the newest windows, oldest first, with `missing` as (field, rows, nulls) and without profiles.

        `score` is by today's definition, whatever it was when the window closed.
        """
        found = list(self._rows(_LIGHT, dataset=dataset, clock=clock, since=since, most=most))[::-1]
        for one in found:
            told = (dict(zip(_JUDGED, _values(judged), strict=True)) for judged in one.pop("judged"))
            one["score"] = rescored(values | {"field": "", "dimension": ""} for values in told).total
        return found

    def newest(self, dataset: str, clock: str) -> dict[str, Any] | None:
        """Return the newest closed window whole, None if there is none."""
        return next(self._rows(_WHOLE, dataset=dataset, clock=clock, since=0), None)

    def window(self, dataset: str, clock: str, start: int) -> dict[str, Any] | None:
        """Return the window that begins at a moment (microseconds), None if none that is closed does."""
        query = _WHOLE.replace("w.start >=", "w.start =").replace(" AND w.rows > 0", "")
        return next(self._rows(query, dataset=dataset, clock=clock, since=start), None)

    def cells(self, dataset: str, clock: str, since: int, most: int = MOST_WINDOWS) -> Iterator[PackedCells]:
        """Yield the packed profile cells of the newest windows from a moment on, one window at a time."""
        for row in self._rows(_CELLS, dataset=dataset, clock=clock, since=since, most=most):
            found = map(_values, row["packed"])
            yield cells_by_field((owner, figure, base64.b64decode(data)) for owner, figure, data in found)

    def alerts(self, dataset: str, most: int = 200) -> list[dict[str, Any]]:
        """Return the last word on each alert, the newest first."""
        return list(self._rows(_ALERTS, dataset=dataset, most=most))

    def worst(self, dataset: str, clock: str, since: int, most: int = 12) -> list[dict[str, Any]]:
        """Return of each rule the alert about windows from a moment on that concerned most rows, open or not by now."""
        return list(self._rows(_WORST, dataset=dataset, clock=clock, since=since, most=most))

    def advice(self, dataset: str, most: int = 100) -> list[dict[str, Any]]:
        """Return the advice by rows at risk x gain x confidence, as it was ranked when it was given."""
        return list(self._rows(_ADVICE, dataset=dataset, most=most, least=UNMEASURED_GAIN))

    def files(self, dataset: str, most: int = 50) -> list[dict[str, Any]]:
        """Return what became of the newest files."""
        return list(self._rows(_FILES, dataset=dataset, most=most))

    def history(
        self, dataset: str, clock: str, since: int, rules: Sequence[str], most: int = MOST_WINDOWS
    ) -> dict[str, list[Observed]]:
        """Return what the windows from a moment on say of some rules, oldest first, by rule."""
        found: dict[str, list[Observed]] = {rule: [] for rule in rules}
        if not found:
            return {}
        rows = self._rows(_HISTORY, dataset=dataset, clock=clock, since=since, most=most, rules=list(rules))
        for row in list(rows)[::-1]:
            for rule, *figures in map(_values, row["found"]):
                found[rule].append(Observed(row["start"], *figures))
        return found

    def rows_at(
        self, dataset: str, places: Sequence[tuple[str, int]], names: Sequence[str]
    ) -> dict[tuple[str, int], dict[str, Any]]:
        """Return some columns of some stored rows by (file id, row); a row that is not stored is left out."""
        listed = ", ".join(["_file", "_row", *map(identifier, names)])
        query = (
            f"SELECT {listed} FROM {table_name(dataset)} "  # noqa: S608  names go through identifier
            "WHERE _file IN {files:Array(String)} AND _row IN {ordinals:Array(Int64)}"
        )
        wanted = {"files": sorted({file for file, _ in places}), "ordinals": sorted({row for _, row in places})}
        found = {(row.pop("_file"), int(row.pop("_row"))): row for row in self._rows(query, **wanted)}
        return {place: found[place] for place in places if place in found}

    def stored(self, contract: Contract, since: int) -> dict[int, int]:
        """Return how many rows are stored of each window of event time from a moment on, by its start.

        Of at most 5,000 windows, the newest; times in microseconds since 1970. Reads the dataset's time column, and
        returns nothing while the table does not have it.
        """
        if next(self._rows(_COLUMN, dataset=contract.dataset, name=contract.window.time_field), None) is None:
            return {}
        rows = self._rows(figures_query(contract, Span.EVENT, []), since=since // _MICROS)
        return {int(start) * _MICROS: int(count) for start, count in map(_values, rows)}

    def champion(self, learner: str, version: str) -> dict[str, Any] | None:
        """Return the newest figures of a learner's champion, None if there are none yet."""
        return next(self._rows(_CHAMPION, learner=learner, version=version), None)

    def model_turn(self, learner: str) -> dict[str, Any] | None:
        """Return the last drift, swap, promotion or rollback of a learner; `moment` in microseconds since 1970."""
        return next(self._rows(_TURN, learner=learner), None)

    def losses(self, learner: str, version: str, most: int = 60) -> list[tuple[int, float, float | None]]:
        """Return (rows, the champion's rolling loss, the best dummy's) over time, oldest first."""
        found = self._rows(_LOSSES, learner=learner, version=version, most=most)
        return [(int(one["upto"]), one["loss"], one["dummy"]) for one in found]

    def datasets(self) -> list[str]:
        """Return the names of all datasets that have a window or a file."""
        return [row["dataset"] for row in self._rows(_DATASETS)]

    def clock_of(self, dataset: str) -> str:
        """Return the clock to look at: event time if the dataset has such windows."""
        return "event" if self.windows(dataset, "event", most=1) else "arrival"

    def _rows(self, query: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        # Integers beyond 2^53 do not occur; values of data may be no UTF-8, which is replaced.
        rest = b""
        for chunk in self._warehouse.stream(f"{query} FORMAT JSONEachRow", "JSONEachRow", parameters):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line.decode("utf-8", "replace"), strict=False) for line in lines if line)
        if rest:
            yield json.loads(rest.decode("utf-8", "replace"), strict=False)


def _values(found: Any) -> tuple[Any, ...]:
    """Return the values of a tuple, which JSON has as a list or as an object."""
    return tuple(found.values()) if isinstance(found, dict) else tuple(found)


def law_of_values(settings: Settings, dataset: str, version: str) -> Contract | None:
    """Return the contract that says whose values may be shown: the home's, else the one that judged."""
    try:
        return read_contract(Path(contract_path(settings.paths(), dataset)))
    except (FileNotFoundError, ContractInvalid):
        registry = Registry(settings)
        contracts = ContractStore(settings, settings.kafka_client(), registry)
        try:
            return contracts.by_version(dataset, version) if version else None
        except ContractInvalid:
            return None
        finally:
            contracts.close()
            registry.close()


def with_score(window: Mapping[str, Any], critical: Collection[str]) -> dict[str, Any]:
    """Return a whole window with score, dimensions and worst field by today's definition."""
    found = rescored(window["verdicts"], critical)
    told = {"score": found.total, "dimensions": dict(found.dimensions), "field_scores": dict(found.fields)}
    return {**window, **told, "worst_field": found.worst_field, "worst_score": found.worst_score}


def no_windows(dataset: str, clock: str, paths: Paths) -> WrongUse:
    """Return the error that there is no closed window to speak of, or no such dataset in the home."""
    if not contract_path(paths, dataset).exists() and not (paths.inbox / dataset).exists():
        known = sorted(one.name.removesuffix(SUFFIX) for one in paths.contracts.glob(f"*{SUFFIX}"))
        hint = f"there are {', '.join(known)}" if known else "headrace drop FILE --dataset NAME makes one"
        return WrongUse(f'there is no dataset "{dataset}" in this home', hint=hint)
    when = "later data has come" if clock == "event" else "its time is over, and half a minute more"
    return WrongUse(
        f'dataset "{dataset}" has no closed window by {clock} time',
        hint=f"a window closes when {when}; headrace files shows what came",
    )
