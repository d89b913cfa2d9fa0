"""A disk that takes no more, made with RLIMIT_FSIZE on the running service: the line waits, recovers, loses nothing."""

import json
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from headrace.core.child import wait_until
from headrace.testing.line import RunningLine
from headrace.testing.warehouse import OwnWarehouse, ask, pipeline_user

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


def logged(line: RunningLine, process: str, text: str) -> int:
    """Return how often a process said something: other tests of the line have made it speak too."""
    entries = map(json.loads, (line.settings.paths().logs / f"{process}.log").read_text().splitlines())
    return sum(entry["message"] == text for entry in entries)


@pytest.mark.timeout(240)
def test_warehouse_that_can_write_no_more_is_awaited_and_nothing_is_lost(line: RunningLine) -> None:
    line.drop("full_warehouse", "before.csv", content(10, 5))
    line.final_receipts("full_warehouse", 1)
    restarts = line.status()["stages"]["receipts"]["restarts"]
    waits, cuts = ("sink", "warehouse awaited"), ("warehouse", "the disk cut a part short: free space")
    before = {said: logged(line, *said) for said in (waits, cuts)}
    with files_no_larger_than(line.pid("warehouse"), 50_000):
        line.drop("full_warehouse", "large.csv", content(5_000, 6))
        for said in (cuts, waits):
            assert wait_until(lambda said=said: logged(line, *said) > before[said], 60), f"it does not say {said}"  # type: ignore[misc]
        # The line goes on: the next file gets as far as Kafka.
        line.drop("full_warehouse", "small.csv", content(20, 7))
        assert wait_until(lambda: len(line.receipts("full_warehouse")) == 3, 60)
    receipts = line.final_receipts("full_warehouse", 3)
    assert {receipt["state"] for receipt in receipts} == {"balanced"}
    assert stored(line, "full_warehouse") == "5030\t5030"
    assert line.status()["stages"]["receipts"]["restarts"] == restarts


def test_insert_and_merge_that_the_disk_cut_short_are_taken_back() -> None:
    """The engine has replaced whole parts by a piece then, and says nothing: the parts are still there for a while."""
    with OwnWarehouse() as own:
        settings, user = own.settings, pipeline_user(own.settings)

        def told(statement: str) -> str:
            answer = ask(settings, statement, headers=user)
            assert answer.status == 200, answer.text
            return answer.text

        told("CREATE TABLE headrace.merged (a String) ENGINE = MergeTree ORDER BY a")
        for _ in range(2):
            told("INSERT INTO headrace.merged SELECT hex(randomString(20)) FROM numbers(1000)")
        pid = own.child.pid
        with files_no_larger_than(pid, 50_000):
            large = "INSERT INTO headrace.merged SELECT hex(randomString(40)) FROM numbers(5000)"
            assert ask(settings, large, headers=user).code == 243
            assert told("SELECT count(), sum(length(a)) FROM headrace.merged") == "2000\t80000\n"
            with pytest.raises(OSError, match=r".*"):
                ask(settings, "OPTIMIZE TABLE headrace.merged FINAL", headers=user)
        own.kill_and_start()
        user = pipeline_user(settings)
        assert told("SELECT count(), sum(length(a)) FROM headrace.merged") == "2000\t80000\n"
