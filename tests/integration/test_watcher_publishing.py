"""The process `watcher` on real Kafka and a real registry: what is on the topics and in the ledger afterwards."""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.child import EXIT_TERMINAL, wait_until
from headrace.core.identity import file_id
from headrace.core.vocabulary import FileState
from headrace.producers.publisher import transactional_id
from headrace.schemas.ledger import FileEntry
from headrace.schemas.system import read_system
from headrace.schemas.topics import PROFILES, QUARANTINE, SYSTEM_TOPICS, data_topic
from headrace.testing.deltas import readable_deltas
from headrace.testing.stack import EmbeddedStack
from headrace.testing.watcher import FRAME_ROWS, LIMIT_SECS, OwnWatcher
from headrace.transport.follow import read_topic
from headrace.transport.kafka import Topics, TransactionalWriter

pytestmark = pytest.mark.stack


@pytest.fixture
def home(stack: EmbeddedStack, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OwnWatcher]:
    Topics(stack.settings.kafka_client()).ensure(SYSTEM_TOPICS)
    dataset = f"w{abs(hash(request.node.name)) % 10**12}"
    found = OwnWatcher(stack, tmp_path, dataset)
    yield found
    found.close()


def table(rows: int, *, first: int = 0) -> str:
    return "id,name\n" + "".join(f"{number},name {number}\n" for number in range(first, first + rows))


def every_row(entry: FileEntry, rows: int) -> Counter[tuple[str, int]]:
    return Counter({(entry.file, row): 1 for row in range(rows)})


def test_watcher_publishes_each_content_once_whatever_its_name(home: OwnWatcher) -> None:
    home.drop("first.csv", table(500))
    first = home.wait_for_states(first="published")["first"]
    home.drop("copy.csv", table(500))
    found = home.wait_for_states(first="published", copy="skipped")
    home.drop("first.csv", table(3, first=500))
    entries = home.wait(lambda entries: len(entries) == 3 and entries[-1].state is FileState.PUBLISHED)

    assert (first.rows_read, first.rows_published, first.rows_unreadable) == (500, 500, 0)
    assert (found["copy"].first_name, found["copy"].reason) == ("first.csv", "duplicate_content")
    assert home.raw_rows() == every_row(first, 500) + every_row(entries[-1], 3)
    assert sorted(file.name for file in (home.paths.done / home.dataset).iterdir()) == sorted(
        [
            f"{first.sha256[:12]}-first.csv",
            f"{first.sha256[:12]}-copy.csv",
            f"{entries[-1].sha256[:12]}-first.csv",
        ]
    )
    assert not any((home.paths.work / home.dataset).iterdir())


def test_watcher_goes_on_at_the_very_row_after_kill_9(home: OwnWatcher) -> None:
    rows, seeded = 40_000, random.Random(5)
    home.drop("large.csv", table(rows))
    for frame_rows in (FRAME_ROWS, 5_000):
        stands = max((entry.next_row for entry in home.entries()), default=0)
        step = seeded.randrange(1, 3_000)
        home.wait(lambda entries, goal=stands + step: any(entry.next_row >= goal for entry in entries))  # type: ignore[misc]
        home.watcher.kill()
        assert home.entries()[0].state is FileState.PUBLISHING
        home.start(frame_rows)
    entry = home.wait_for_states(large="published")["large"]

    assert (entry.rows_published, entry.next_row) == (rows, rows)
    assert home.raw_rows() == every_row(entry, rows)
    assert [file.name for file in (home.paths.done / home.dataset).iterdir()] == [f"{entry.sha256[:12]}-large.csv"]


def test_watcher_moves_a_file_that_was_published_but_not_moved_when_it_was_killed(home: OwnWatcher) -> None:
    home.drop("a.csv", table(10))
    entry = home.wait_for_states(a="published")["a"]
    done = home.paths.home / entry.path
    assert wait_until(done.exists, LIMIT_SECS)
    home.watcher.kill()
    work = home.paths.work / home.dataset / "0123456789abcdef0123-a.csv"
    done.rename(work)
    home.start()
    assert wait_until(done.exists, LIMIT_SECS)
    assert not work.exists()
    assert [entry.state for entry in home.entries()] == [FileState.PUBLISHED]
    assert home.raw_rows() == every_row(entry, 10)


