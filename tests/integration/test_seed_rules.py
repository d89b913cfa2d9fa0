"""Each seed rule of advice on data with its fault, planted in a real warehouse: symptom, figures, cause, action, worth.

The data are six devices over ten days, a file a day; one device or day is made faulty. Nothing else may be said of
that symptom, and the same data without the fault call for none of them.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.sql_text import literal, table_name
from headrace.sinks.ddl import apply_ddl
from headrace.sinks.tables import create_table
from headrace.stream_processors.evidence import SAMPLES, Investigator, Window, finding_of
from headrace.stream_processors.steps.advice import Advice, advice_record, ranked, rule_gain
from headrace.stream_processors.steps.advise import advise
from headrace.stream_processors.survey import Surveyor
from headrace.testing.warehouse import OwnWarehouse
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack
GUIDE = Path("docs/guide/advice.md")
ROWS, DEVICES, DAYS = 6_000, 6, 10
DAY, FIRST = 86_400_000_000, int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000
OWNER = "field-data@example.org"
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: {dataset}
version: 1.0.0
status: active
team: {{name: Field, members: [{{username: field-data@example.org, role: Owner}}]}}
schema:
  - name: {dataset}
    customProperties:
      - {{property: headrace.timeField, value: at}}
      - {{property: window, value: P1D}}
    quality:
      - {{id: late, type: custom, engine: headrace, implementation: "{late}"}}
      - {{id: slow, type: custom, engine: headrace, implementation: "check: arrival_delay\\natMost: 600"}}
      - {{id: order, type: custom, engine: headrace, implementation: "check: out_of_order\\nkey: [device]\\natMost: 1"}}
      - {{id: future, type: custom, engine: headrace, implementation: "check: future_time\\natMost: 0"}}
      - {{id: keys, metric: duplicateValues, arguments: {{properties: [reading]}}, mustBe: 0}}
    properties:
      - {{name: device, logicalType: string}}
      - {{name: at, logicalType: timestamp}}
      - {{name: reading, logicalType: integer}}
      - name: value
        logicalType: number
        quality:
          - {{id: nulls, metric: nullValues, mustBeLessThan: 2, unit: percent}}
          - {{id: stuck, type: custom, engine: headrace, implementation: "{stuck}"}}
          - {{id: unit, type: custom, engine: headrace, implementation: "check: unit_shift\\nreference: trailing:P7D"}}
          - {{id: drift, type: custom, engine: headrace, implementation: "check: psi_drift\\nreference: trailing:P7D"}}
      - name: level
        logicalType: integer
        quality:
          - {{id: heaped, type: custom, engine: headrace, implementation: "{heaped}"}}
      - name: city
        logicalType: string
        quality:
          - {{id: cities, type: custom, engine: headrace, implementation: "{cities}"}}
      - name: note
        logicalType: string
        quality:
          - {{id: leak, type: custom, engine: headrace, implementation: "check: pii_leak\\natMost: 0"}}
"""
MADE = {
    "late": "check: late_rate\\nafter_secs: 3600\\natMost: 1\\nunit: percent",
    "stuck": "check: stuck_value\\nkey: [device]\\nlongest: 20",
    "heaped": "check: dominance_heaping\\nof: last_digit\\natMost: 20",
    "cities": "check: category_drift\\nreference: trailing:P7D",
}
Plant = Callable[[pl.DataFrame], pl.DataFrame]
DEVICE_3, LAST_DAY = pl.col("device") == "D3", pl.col("day") == DAYS - 1
EVERY_THIRD = pl.col("reading") % 3 == 0


