"""The check in examples/checks works as a user's package does: found by its entry point, and it keeps the laws."""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.schemas import check_catalog
from headrace.schemas.check_catalog import GROUP, check_named, check_names
from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.contract import parse_contract
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import ARRIVED, WINDOW, Check, Outcome, Parameters, Verdict, View
from headrace.stream_processors.steps.verdicts import Known, evaluate
from headrace.stream_processors.steps.window_profile import Origin, window_deltas
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.testing.check_laws import hold_to_laws
from headrace.testing.real_rows import as_batch, real_records

EXAMPLE = Path(__file__).parents[2] / "examples" / "checks"
MONDAY = datetime(2026, 3, 2)  # noqa: DTZ001  records have moments without a zone, in UTC


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the package as pip would have it seen: its module on the path, and a dist-info with the entry points."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "\n".join(f"{name} = {value}" for name, value in project["entry-points"][GROUP].items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    check_catalog._points.cache_clear()
    check_named.cache_clear()


def days(*offsets: int | None) -> pl.DataFrame:
    moments = [None if offset is None else MONDAY + timedelta(days=offset) for offset in offsets]
    return pl.DataFrame({"at": pl.Series(moments, dtype=pl.Datetime("us"))}).with_columns(
        pl.lit(0, pl.Int64).alias(WINDOW), pl.lit("f").alias("_file"), pl.int_range(pl.len()).alias("_row")
    )


def rule(**parameters: Any) -> CheckRule:
    types = {"at": FieldType.TIMESTAMP}
    return CheckRule("w", "working_days", ("at",), parameters, Bounds(upper=10.0), Unit.PERCENT, types=types)


def test_the_example_is_found_and_keeps_the_laws() -> None:
    assert "working_days" in check_names()
    for parameters in ({}, {"saturday": True}):
        hold_to_laws(check_named("working_days"), rule(**parameters), days(*range(30), None, None))


def test_a_contract_asks_for_the_example_and_real_flights_get_its_verdict() -> None:
    text = (shipped_contract("flights") or "").replace(
        "      - name: time_hour\n",
        "      - name: time_hour\n"
        "        quality:\n"
        "          - {id: office, type: custom, engine: headrace, implementation: 'check: working_days\n\n\n"
        "              atMost: 1'}\n",
        1,
    )
    contract = parse_contract(text, "flights")
    (asked,) = [one for one in contract.checks if one.check == "working_days"]
    batch = as_batch(real_records("flights")[1].head(8_000), "time_hour", 86_400)
    records = batch.select([*(field.name for field in contract.fields), "_file", "_row"])
    deltas = window_deltas(records, contract.record_fields, [asked], contract.window, Origin(batch[ARRIVED]))
    outcomes = {}
    for delta in (one for one in deltas if one.clock == "event"):
        state = WindowState([Part(0, "1", delta.rows, counts=delta.counts)])
        (judged,) = evaluate([asked], state, delta.start, delta.start + 86_400, Known()).judged
        outcomes[datetime.fromtimestamp(delta.start, UTC).weekday()] = judged.verdict.outcome
    assert {day for day, outcome in outcomes.items() if outcome is Outcome.FAIL} == {5, 6}


class Forgetful(Check):
    """A check that breaks the first law: it looks at the batch, not at the rows."""

    name, dimension, summary = "forgetful", check_named("null_rate").dimension, "a wrong one"
    Model = Parameters

    def figures(self, rule: CheckRule) -> dict[str, pl.Expr]:
        return {"batches": pl.lit(1).sum()}

    def sentence(self, rule: CheckRule) -> str:
        return "nothing"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        return Verdict(Outcome.NOT_CHECKED, float(view.counts.get("batches", 0)), detail="no rows")


def test_the_laws_find_a_check_whose_figures_do_not_add_up() -> None:
    with pytest.raises(AssertionError, match="counts"):
        hold_to_laws(Forgetful(), replace(rule(), check="forgetful"), days(0, 1, 2, 3, 4, 5))
