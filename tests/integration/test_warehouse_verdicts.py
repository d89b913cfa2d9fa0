"""One definition, two places: the stored rows of real flights give the figures and verdicts that the stream gives."""

import io
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import fastavro
import polars as pl
import pytest

from headrace.core.vocabulary import Severity
from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule, WindowSpec
from headrace.schemas.contract import Contract
from headrace.schemas.contract_fields import ContractField
from headrace.schemas.expression import KIND_OF
from headrace.schemas.expression_parser import parse_expression
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.rules import Length, MultipleOf, OneOf, Pattern, Range, Required, RowRule, Rule
from headrace.schemas.sql_text import table_name
from headrace.schemas.system import system_schema_text
from headrace.sinks.ddl import apply_ddl
from headrace.sinks.tables import SYSTEM_COLUMNS, create_table
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import ARRIVED, Outcome, Verdict
from headrace.stream_processors.longer_verdicts import longer_judgements, owners_needed
from headrace.stream_processors.steps.stored_past import Past
from headrace.stream_processors.steps.stored_sql import Span, figures_query
from headrace.stream_processors.steps.stored_state import Kept, needs_state
from headrace.stream_processors.steps.validate import validate
from headrace.stream_processors.steps.verdicts import Known, evaluate
from headrace.stream_processors.steps.window_facts import facts_text
from headrace.stream_processors.steps.window_profile import Origin, window_deltas
from headrace.stream_processors.steps.window_record import Closed, window_record
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.stream_processors.warehouse_verdicts import Basis, Judgement, WarehouseVerdicts, kept_windows
from headrace.testing.flight_checks import flight_rules
from headrace.testing.real_rows import as_batch, real_records
from headrace.testing.stack import EmbeddedStack
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack

DATASET, DAY, NOW = "two_places", 86_400, 1.5e9
SHIPPED, RECORDS = real_records("flights")
TYPES = {field.name: field.type for field in SHIPPED.record_fields}
KINDS = {name: KIND_OF[kind] for name, kind in TYPES.items()}


def rule(check: str, *fields: str, bounds: Bounds | None = None, **parameters: Any) -> CheckRule:
    return CheckRule(
        f"{check}-{'-'.join(fields)}", check, fields, parameters, bounds, check_named(check).unit, types=TYPES
    )


OWN = [
    rule("null_rate", "dep_time", bounds=Bounds(upper=3.0)),
    rule("missing_rate", "tailnum", sentinels=["NA", "N14228"]),
    rule("complete_rows", "dep_time", "arr_time", bounds=Bounds(lower=97.0)),
    rule("conditional_required", "arr_time", when="dep_time is not null"),
    rule("encoding", "tailnum", "dest"),
    rule("lossy_cast", "tailnum", to="long"),
    rule("row_count", bounds=Bounds(lower=900)),
    rule("volume_anomaly"),
    rule("segment_coverage", "carrier", segments=["UA", "HA", "OO"]),
    rule("latency", bounds=Bounds(upper=1.2e8)),
    rule("late_rate", after_secs=3_600, bounds=Bounds(upper=50.0)),
    rule("future_time"),
    rule("sequence_gap", "time_hour", step_secs=3_600),
    rule("duplicate_key", "month", "day", "tailnum", bounds=Bounds(upper=60.0)),
    rule("arrival_delay", bounds=Bounds(upper=6_000)),
    rule("out_of_order"),
]
# The rules have the ids that a contract would give: unique ones.
RULES = tuple(
    replace(one, id=f"{place}-{one.check}")
    for place, one in enumerate([*OWN, *(one for one, _ in flight_rules() if one.check != "reference")])
)
CONTRACT = replace(SHIPPED, dataset=DATASET, checks=RULES, window=WindowSpec("time_hour", DAY))


def batch() -> pl.DataFrame:
    """Return two months of flights, the storm of February in them, cut into daily windows of two clocks."""
    return as_batch(RECORDS.filter(pl.col("month") <= 2), "time_hour", DAY)


@pytest.fixture(scope="module")
def states() -> dict[tuple[str, int], WindowState]:
    return streamed_states(CONTRACT)


def streamed_states(contract: Contract) -> dict[tuple[str, int], WindowState]:
    """Return the stream's state of each window: deltas of random splits of the rows, put together."""
    left, chance, parts = batch(), random.Random(7), dict[tuple[str, int], list[Part]]()
    cuts = sorted(chance.sample(range(left.height), 5))
    for number, (first, last) in enumerate(zip([0, *cuts], [*cuts, left.height], strict=True)):
        part = left[first:last]
        records = part.select([*TYPES, "_file", "_row"])
        for delta in window_deltas(records, contract.record_fields, RULES, contract.window, Origin(part[ARRIVED], 1)):
            made = Part(number, contract.version, delta.rows, 0, {}, {}, delta.counts, delta.cells, delta.fields)
            parts.setdefault((delta.clock, delta.start), []).append(made)
    return {window: WindowState(found) for window, found in parts.items()}