def base() -> pl.DataFrame:
    """Return sound rows: the devices report in turn, 600 rows a day; values and levels differ without a pattern."""
    n = pl.int_range(ROWS, eager=True)
    spread = (n * 7_919) % 1_009
    return (
        pl.DataFrame({"reading": n})
        .with_columns(
            device=pl.format("D{}", n % DEVICES + 1),
            day=n // (ROWS // DAYS),
            at=FIRST + n * (DAYS * DAY // ROWS),
            value=15.0 + spread / 101 + 0.001,
            level=100 + spread % 97,
            city=pl.Series(["Boston", "Dallas", "Denver"]).gather(n % 3),
            note=pl.format("n{}", n),
        )
        .with_columns(arrived=pl.col("at") + 60_000_000, file=pl.format("{}", pl.col("day") + 1).str.zfill(16))
    )


def put(**changed: Any) -> Plant:
    return lambda frame: frame.with_columns(**changed)


def where(condition: pl.Expr, name: str, value: pl.Expr) -> Plant:
    return put(**{name: pl.when(condition).then(value).otherwise(pl.col(name))})


@dataclass(frozen=True)
class Seed:
    """A planted fault, and what must be said of it. `rule` is the contract's that alerts, "": the stored values do."""

    name: str
    plant: Plant
    symptom: str
    segment: str
    said: str
    cause: str
    action: str
    rows: int
    rule: str = ""
    observed: float | None = None
    bound: float | None = None
    measured_by: str = ""
    files: tuple[str, ...] = field(default_factory=tuple)


SEEDS = [
    Seed(
        "nulls", where(DEVICE_3 & (pl.col("day") > 4), "value", pl.lit(None)), "concentrated_nulls", "device=D3",
        "device=D3 (100% of the cases, 6.0 times its share)", "setting of the collector", "mandatory at device=D3",
        100, "nulls", 16.7, 2.0,
    ),
    Seed(
        "sentinels", where(pl.col("reading") % 40 == 0, "value", pl.lit(-999.0)), "sentinels", "",
        'value has "-999" 150 times', "cannot leave a value empty", "headrace.nullValues", 150,
    ),
    Seed(
        "heaping", where(pl.col("reading") % 2 == 0, "level", pl.col("level") // 5 * 5),
        "digit_heaping", "", "end in 0 or 5; by chance 20% would", "rounded by hand", "from the instrument", 3_619,
        measured_by="heaped",
    ),
    Seed(
        "by_hand", where(DEVICE_3, "level", pl.col("level") // 5 * 5), "rounded_by_hand", "device=D3",
        "device=D3", "rounded or defaulted by hand at device=D3", "record its precision", 160, "heaped", 26.0, 20.0,
    ),
    Seed(
        "flat", where(DEVICE_3 & LAST_DAY, "value", pl.lit(20.0)), "stuck_sensor", "device=D3",
        "Repeat one value too long: D3 100 times.", "repeats its last value at device=D3", "maintenance ticket", 80,
        "stuck", 80.0, 0.0,
    ),
    Seed(
        "bursts",
        where(EVERY_THIRD, "arrived", (pl.col("at") // DAY + 2) * DAY + 2 * 3_600_000_000),
        "late_bursts", "hour_of_arrival=2", "arrived from 02:00 to 03:00 UTC, on 10 days",
        "uploaded by a schedule at that hour", "Upload more often", 2_000, measured_by="late",
    ),
    Seed(
        "late", where(DEVICE_3, "arrived", pl.col("at") + 3 * DAY), "late_records", "device=D3",
        "device=D3 (100% of the cases", "uploaded in bursts at device=D3", "allowedLateness", 100, "late", 16.7, 1.0,
    ),
    Seed(
        "slow", where(DEVICE_3, "arrived", pl.col("at") + 7_200_000_000), "slow_delivery", "device=D3",
        "device=D3 (100% of the cases", "longer than agreed at device=D3", "Shorten the interval", 100, "slow",
        7_200.0, 600.0,
    ),
    Seed(
        "order", where(DEVICE_3 & (pl.col("reading") % 4 == 2), "at", pl.col("at") - 7_200_000_000), "clock_drift",
        "device=D3", "device=D3 (100% of the cases", "buffer at device=D3", "NTP", 50, "order", 8.3, 1.0,
    ),
    Seed(
        "zone", where(DEVICE_3, "at", pl.col("at") + 7_200_000_000), "time_zone", "device=D3",
        "D3 by +2 h (1,000 rows)", "local time is written without its zone", "Send UTC with its offset", 1_000,
        measured_by="future",
    ),
    Seed(
        "future", where(DEVICE_3, "at", pl.col("at") + 7_200_000_000), "time_zone", "device=D3",
        "device=D3 (100% of the cases", "clock is ahead", "correct the clock at device=D3", 100, "future", 16.7, 0.0,
    ),
    Seed(
        "inches", where(DEVICE_3, "value", pl.col("value") * 2.54), "unit_shift", "device=D3",
        "D3 (1,000 rows, near 2.54 (inch and cm))", "device send value in another unit", "unit of value", 1_000,
        measured_by="unit",
    ),
    Seed(
        "fahrenheit", where(DEVICE_3, "value", pl.col("value") * 1.8 + 32), "unit_shift", "device=D3",
        "near 1.8x + 32 (Celsius to Fahrenheit)", "in another unit", "convert where the file is written", 1_000,
        measured_by="unit",
    ),
    Seed(
        "near", where(LAST_DAY & (pl.col("reading") % 9 == 0), "city", pl.lit("Bosston")), "near_categories",
        "values that are new", '"Bosston" for "Boston"', "free text", "pick-list", 67, "cities", 0.12, 0.1,
    ),
    Seed(
        "case", where(pl.col("reading") % 60 == 0, "city", pl.lit("BOSTON")), "spelling_variants", "",
        '"BOSTON" for "Boston"', "free text", "map these pairs", 100, measured_by="cities",
    ),
    Seed(
        "twins",
        lambda frame: pl.concat([frame, frame.filter(LAST_DAY).with_columns(file=pl.lit("f" * 16))]),
        "replayed_keys", "file=ffffffffffffffff", "has the 600 keys of", "again in another file", "manifest", 600,
        measured_by="keys",
    ),
    Seed(
        "repeated", lambda frame: pl.concat([frame, frame.filter(LAST_DAY & DEVICE_3)]), "duplicate_keys", "device=D3",
        "device=D3 (100% of the cases", "sent again", "idempotent", 100, "keys", 100.0, 0.0,
    ),
    Seed(
        "release", put(), "release_regression", "version=2.1",
        "Version 2.1 in the names: 85 of 100 rows; other versions 1 of 50.",
        "version of the producer", "roll that version back", 86,
        files=("tills-v2.0-02.csv 1 50", "tills-v2.1-03.csv 40 50", "tills-v2.1-04.csv 45 50"),
    ),
    Seed(
        "thin", where(pl.col("reading") % 500 == 0, "city", pl.lit("Rome")), "under_sampled", "",
        "Rome has 12 and needs 85 more", "rare", "Collect that many more", 12,
    ),
    Seed(
        "constant", put(note=pl.lit("ok")), "constant_field", "", "note is ok in all of 6,000 rows.", "out of habit",
        "Stop collecting note", 6_000,
    ),
    Seed(
        "personal", where(pl.col("reading") % 50 == 0, "note", pl.lit("ann@example.org")), "personal_data", "",
        "email in 120 of 6,000 values", "People's data", "Tag note pii", 120, measured_by="leak",
    ),
]  # fmt: skip


def stored(warehouse: Warehouse, dataset: str, frame: pl.DataFrame, files: tuple[str, ...]) -> Contract:
    """Store rows as the sink would; return their contract."""
    contract = parse_contract(CONTRACT.format(dataset=dataset, **MADE))
    names = [one.name for one in contract.fields]
    rows = frame.select(
        *(pl.col(name) for name in names if name != "at"),
        pl.col("at").cast(pl.Datetime("us")),
        _file=pl.col("file"),
        _row=pl.int_range(pl.len()),
        _topic=pl.lit(f"{dataset}.valid"),
        _partition=pl.lit(0, pl.Int32),
        _offset=pl.int_range(pl.len()),
        _ingested_at=(pl.col("arrived") // 1_000).cast(pl.Datetime("ms")),
    )
    block = io.BytesIO()
    rows.write_parquet(block, compression="uncompressed")
    warehouse.execute(create_table(contract.record_schema))
    warehouse.insert(table_name(dataset), rows.columns, block.getvalue(), data_format="Parquet", token="once")
    for number, (name, unread, read) in enumerate(one.split(" ") for one in files):
        file = f"{number:016x}"
        warehouse.execute(
            "INSERT INTO headrace.file_entries (dataset, file, name, state, rows_read, _offset, _key) VALUES "
            f"({literal(dataset)}, '{file}', {literal(name)}, 'balanced', {int(read)}, {number}, '{dataset}{number}')"
        )
        warehouse.execute(
            "INSERT INTO headrace.quarantine (dataset, _file, _row, stage) "
            f"SELECT {literal(dataset)}, '{file}', number, 'read' FROM numbers({int(unread)})"
        )
    return contract


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    """Yield a client of a warehouse of this module's own: nothing else is needed."""
    with OwnWarehouse() as own, Warehouse(own.settings) as found:
        apply_ddl(found)
        yield found


def found_by(warehouse: Warehouse, contract: Contract, seed: Seed) -> list[Advice]:
    """Return what the alert of the last day calls for, or what the stored values do."""
    verdicts = [
        {"rule": rule.id, "check": rule.check, "field": ", ".join(rule.fields), "loss": 0.5, "weight": rule.weight}
        for rule in contract.checks
    ]
    if not seed.rule:
        return Surveyor(warehouse).advice(contract, verdicts)
    rule = next(one for one in contract.checks if one.id == seed.rule)
    last = Window(FIRST + (DAYS - 1) * DAY, FIRST + DAYS * DAY)
    evidence = Investigator(warehouse).of_rule(contract, rule, last)
    assert evidence.samples, "rows to look at"
    alert = {"observed": seed.observed, "unit": rule.unit.value, "rows": ROWS // DAYS, "rows_at_risk": seed.rows}
    return advise(finding_of(contract, rule, alert | {"bound": seed.bound, "message": "seen"}, evidence))


@pytest.mark.parametrize("seed", SEEDS, ids=[one.name for one in SEEDS])
def test_planted_fault_is_told_with_its_figures_cause_action_owner_and_worth(warehouse: Warehouse, seed: Seed) -> None:
    contract = stored(warehouse, f"seed_{seed.name}", seed.plant(base()), seed.files)
    found = found_by(warehouse, contract, seed)
    [advice] = [one for one in found if one.symptom == seed.symptom]
    assert advice.segment == seed.segment
    assert seed.said in " ".join(advice.evidence)
    assert seed.cause in advice.cause
    assert seed.action in advice.action
    assert advice.rows_at_risk == seed.rows
    record = advice_record(advice, owner=contract.owner, contract_version="1", alert_ids=[], raised_at=0)
    assert record["owner"] == OWNER
    assert warehouse.rows(advice.query), "the evidence can be asked for again"
    assert advice.rule == (seed.rule or seed.measured_by)
    assert advice.expected_gain == pytest.approx(gain(contract, seed, advice))
    assert advice.confidence == pytest.approx(prior(seed.symptom) * seed.rows / (seed.rows + 20))
    assert found == ranked(found)


def prior(symptom: str) -> float:
    """Return how often the cause follows from a symptom, which is the confidence with no end of rows."""
    return Advice(symptom, "d", "", "", (), "", "", 10**12, 0.0).confidence


def gain(contract: Contract, seed: Seed, advice: Advice) -> float:
    """Return what it must be worth: the rule's share of the score that is lost, or that of one more rule."""
    whole = sum(one.weight for one in contract.checks)
    if seed.rule:
        rule = next(one for one in contract.checks if one.id == seed.rule)
        return rule_gain(rule, contract.checks, seed.observed, seed.bound, (seed.rows, ROWS // DAYS))
    if seed.measured_by:
        return 100 * 0.5 / whole
    return 100 * min(1.0, advice.rows_at_risk / ROWS) / (whole + 1)


@pytest.mark.parametrize(
    ("rule_id", "plant", "rows"),
    [
        ("drift", where(DEVICE_3 & LAST_DAY, "value", pl.col("value") + 100), 100),
        ("leak", where(DEVICE_3 & LAST_DAY, "note", pl.lit("ann@example.org")), 100),
        ("unit", where(pl.col("device").is_in(["D3", "D4", "D5"]) & LAST_DAY, "value", pl.col("value") * 1_000), 300),
    ],
)
def test_rows_behind_a_finding_that_counts_no_rows_are_found(
    warehouse: Warehouse, rule_id: str, plant: Plant, rows: int
) -> None:
    contract = stored(warehouse, f"behind_{rule_id}", plant(base()), ())
    rule = next(one for one in contract.checks if one.id == rule_id)
    found = Investigator(warehouse).of_rule(contract, rule, Window(FIRST + (DAYS - 1) * DAY, FIRST + DAYS * DAY))
    assert "device=D3" in [one.name for one in found.segments]
    assert sum(one.rows for one in found.segments if set(one.parts) == {"device"}) == rows
    assert (found.file, len(found.samples)) == (f"{DAYS:016}", SAMPLES)


def test_sound_data_call_for_nothing(warehouse: Warehouse) -> None:
    contract = stored(warehouse, "seed_sound", base(), ())
    assert Surveyor(warehouse).advice(contract) == []


def test_guide_lists_every_seed_rule_with_its_prior() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (`.+?`) \| .+ \| ([\d., ]+) \|$", text.partition("## The seed rules")[2], re.M)
    told = {
        symptom: float(prior)
        for _, symptoms, priors in rows
        for symptom, prior in zip(re.findall(r"`(\w+)`", symptoms), priors.split(", "), strict=True)
    }
    known = {one.symptom: prior(one.symptom) for one in SEEDS}
    assert {name: told.get(name) for name in known} == {
        name: pytest.approx(prior, abs=1e-6) for name, prior in known.items()
    }
