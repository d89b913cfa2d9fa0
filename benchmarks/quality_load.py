"""Deltas of many wide datasets, as the judge would publish them, for the quality app alone."""

import json
import os
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from headrace.core.identity import stable_slot
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import CONTRACTS, PROFILES, QUALITY_PARTITIONS
from headrace.settings import Settings
from headrace.stream_processors.judge import MOST_DELTA_BYTES
from headrace.stream_processors.steps.delta_parts import window_parts
from headrace.stream_processors.steps.window_profile import Origin, window_deltas
from headrace.transport.kafka import TransactionalWriter

_HOUR, _FIRST, _MICROS = 3600, 1_700_000_000 // 3600 * 3600, 1_000_000
_ROWS = 2_000
_EMPTY: dict[str, Any] = {"reasons": {}, "rules": {}, "columns": [], "file_rows": None, "tolerance": None}
_NAMED: dict[str, Any] = {"file_state": "", "file_reason": "", "owner": "", "name": ""}


class Load:
    """`windows` hours of deltas for each dataset: 50 fields, 3 of 5 of them skewed decimals, a rule at each field."""

    fields, windows = 50, 4

    def __init__(self, settings: Settings, datasets: int) -> None:
        self._settings = settings
        self._names = [f"load_{number:04}" for number in range(datasets)]
        self._writer = TransactionalWriter(settings.kafka_client(), "bench-quality-load")
        self.published = 0
        with closing(Registry(settings)) as registry:
            self._schema_id = registry.system_id(PROFILES, "profile_delta")
            contract_id = registry.system_id(CONTRACTS, "contract_text")
        contracts = [parse_contract(_contract_text(name)) for name in self._names]
        self._versions = {contract.dataset: contract.version for contract in contracts}
        self._contract = contracts[0]
        self._writer.begin()
        for contract in contracts:
            key = f"{contract.dataset}/{contract.version}".encode()
            self._writer.write(CONTRACTS, [_recorded(contract, contract_id)], partition=0, key=key)
        self._writer.commit()

    def environment(self) -> dict[str, str]:
        """Return the environment of the app."""
        return os.environ | {"HEADRACE_HOME": str(self._settings.home)}

    def publish(self, step: int) -> None:
        """Publish the deltas of one hour of event time for every dataset; the hour before the last one closes."""
        parts = self._parts(step)
        for name in self._names:
            told = {"dataset": name, "file": f"{step:016x}", "stage": "judge", "trace_id": "", "rejected": 0}
            told |= {"contract_version": self._versions[name]} | _EMPTY | _NAMED
            rows = [_ROWS if part is parts[-1] else 0 for part in parts]
            deltas = [told | {"rows": own, "windows": part} for own, part in zip(rows, parts, strict=True)]
            framed = [frame_system("profile_delta", self._schema_id, delta) for delta in deltas]
            slot = stable_slot(name, QUALITY_PARTITIONS)
            self._writer.begin()
            self._writer.write(PROFILES, framed, partition=slot, key=name.encode())
            self._writer.commit()
            self.published += len(framed)

    def caught_up(self) -> bool:
        """Return True once the app has merged all that was published."""
        path = self._settings.paths().run / "stages" / "quality.json"
        return path.exists() and json.loads(path.read_bytes())["rows"] >= self.published

    def _parts(self, step: int) -> list[Any]:
        frame = _frame(step)
        arrived = pl.Series(np.full(frame.height, int(time.time()) * _MICROS))
        contract = self._contract
        deltas = window_deltas(frame, contract.record_fields, contract.checks, contract.window, Origin(arrived, 1))
        return window_parts(deltas, MOST_DELTA_BYTES)


def _recorded(contract: Contract, schema_id: int) -> bytes:
    """Return what a contract store writes: its own way makes a producer each, which takes minutes for hundreds."""
    value = {"dataset": contract.dataset, "version": contract.version, "text": contract.text, "drafted": False}
    return frame_system("contract_text", schema_id, value | {"registered_at": datetime.now(UTC)})


def _columns() -> dict[str, str]:
    """Return 50 fields with their logical types: of five, three are numbers, one is text and one a whole number."""
    kinds = ["number", "number", "number", "string", "integer"]
    return {f"field_{place:02}": kinds[place % 5] for place in range(Load.fields - 1)}


def _contract_text(name: str) -> str:
    rule = "quality: [{{id: {0}_missing, metric: nullValues, mustBeLessOrEqualTo: 10, unit: percent}}]"
    fields = [f"- {{name: {own}, logicalType: {kind}, {rule.format(own)}}}" for own, kind in _columns().items()]
    listed = "\n      ".join(fields)
    return f"""
apiVersion: v3.1.0
kind: DataContract
id: {name}
version: 1.0.0
status: active
schema:
  - name: {name}
    customProperties:
      - {{property: headrace.timeField, value: at}}
      - {{property: window, value: PT1H}}
      - {{property: allowedLateness, value: PT1H}}
    properties:
      - {{name: at, logicalType: timestamp}}
      {listed}
"""


def _frame(step: int) -> pl.DataFrame:
    chance = np.random.default_rng(step)
    start = (_FIRST + step * _HOUR) * _MICROS
    at = pl.Series("at", start + chance.integers(0, _HOUR * _MICROS, _ROWS)).cast(pl.Datetime("us"))
    made = {"at": at}
    for name, kind in _columns().items():
        if kind == "number":
            made[name] = pl.Series(np.round(chance.lognormal(3.0, 1.5, _ROWS), 2))
        elif kind == "integer":
            made[name] = pl.Series(chance.integers(0, 10_000, _ROWS))
        else:
            made[name] = pl.Series([f"item-{number}" for number in chance.zipf(1.3, _ROWS) % 500])
    return pl.DataFrame(made)