def insert(warehouse: Warehouse, table: str, frame: pl.DataFrame, columns: Sequence[str], token: str) -> None:
    data = io.BytesIO()
    frame.write_parquet(data, compression="uncompressed")
    warehouse.insert(table, list(columns), data.getvalue(), data_format="Parquet", token=token)


def store_rows(warehouse: Warehouse, dataset: str, rows: pl.DataFrame) -> None:
    stored = rows.select(
        *TYPES,
        "_file",
        "_row",
        pl.lit(f"{dataset}.valid").alias("_topic"),
        pl.lit(0, pl.Int32).alias("_partition"),
        pl.col("_row").alias("_offset"),
        (pl.col(ARRIVED) // 1_000).cast(pl.Datetime("ms")).alias("_ingested_at"),
    )
    insert(warehouse, table_name(dataset), stored, [*TYPES, *SYSTEM_COLUMNS], dataset)


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack, states: dict[tuple[str, int], WindowState]) -> Iterator[Warehouse]:
    with Warehouse(stack.settings) as client:
        apply_ddl(client)
        client.execute(create_table(RecordSchema(DATASET, CONTRACT.record_fields)))
        store_rows(client, DATASET, batch().with_columns(pl.format("file-{}", pl.col("_row") % 3).alias("_file")))
        store_windows(client, states, CONTRACT)
        yield client
        client.execute(f"DROP TABLE {table_name(DATASET)}")
        client.execute(f"ALTER TABLE headrace.window_entries DELETE WHERE dataset = '{DATASET}'")


def store_windows(warehouse: Warehouse, states: dict[tuple[str, int], WindowState], contract: Contract) -> None:
    """Store closed windows in the sink's format: an Avro container of window.avsc with the system columns."""
    document = json.loads(system_schema_text("window"))
    own = {"_topic": "string", "_partition": "int", "_offset": "long", "_key": "string", "_deleted": "int"}
    document["fields"] += [{"name": name, "type": kind} for name, kind in own.items()]
    rows = []
    for offset, ((clock, start), state) in enumerate(sorted(states.items())):
        end = start + contract.window.size_secs
        closed = Closed(contract.dataset, clock, start, end, 0, int(NOW) * 1_000_000, contract.version)
        text = facts_text(known_facts(clock), state)
        found = window_record(closed, state, evaluate((), state, start, end, Known()), (), facts=text)
        place = {"_topic": "quality.windows", "_partition": 0, "_offset": offset, "_deleted": 0}
        rows.append(found | place | {"_key": f"{contract.dataset}/{clock}/{start}/0"})
    data, columns = io.BytesIO(), [one["name"] for one in document["fields"]]
    fastavro.writer(data, document, rows)
    token = f"{contract.dataset} windows"
    warehouse.insert("headrace.window_entries", columns, data.getvalue(), data_format="Avro", token=token)


def verdicts_of(judgements: Sequence[Judgement]) -> dict[tuple[int, str], Verdict]:
    return {(one.start, given.judged.rule.id): given.judged.verdict for one in judgements for given in one.verdicts}


def streamed(states: dict[tuple[str, int], WindowState], clock: str) -> dict[tuple[int, str], Verdict]:
    """Return the stream's verdicts: windows one after another, each with what the earlier ones left."""
    past, found = Past(RULES), {}
    for (own, start), state in sorted(states.items()):
        if own == clock:
            known = past.known(start, start + DAY, known_facts(clock), clock)
            judged = evaluate(RULES, state, start, start + DAY, known).judged
            found.update({(start, one.rule.id): one.verdict for one in judged})
            past.learn(start, start + DAY, judged, Kept(start, CONTRACT.version, int(NOW) * 1_000_000, state.merged()))
    return found


def known_facts(clock: str) -> dict[str, Any]:
    """Return what a window's record says was known: both places have it."""
    return {facts.NOW: NOW} | ({facts.UNREADABLE_ROWS: {"a.csv": 7}} if clock == Span.ARRIVAL else {})


def distance(found: Verdict, wanted: Verdict) -> float:
    return abs((found.observed or 0.0) - (wanted.observed or 0.0))


