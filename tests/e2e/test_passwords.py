"""A whole line that demands passwords works, for its own commands and for others' clients, and shows them nowhere."""

import errno
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from headrace.core.child import wait_until
from headrace.testing.guide import alert_consumer, lines_of
from headrace.testing.line import RunningLine

pytestmark = pytest.mark.stack
WAREHOUSE_SECRET, REGISTRY_SECRET = "ware-1house-2secret", "regis-3try-4secret"
ROWS = "name,grams\n" + "".join(f"apple {n},{100 + n}\n" for n in range(200)) + "half a row\n" * 20


@pytest.fixture(scope="module")
def locked() -> Iterator[RunningLine]:
    secrets = {"HEADRACE_WAREHOUSE_PASSWORD": WAREHOUSE_SECRET, "HEADRACE_REGISTRY_PASSWORD": REGISTRY_SECRET}
    with RunningLine(environment=secrets) as line:
        yield line


@pytest.fixture(scope="module")
def told(locked: RunningLine) -> dict[str, str]:
    """What commands print after a file came in, by the command."""
    file = locked.home / "fruit.csv"
    file.write_text(ROWS)
    found = {"drop": locked.headrace("drop", str(file), "--dataset", "fruit", "--wait", "--json").stdout}
    assert wait_until(lambda: bool(locked.headrace("alerts", "--json").stdout), 60, every_secs=0.5)
    for command in (
        ("sql", "SELECT count(), sum(grams) FROM headrace.fruit"),
        ("alerts", "--json"),
        ("status", "--json"),
        ("files", "--json"),
        ("quarantine", "list", "fruit", "--json"),
        ("quarantine", "show", "fruit", "--json"),
        ("check", "fruit"),
        ("contract", "show", "fruit"),
        ("trace", "fruit.csv:0"),
        ("advice", "fruit"),
        ("doctor",),
    ):
        done = locked.headrace(*command, check=False)
        found[" ".join(command[:2])] = done.stdout + done.stderr
    return found


@pytest.mark.timeout(240)
def test_line_with_both_passwords_takes_a_file_and_answers_its_commands(told: dict[str, str]) -> None:
    receipt = json.loads(told["drop"])
    assert (receipt["state"], receipt["rows_stored"], receipt["rows_quarantined"]) == ("balanced", 200, 20)
    assert told["sql SELECT count(), sum(grams) FROM headrace.fruit"].split()[-2:] == ["200", str(sum(range(100, 300)))]
    assert json.loads(told["alerts --json"].splitlines()[0])["rule"] == "rejected_share"
    assert {part["state"] for part in json.loads(told["status --json"])["services"].values()} == {"running"}
    assert "by arrival time, 200 rows" in told["check fruit"]
    assert "headrace.fruit" in told["trace fruit.csv:0"]


def test_client_without_the_password_or_with_another_is_refused(locked: RunningLine, told: dict[str, str]) -> None:
    assert told
    for url in (
        f"{locked.settings.warehouse_address()}/?query=SELECT+1",
        f"{locked.settings.registry_address()}/subjects",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=10)
        refused.value.close()
        assert refused.value.code in {401, 403}
    other = RunningLine(
        locked.home, {"HEADRACE_WAREHOUSE_PASSWORD": "wrong-5word", "HEADRACE_REGISTRY_PASSWORD": "wrong-5word"}
    )
    for command in (("sql", "SELECT 1"), ("alerts",)):
        done = other.headrace(*command, check=False)
        assert done.returncode != 0
        assert "wrong-5word" not in done.stdout + done.stderr
        assert "assword" in done.stderr, "it says what is wrong"


def test_consumer_of_the_guide_reads_the_alerts_with_the_registrys_password(
    locked: RunningLine, told: dict[str, str]
) -> None:
    assert told
    program = alert_consumer(locked.settings, f"headrace:{REGISTRY_SECRET}")
    lines_of(program, lambda printed: any("fruit" in text for text in printed), 60)


def test_passwords_are_in_no_file_topic_page_status_or_error(locked: RunningLine, told: dict[str, str]) -> None:
    pipeline = locked.settings.paths().pipeline_password_file
    secrets = [secret.encode() for secret in (WAREHOUSE_SECRET, REGISTRY_SECRET, pipeline.read_text().strip())]
    page = locked.home / "page.html"
    locked.headrace("report", "fruit", "--html", str(page), check=False)
    shown = {name: text.encode() for name, text in told.items()} | messages(locked)
    files = [file for file in locked.home.rglob("*") if file.is_file() and file != pipeline]
    assert len(files) > 50
    found = {str(file): content for file in files if (content := bytes_of(file))} | shown
    assert [name for name, content in found.items() for secret in secrets if secret in content] == []


def bytes_of(file: Path) -> bytes:
    """Return what is written of a file: Kafka's indexes are ten megabytes each, and almost nothing but holes."""
    try:
        with file.open("rb") as opened:
            return b"\n".join(written(opened))
    except FileNotFoundError:  # the warehouse merges parts while we look
        return b""


def written(opened: BinaryIO) -> Iterator[bytes]:
    place, size = 0, os.fstat(opened.fileno()).st_size
    while place < size:
        try:
            start = os.lseek(opened.fileno(), place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        place = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
        opened.seek(start)
        yield opened.read(place - start)


def messages(line: RunningLine) -> dict[str, bytes]:
    """Return what every topic's messages hold: the broker's files are compressed, so a search misses that."""
    consumer = Consumer(
        {
            **line.settings.kafka_client(),
            "group.id": "search",
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
        }
    )
    found: dict[str, list[bytes]] = {}
    try:
        topics = consumer.list_topics(timeout=20).topics
        assert {"fruit.raw", "_schemas", "__consumer_offsets", "quality.alerts"} <= set(topics)
        places = [TopicPartition(name, number) for name, topic in topics.items() for number in topic.partitions]
        ends = {(place.topic, place.partition): consumer.get_watermark_offsets(place, timeout=20) for place in places}
        filled = [place for place, (low, high) in ends.items() if low < high]
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in filled])

        def done() -> bool:
            now = consumer.position(consumer.assignment())
            return all(place.offset >= ends[place.topic, place.partition][1] for place in now)

        while not done():
            for message in consumer.consume(1_000, timeout=0.5):
                assert message.error() is None
                said = repr((message.key(), message.value(), message.headers())).encode()
                found.setdefault(str(message.topic()), []).append(said)
    finally:
        consumer.close()
    return {name: b"\n".join(said) for name, said in found.items()}