def test_file_rewritten_while_it_is_read_keeps_its_rows_and_comes_in_again_as_new(home: OwnWatcher) -> None:
    old, new = table(60_000), table(200, first=70_000)
    with home.drop_open("a.csv", old) as stream:
        home.wait(lambda entries: any(entry.next_row >= FRAME_ROWS for entry in entries))
        stream.truncate(0)
        stream.write(new)
    entries = home.wait(lambda entries: len(entries) == 2 and entries[1].state is FileState.PUBLISHED)

    changed, published = entries
    assert (changed.state, changed.reason) == (FileState.CHANGED, "changed_while_read")
    assert 0 < changed.rows_published < 60_000
    assert published.rows_published == 200
    assert home.raw_rows() == every_row(changed, changed.rows_published) + every_row(published, 200)


def test_file_changed_while_the_watcher_was_dead_is_not_continued(home: OwnWatcher) -> None:
    with home.drop_open("a.csv", table(60_000)) as stream:
        home.wait(lambda entries: any(entry.next_row >= FRAME_ROWS for entry in entries))
        home.watcher.kill()
        stream.truncate(0)
        stream.write(table(3))
    home.start()
    entries = home.wait(lambda entries: len(entries) == 2 and entries[1].state is FileState.PUBLISHED)
    changed, published = entries
    assert changed.state is FileState.CHANGED
    assert home.raw_rows() == every_row(changed, changed.rows_published) + every_row(published, 3)


def work_file(home: OwnWatcher) -> Path:
    (found,) = (home.paths.work / home.dataset).iterdir()
    return found


def test_file_deleted_while_it_is_read_is_published_to_its_last_row_and_the_watcher_goes_on(home: OwnWatcher) -> None:
    home.drop("a.csv", table(60_000))
    home.wait(lambda entries: any(entry.next_row >= FRAME_ROWS for entry in entries))
    work_file(home).unlink()
    home.drop("b.csv", table(3, first=70_000))
    found = home.wait_for_states(a="published", b="published")
    assert (found["a"].rows_published, found["a"].reason, found["a"].path) == (60_000, "vanished", "")
    assert home.raw_rows() == every_row(found["a"], 60_000) + every_row(found["b"], 3)
    assert home.watcher.exit_code() is None
    assert [path.name for path in (home.paths.done / home.dataset).iterdir()] == [f"{found['b'].sha256[:12]}-b.csv"]


def test_begun_file_that_is_gone_after_a_kill_says_what_stands_of_it(home: OwnWatcher) -> None:
    home.drop("a.csv", table(60_000))
    home.wait(lambda entries: any(entry.next_row >= FRAME_ROWS for entry in entries))
    home.watcher.kill()
    work_file(home).unlink()
    home.start()
    lost = home.wait_for_states(a="changed")["a"]
    assert (lost.reason, lost.path) == ("vanished", "")
    assert 0 < lost.rows_published < 60_000
    assert f"its first {lost.rows_published} rows stand" in lost.detail
    assert home.raw_rows() == every_row(lost, lost.rows_published)


