"""A disk that takes no more, made with RLIMIT_FSIZE on the running service: the line waits, recovers, loses nothing."""

import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from headrace.core.child import wait_until
from headrace.testing.line import RunningLine

pytestmark = pytest.mark.stack


def content(rows: int, seed: int) -> bytes:
    """Return rows that do not compress well."""
    seeded = random.Random(seed)
    lines = [f"{number},{seeded.randbytes(40).hex()}" for number in range(rows)]
    return ("number,noise\n" + "\n".join(lines) + "\n").encode()


@contextmanager
def files_no_larger_than(pid: int, size: int) -> Iterator[None]:
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        # A service that died of it has a successor without a limit.
        if psutil.pid_exists(pid):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def stored(line: RunningLine, dataset: str) -> str:
    return line.value(f"SELECT count(), uniqExact(_file, _row) FROM headrace.{dataset}")


@pytest.mark.timeout(240)
def test_kafka_that_can_write_no_more_is_restarted_and_nothing_is_lost(line: RunningLine) -> None:
    line.drop("full_kafka", "before.csv", content(10, 3))
    line.final_receipts("full_kafka", 1)
    before = line.pid("kafka")
    with files_no_larger_than(before, 2_000_000):
        line.drop("full_kafka", "large.csv", content(60_000, 4))
        assert wait_until(lambda: line.pid("kafka") not in {0, before}, 60), "Kafka was not restarted"
    receipts = line.final_receipts("full_kafka", 2, limit_secs=150)
    assert {receipt["state"] for receipt in receipts} == {"balanced"}
    assert stored(line, "full_kafka") == "60010\t60010"
