"""Partitions are raised between two files, and second processes take a share of them: nothing is lost or doubled."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headrace.core.child import wait_until
from headrace.observability.status import read_stage
from headrace.testing.line import RunningLine
from headrace.testing.quality_members import end, start_member
from headrace.transport.kafka import Topics

pytestmark = pytest.mark.stack
ROWS = 3_000
STAGES = ("raw", "valid", "quarantine")


def content(first: int) -> bytes:
    rows = "".join(f"{number},row {number}\n" for number in range(first, first + ROWS))
    return f"number,note\n{rows}".encode()


def ask_for(line: RunningLine, dataset: str, partitions: int) -> None:
    """Write a number of partitions into a dataset's contract."""
    path = line.settings.paths().contracts / f"{dataset}.odcs.yaml"
    text = re.sub(r"  - {property: headrace.partitions.*\n", "", path.read_text())
    wanted = f"customProperties:\n  - {{property: headrace.partitions, value: {partitions}}}\n"
    path.write_text(text.replace("customProperties:\n", wanted, 1))


def partitions_of(line: RunningLine, dataset: str) -> set[int]:
    found = Topics(line.settings.kafka_client()).partitions()
    return {found[f"{dataset}.{stage}"] for stage in STAGES}


@pytest.mark.timeout(300)
def test_partitions_are_raised_between_files_never_lowered_and_order_holds_within_each_file(line: RunningLine) -> None:
    line.drop("spread", "before.csv", content(0))
    line.final_receipts("spread", 1)
    assert partitions_of(line, "spread") == {1}

    ask_for(line, "spread", 3)
    for number in range(1, 9):
        line.drop("spread", f"{number}.csv", content(number * ROWS))
    raised = line.final_receipts("spread", 9)
    assert {receipt["state"] for receipt in raised} == {"balanced"}
    assert partitions_of(line, "spread") == {3}

    ask_for(line, "spread", 2)
    line.drop("spread", "after.csv", content(9 * ROWS))
    lowered = line.final_receipts("spread", 10)
    assert {receipt["state"] for receipt in lowered} == {"balanced"}
    assert partitions_of(line, "spread") == {3}
    log = line.settings.paths().logs / "watcher.log"
    assert wait_until(lambda: "partitions are only ever raised" in log.read_text(), 10)

    rows = 10 * ROWS
    assert line.value("SELECT count(), uniqExact(_file, _row), uniqExact(number) FROM headrace.spread") == (
        f"{rows}\t{rows}\t{rows}"
    )
    assert line.value("SELECT uniqExact(_partition) FROM headrace.spread") == "3"
    spread = "SELECT max(places) FROM (SELECT uniqExact(_partition) AS places FROM headrace.spread GROUP BY _file)"
    assert line.value(spread) == "1", "a file lies in one partition"
    order = (
        "SELECT count() FROM (SELECT _row, lagInFrame(_row, 1, -1) OVER "
        "(PARTITION BY _file ORDER BY _offset ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS previous "
        "FROM headrace.spread) WHERE _row != previous + 1"
    )
    assert line.value(order) == "0", "rows of a file keep its order"


@contextmanager
def beside(member: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A second process of a stage on the line's home, as the profile `scale` of docker-compose.yml has them."""
    try:
        yield member
    finally:
        end(member)


def rows_of(line: RunningLine, name: str) -> int:
    told = read_stage(line.settings.paths(), name)
    return -1 if told is None else told["rows"]


@pytest.mark.timeout(300)
def test_second_judge_and_quality_member_beside_the_line_take_a_share_and_may_go(line: RunningLine) -> None:
    line.drop("shared", "first.csv", content(0))
    line.final_receipts("shared", 1)
    ask_for(line, "shared", 8)
    with beside(start_member(line.settings, 1, "judge")) as judge, beside(start_member(line.settings, 1)):
        assert wait_until(lambda: rows_of(line, "judge-1") >= 0 and rows_of(line, "quality-1") >= 0, 90)
        came = 1

        def shared() -> bool:
            nonlocal came
            line.drop("shared", f"{came}.csv", content(came * ROWS))
            came += 1
            line.final_receipts("shared", came)
            return rows_of(line, "judge-1") > 0

        assert wait_until(shared, 90), line.status()
        judge.terminate()
        assert judge.wait(60) == 0
    for _ in range(4):
        shared()
    receipts = line.final_receipts("shared", came)
    assert {receipt["state"] for receipt in receipts} == {"balanced"}
    rows = came * ROWS
    assert line.value("SELECT count(), uniqExact(_file, _row) FROM headrace.shared") == f"{rows}\t{rows}"
