"""Several quality apps share the partitions: one leaves, one dies, one comes back, and every window counts once."""

import itertools
import json
import random
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from headrace.core.identity import stable_slot
from headrace.schemas.check_rules import WindowSpec
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.record import FieldType, RecordField
from headrace.schemas.topics import PROFILES, QUALITY_PARTITIONS
from headrace.settings import Settings
from headrace.stream_processors.steps.delta_parts import window_parts
from headrace.stream_processors.steps.window_profile import Origin, window_deltas
from headrace.testing.line import wait_for
from headrace.testing.quality_members import (
    HOUR,
    Deltas,
    end,
    ended_by_itself,
    folded,
    lag_of,
    stamped,
    start_member,
    windows_told,
)
from headrace.testing.stack import EmbeddedStack

pytestmark = pytest.mark.stack
FIRST = 1_700_000_000 // HOUR * HOUR
CONTRACT = """
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
    properties:
      - {{name: at, logicalType: timestamp}}
"""


def contract(name: str) -> Contract:
    return parse_contract(CONTRACT.format(name=name))


def datasets() -> list[str]:
    """Return a dataset for each partition."""
    found: dict[int, str] = {}
    for number in range(200):
        name = f"members_{number}"
        found.setdefault(stable_slot(name, QUALITY_PARTITIONS), name)
    return [found[partition] for partition in range(QUALITY_PARTITIONS)]