def test_bad_files_are_refused_with_a_reason_and_hold_up_nobody(home: OwnWatcher) -> None:
    home.drop("empty.csv", "")
    home.drop("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10)
    home.drop("what.xyz", "\x01\x02\x03")
    home.drop("ragged.csv", "id,name\n1,a\n2\n3,c\n")
    (home.inbox / "link.csv").symlink_to("/etc/hostname")
    os.mkfifo(home.inbox / "pipe.csv")
    (home.paths.inbox / "Bad Name").mkdir()
    (home.paths.inbox / "Bad Name" / "x.csv").write_text(table(1))
    (home.paths.inbox / "loose.csv").write_text(table(1))
    home.drop("good.csv", table(5))
    found = home.wait_for_states(
        empty="rejected",
        picture="rejected",
        what="rejected",
        ragged="published",
        link="rejected",
        pipe="rejected",
        loose="rejected",
        good="published",
        **{"Bad Name": "rejected"},
    )
    reasons = {name: entry.reason for name, entry in found.items() if entry.reason}
    assert reasons == {
        "empty": "empty_file",
        "picture": "binary",
        "what": reasons["what"],
        "link": "not_a_file",
        "pipe": "not_a_file",
        "loose": "no_dataset",
        "Bad Name": "bad_dataset_name",
    }
    refused = home.paths.rejected / home.dataset
    assert wait_until((refused / "empty.csv").exists, LIMIT_SECS)
    note = json.loads((refused / "empty.csv.reason.json").read_text())
    assert (note["file"], note["reason"], note["state"]) == ("empty.csv", "empty_file", "rejected")
    assert found["ragged"].rows_published == 3
    assert found["ragged"].rows_unreadable == 1
    check_quarantine_and_deltas(home, found["ragged"])


def check_quarantine_and_deltas(home: OwnWatcher, ragged: FileEntry) -> None:
    client = home.settings.kafka_client()
    (message,) = read_topic(client, data_topic(home.dataset, QUARANTINE))
    row = read_system("quarantined_row", message.value)
    assert (row["_file"], row["_row"], row["stage"], row["raw"]) == (ragged.file, 1, "read", b"2")
    assert [reason["code"] for reason in row["reasons"]] == ["too_few_fields"]
    deltas = readable_deltas(message.value for message in read_topic(client, PROFILES))
    ends = {d["name"]: d for d in deltas if d["dataset"] == home.dataset and d["file_rows"] is not None}
    assert {name: (end["file_rows"], end["file_state"], end["rejected"]) for name, end in ends.items()} == {
        "empty.csv": (0, "rejected", 0),
        "picture.csv": (0, "rejected", 0),
        "what.xyz": (0, "rejected", 0),
        "ragged.csv": (3, "published", 1),
        "good.csv": (5, "published", 0),
    }


def test_every_message_of_a_file_names_its_trace_and_contract(home: OwnWatcher) -> None:
    home.drop("a.csv", table(3))
    entry = home.wait_for_states(a="published")["a"]
    assert entry.file == file_id(entry.sha256)
    text = (home.paths.contracts / f"{home.dataset}.odcs.yaml").read_text()
    assert "status: draft" in text
    assert entry.contract_version.startswith("0.1.0+")
    assert entry.schema_id is not None
    assert entry.trace_id


def test_small_files_do_not_wait_for_a_large_one(home: OwnWatcher) -> None:
    home.drop("large.csv", table(60_000))
    home.wait(lambda entries: any(entry.next_row >= FRAME_ROWS for entry in entries))
    for number in range(5):
        home.drop(f"small{number}.csv", table(2, first=number * 10))

    def small_ones(entries: list[FileEntry]) -> bool:
        return sum(entry.name.startswith("small") and entry.state is FileState.PUBLISHED for entry in entries) == 5

    entries = home.wait(small_ones)
    assert {entry.state for entry in entries if entry.name == "large.csv"} == {FileState.PUBLISHING}


def test_second_watcher_on_a_home_leaves_with_one_clear_line(home: OwnWatcher) -> None:
    assert wait_until((home.paths.run / "watcher.lock").exists, LIMIT_SECS)
    assert wait_until(lambda: (home.paths.run / "watcher.lock").read_text() != "", LIMIT_SECS)
    first = home.watcher
    second = home.start()
    home.watcher = first
    assert second.wait(LIMIT_SECS) == EXIT_TERMINAL
    assert "another watcher is at work" in second.last_line()
    assert first.exit_code() is None


def test_watcher_whose_slot_another_home_took_over_leaves_for_good(home: OwnWatcher) -> None:
    home.drop("a.csv", table(1))
    home.wait_for_states(a="published")
    TransactionalWriter(home.settings.kafka_client(), transactional_id(0))
    home.drop("b.csv", table(2))
    assert home.watcher.wait(LIMIT_SECS) == EXIT_TERMINAL
    assert "stop one of them" in home.watcher.output.read_text()
    home.start()
    home.wait_for_states(a="published", b="published")


def test_stopped_watcher_leaves_at_a_frames_end_and_goes_on_later(home: OwnWatcher) -> None:
    home.drop("a.csv", table(60_000))
    home.wait(lambda entries: any(entry.next_row >= FRAME_ROWS for entry in entries))
    assert home.watcher.stop(20) == 0
    (entry,) = home.entries()
    assert home.raw_rows() == every_row(entry, entry.next_row)
    home.start(20_000)
    entry = home.wait_for_states(a="published")["a"]
    assert home.raw_rows() == every_row(entry, 60_000)