def alike(found: Verdict, wanted: Verdict) -> bool:
    """Return True for one verdict told twice: exactly, but for estimates, which may be off by twice their error.

    Where the error of the stream's estimate reaches over the bound, the stream does not say what exact rows do.
    """
    close = distance(found, wanted) <= 2 * wanted.error + 1e-9
    undecided = wanted.outcome is Outcome.NOT_CHECKED and wanted.error > 0 and "cannot be told" in wanted.detail
    return close and found.rows == wanted.rows and (undecided or found.outcome is wanted.outcome)


@pytest.mark.parametrize("span", [Span.EVENT, Span.ARRIVAL])
def test_stored_rows_and_stored_state_give_the_verdicts_of_the_stream(
    warehouse: Warehouse, states: dict[tuple[str, int], WindowState], span: Span
) -> None:
    judgements = WarehouseVerdicts(warehouse, CONTRACT, lambda version: None, NOW).judgements(span)
    found, wanted = verdicts_of(judgements), streamed(states, span.value)
    assert found.keys() == wanted.keys()
    apart = {window: (found[window], own) for window, own in wanted.items() if not alike(found[window], own)}
    assert apart == {}
    # An error of an estimate is two standard deviations: one in twenty may be farther off, none twice as far.
    estimates = {window: own for window, own in wanted.items() if own.error and own.observed is not None}
    beyond = [window for window, own in estimates.items() if distance(found[window], own) > own.error]
    assert len(beyond) <= len(estimates) / 20
    by_rows = {given.judged.rule.check for given in judgements[0].verdicts if given.basis is Basis.ROWS}
    assert by_rows >= {one.check for one in RULES if check_named(one.check).sql(one)}
    assert {one.outcome for one in found.values()} == set(Outcome)


def test_stored_rows_give_the_counts_of_the_stream(
    warehouse: Warehouse, states: dict[tuple[str, int], WindowState]
) -> None:
    rules = [one for one in RULES if check_named(one.check).sql(one)]
    asked = [(one.id, name, text) for one in rules for name, text in check_named(one.check).sql(one).items()]
    query = figures_query(CONTRACT, Span.EVENT, [text for *_, text in asked])
    rows, compared = warehouse.rows(query, {"since": 0}), 0
    assert {start for start, *_ in rows} == {start for clock, start in states if clock == "event"}
    for start, count, *values in rows:
        state = states["event", start]
        assert count == state.rows
        for (name, figure, _), value in zip(asked, values, strict=True):
            if figure in state.counts.get(name, {}):
                assert value == state.counts[name][figure], (start, name, figure)
                compared += 1
    assert compared > 59 * 25


def test_days_from_the_states_of_hours_have_the_verdicts_of_days_at_once(
    warehouse: Warehouse, states: dict[tuple[str, int], WindowState]
) -> None:
    hourly = replace(CONTRACT, dataset="two_places_hourly", window=WindowSpec("time_hour", 3_600))
    hours = streamed_states(hourly)
    store_windows(warehouse, hours, hourly)
    try:
        kept = list(kept_windows(warehouse, hourly.dataset, "event", owners_needed(RULES)))
        found = verdicts_of(longer_judgements(hourly, lambda version: hourly, "event", kept, DAY))
    finally:
        warehouse.execute(f"ALTER TABLE headrace.window_entries DELETE WHERE dataset = '{hourly.dataset}'")
    wanted = streamed(states, "event")
    assert found.keys() == wanted.keys()
    ordered = {one.id for one in RULES if check_named(one.check).order_bound}
    assert ordered
    assert {found[window].outcome for window in found if window[1] in ordered} == {Outcome.NOT_CHECKED}
    merged = {window: own for window, own in wanted.items() if window[1] not in ordered}
    apart = {window: (found[window], own) for window, own in merged.items() if not alike(found[window], own)}
    assert apart == {}
    assert len({window[1] for window in merged if found[window].outcome is not Outcome.NOT_CHECKED}) > 50


def test_files_are_evaluated_from_rows_and_what_has_no_sql_says_so(warehouse: Warehouse) -> None:
    judgements = WarehouseVerdicts(warehouse, CONTRACT, lambda version: None, NOW).judgements(Span.FILE)
    assert {one.file for one in judgements} == {"file-0", "file-1", "file-2"}
    assert sum(one.rows for one in judgements) == batch().height
    for given in judgements[0].verdicts:
        verdict = given.judged.verdict
        if needs_state(check_named(given.judged.rule.check), given.judged.rule):
            assert (given.basis, verdict.outcome) == (Basis.NOTHING, Outcome.NOT_CHECKED)
            assert "has no SQL" in verdict.detail
        assert given.demand