def windows_of(number: int, seeded: random.Random) -> list[dict[str, Any]]:
    hours = [number // 5, *([number // 5 - 2] if number > 10 and seeded.random() < 0.2 else [])]
    empty: dict[str, Any] = {"clock": "event", "rejected": 0, "counts": {}, "cells": {}, "fields": {}}
    return [empty | {"start": FIRST + hour * HOUR, "rows": seeded.randrange(1, 9)} for hour in sorted(hours)]


def behind(settings: Settings, *slots: int) -> str:
    return f"no lag of members {slots}, they are behind {[lag_of(settings, slot) for slot in slots]}"


class Members:
    """Two members on one stack, and the datasets that they are fed with, one a partition."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.names, self._seeded = settings, datasets(), random.Random(8)
        self._deltas = Deltas(settings, [contract(name) for name in self.names], "test-quality-members")
        self.fed: dict[str, list[list[dict[str, Any]]]] = {name: [] for name in self.names}
        self.apps = {slot: start_member(settings, slot) for slot in (0, 1)}
        self._next = 0

    def feed(self, rounds: int) -> None:
        for number in range(self._next, self._next + rounds):
            for name in self.names:
                self.fed[name].append(windows_of(number, self._seeded))
                self._deltas.publish(name, f"{number:016x}", self.fed[name][-1])
        self._next += rounds

    def wait(self, *slots: int) -> None:
        """Wait until members have read everything."""
        self._wait(
            lambda: all(lag_of(self.settings, slot) == 0 for slot in slots), 90, lambda: behind(self.settings, *slots)
        )

    def wait_for_windows(self) -> None:
        """Wait until every window that was closed is told with all its rows."""
        settings = self.settings
        self._wait(
            lambda: all(rows_told(settings, name) == rows_closed(self.fed[name]) for name in self.names),
            240,
            lambda: f"all rows; {[(rows_told(settings, name), rows_closed(self.fed[name])) for name in self.names]}",
            2.0,
        )

    def _wait(
        self, condition: Callable[[], bool], limit_secs: float, what: Callable[[], str], every_secs: float = 0.3
    ) -> None:
        def met() -> bool:
            assert not (ended := ended_by_itself(self.settings, self.apps)), ended
            return condition()

        wait_for(met, limit_secs, what, every_secs)


def rows_closed(fed: list[list[dict[str, Any]]]) -> dict[int, int]:
    """Return the rows of every window but the newest, which stays open."""
    rows = Counter[int]()
    for one in itertools.chain.from_iterable(fed):
        rows[one["start"]] += one["rows"]
    del rows[max(rows)]
    return dict(rows)


def rows_told(settings: Settings, name: str) -> dict[int, int]:
    """Return the rows that the newest revision of every window tells."""
    told = windows_told(settings, name)
    return {start: told[start, revision][0]["rows"] for start, revision in sorted(told)}


@pytest.mark.timeout(480)
def test_members_that_leave_and_die_and_come_back_count_every_window_once(stack: EmbeddedStack) -> None:
    members = Members(stack.settings)
    try:
        members.feed(20)
        members.wait(0, 1)
        members.feed(10)
        end(members.apps[1])
        members.feed(16)
        members.wait(0)
        members.apps[1] = start_member(stack.settings, 1)
        members.feed(20)
        members.wait(0, 1)
        members.apps[0].send_signal(signal.SIGTERM)
        assert members.apps[0].wait(timeout=60) == 0
        members.feed(20)
        members.wait(1)
        members.apps[0] = start_member(stack.settings, 0)
        members.feed(20)
        members.wait_for_windows()
    finally:
        for app in members.apps.values():
            end(app)
    deltas = stamped(stack.settings, PROFILES, "profile_delta", members.fed.__contains__)
    for name in members.names:
        told = windows_told(stack.settings, name)
        mine = folded((at, delta) for at, delta in deltas if delta["dataset"] == name)
        wanted = {place: sum(one["rows"] for one in parts) for place, parts in mine.items()}
        assert {place: repeats[0]["rows"] for place, repeats in told.items()} == wanted
        for repeats in told.values():
            assert len({json.dumps(one, default=repr) for one in repeats}) == 1, "repeats of a window differ"


def wide(columns: int, hour: int, seeded: np.random.Generator) -> list[list[dict[str, Any]]]:
    """Return what a batch of very many different numbers in many columns adds to a window, in messages."""
    rows = 4_000
    fields = [RecordField("at", FieldType.TIMESTAMP), *(RecordField(f"c{n}", FieldType.DOUBLE) for n in range(columns))]
    start = FIRST + hour * HOUR
    numbers = {f"c{n}": seeded.lognormal(0.0, 3.0, rows) for n in range(columns)}
    frame = pl.DataFrame({"at": [start * 1_000_000] * rows} | numbers)
    frame = frame.with_columns(pl.col("at").cast(pl.Datetime("us")))
    origin = Origin(pl.Series([start * 1_000_000] * rows))
    found = [one for one in window_deltas(frame, fields, (), WindowSpec("at", HOUR), origin) if one.clock == "event"]
    return window_parts(found, 448 * 1024)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("columns", "whole"), [(500, True), (900, False)])
def test_window_of_very_many_columns_keeps_its_state_or_names_what_it_left_out(
    stack: EmbeddedStack, columns: int, whole: bool
) -> None:
    settings, name, seeded = stack.settings, f"wide_{columns}", np.random.default_rng(5)
    deltas = Deltas(settings, [contract(name)], f"test-quality-{name}")
    member = start_member(settings, 0)
    try:
        for hour in (0, 2):
            for number, windows in enumerate(
                wide(columns, hour, seeded) if hour == 0 else [windows_of(10, random.Random(1))]
            ):
                deltas.publish(name, f"{number:016x}", windows)
        wait_for(lambda: (FIRST, 0) in windows_told(settings, name), 120, lambda: behind(settings, 0), 1.0)
    finally:
        end(member)
    (record, *_) = windows_told(settings, name)[FIRST, 0]
    kept = {(cell["owner"], cell["figure"]) for cell in record["cells"]}
    left_out = {tuple(text.rsplit("/", 1)) for text in record["left_out"]}
    assert not kept & left_out
    quantiles = {owner for owner, figure in kept | left_out if figure == "quantiles"}
    assert quantiles == {f"field:c{n}" for n in range(columns)}, "every state is there, or named as left out"
    assert (not left_out) is whole
    assert len(record["fields"]) == columns + 1