def test_a_changed_contract_is_evaluated_without_figures_that_were_kept_for_another_demand(
    warehouse: Warehouse,
) -> None:
    changed = [
        rule("null_rate", "dep_time", bounds=Bounds(upper=60.0)),
        rule("quantile_bounds", "distance", bounds=Bounds(1, 2)),
        rule("stuck_value", "dep_time", longest=3),
        rule("null_rate", "never_there"),
        rule("psi_drift", "distance", reference="pinned:good"),
    ]
    contract = replace(CONTRACT, version="2", checks=tuple(changed))
    since = 1_359_676_800
    judgements = WarehouseVerdicts(warehouse, contract, lambda version: CONTRACT, NOW).judgements(Span.EVENT, since)
    assert judgements[0].start == since
    found = {given.judged.rule.id: given for given in judgements[0].verdicts}
    assert [given.basis for given in found.values()] == [Basis.ROWS, Basis.STATE, *[Basis.NOTHING] * 3]
    outcomes = [given.judged.verdict.outcome.value for given in found.values()]
    assert outcomes == ["pass", "fail", *["not_checked"] * 3]
    details = [given.judged.verdict.detail for given in found.values()]
    assert "kept no figures for this demand" in details[2]
    assert "never_there" in details[3]
    assert "kept by the stream alone" in details[4]


BROKEN = [
    Rule("origin", ("origin",), OneOf(("EWR", "JFK"))),
    Rule("short", ("distance",), Range(100, 2_500)),
    Rule("even", ("dep_time",), MultipleOf(2), Severity.WARNING),
    Rule("tenths", ("air_time",), MultipleOf(2.5), Severity.WARNING),
    Rule("there", ("dep_time",), Required(), Severity.WARNING),
    Rule("plane", ("tailnum",), Pattern("^N[0-9]+[A-Z]+$", "^N[0-9]+[A-Z]+$"), Severity.WARNING),
    Rule("carrier", ("carrier",), Length(2, 2)),
    Rule(
        "gain", ("dep_delay", "arr_delay"), RowRule(parse_expression("arr_delay <= dep_delay", KINDS)), Severity.WARNING
    ),
]


def never_there() -> ContractField:
    return replace(SHIPPED.fields[0], name="never_there", type=RecordField("never_there", FieldType.LONG))


def test_rules_about_one_record_count_in_the_warehouse_what_the_judge_counts(warehouse: Warehouse) -> None:
    contract = replace(CONTRACT, dataset="two_places_judged", rules=tuple(BROKEN))
    records = batch().with_columns(pl.format("file-{}", pl.col("_row") % 2).alias("_file")).head(20_000)
    wanted, kept, refused = {}, [], []
    for (file,), rows in records.group_by("_file"):
        verdicts = validate(rows.select(list(TYPES)), contract)
        wanted[file] = {name: count for name, count in verdicts.rules.items() if count}
        kept.append(rows.filter(verdicts.accepted))
        by_row: dict[int, list[dict[str, str]]] = {}
        for one in verdicts.failures:
            reason = {"code": one.code.value, "field": one.field, "rule": one.rule, "detail": one.detail}
            by_row.setdefault(one.index, []).append(reason)
        refused += [{"_file": file, "_row": int(rows["_row"][at]), "reasons": found} for at, found in by_row.items()]
    warehouse.execute(create_table(RecordSchema(contract.dataset, contract.record_fields)))
    try:
        store_rows(warehouse, contract.dataset, pl.concat(kept))
        held = pl.DataFrame(refused).with_columns(
            pl.lit(contract.dataset).alias("dataset"),
            pl.lit("judge").alias("stage"),
            pl.lit(contract.version).alias("contract_version"),
        )
        insert(warehouse, "headrace.quarantine", held, held.columns, contract.dataset)
        found, unseen = WarehouseVerdicts(warehouse, contract, lambda version: None, NOW).files()
        assert unseen == {}
        assert {one.file: one.failed for one in found} == wanted
        assert sum(one.stored + one.quarantined for one in found) == records.height
        assert not any(one.failed_stored.get("origin") for one in found)
        rules = (*BROKEN, Rule("new", ("never_there",), Required()))
        newer = replace(contract, version="newer", rules=rules, fields=(*contract.fields, never_there()))
        found, unseen = WarehouseVerdicts(warehouse, newer, lambda version: None, NOW).files()
        assert (sum(one.by_others for one in found), list(unseen)) == (len(refused), ["new"])
    finally:
        warehouse.execute(f"DROP TABLE {table_name(contract.dataset)}")
        warehouse.execute(f"ALTER TABLE headrace.quarantine DELETE WHERE dataset = '{contract.dataset}'")
