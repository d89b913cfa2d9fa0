"""headrace drop and files: what they copy, what they wait for, and how they say no."""

import hashlib
import json
import stat
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headrace.cli import files, headrace
from headrace.cli.files import Dropped, NoProgress, copy_into_inbox, follow, sentence
from headrace.core.vocabulary import FileState
from headrace.errors import ServiceUnreachable, WrongUse
from headrace.producers.inbox import ignored
from headrace.producers.places import move_beside
from headrace.schemas.ledger import FileEntry, entry_key, frame_entry, new_entry, receipt
from headrace.settings import Paths

AT = datetime(2026, 1, 1, tzinfo=UTC)
RECEIPT_KEYS = [
    "dataset",
    "file",
    "sha256",
    "state",
    "rows_read",
    "rows_published",
    "rows_stored",
    "rows_quarantined",
    "trace_id",
    "reason",
]


def entry(sha256: str, state: FileState, **fields: Any) -> FileEntry:
    return new_entry(
        dataset="orders",
        sha256=sha256,
        **{"name": "a.csv", "path": "x", "bytes": 1, "modified_at": AT, "updated_at": AT, "state": state, **fields},
    )


def follow_through(
    views: Sequence[Mapping[str, FileEntry]], dropped: list[Dropped], patience: float = 5.0
) -> list[FileEntry]:
    """Follow drops over the views of the ledger that come one after the other; the first is from before."""
    framed = [{key: frame_entry(value, 7) for key, value in view.items()} for view in views]
    later = iter(framed[1:])
    view: dict[str, bytes] = dict(framed[0])

    def refresh() -> Mapping[str, bytes]:
        view.update(next(later, {}))
        return view

    return list(follow(refresh, framed[0], "orders", dropped, patience, quiet=True))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "from" / "a.csv"
    path.parent.mkdir()
    path.write_text("id\n1\n")
    return path


def test_drop_copies_the_file_under_its_name_and_leaves_nothing_else(tmp_path: Path, source: Path) -> None:
    source.chmod(0o200)
    dropped = copy_into_inbox(source, Paths(tmp_path / "home"), "orders")
    folder = tmp_path / "home" / "inbox" / "orders"
    assert [path.name for path in folder.iterdir()] == ["a.csv"]
    assert dropped == Dropped("a.csv", hashlib.sha256(b"id\n1\n").hexdigest())
    assert (folder / "a.csv").stat().st_mode & stat.S_IRUSR
    assert source.exists()


def test_drop_does_not_overwrite_a_file_that_still_waits(tmp_path: Path, source: Path) -> None:
    paths = Paths(tmp_path / "home")
    copy_into_inbox(source, paths, "orders")
    source.write_text("id\n2\n")
    assert copy_into_inbox(source, paths, "orders").name == "a~2.csv"
    assert (paths.inbox / "orders" / "a.csv").read_text() == "id\n1\n"


def test_files_of_one_name_dropped_at_the_same_time_all_stay(tmp_path: Path) -> None:
    paths, together = Paths(tmp_path / "home"), threading.Barrier(4)
    sources = [tmp_path / str(number) / "a.csv" for number in range(4)]
    for source in sources:
        source.parent.mkdir()
        source.write_text(f"id\n{source.parent.name}\n")

    def drop_some(source: Path) -> list[str]:
        together.wait(timeout=10)
        return [copy_into_inbox(source, paths, "orders").name for _ in range(20)]

    with ThreadPoolExecutor(len(sources)) as pool:
        names = [name for found in pool.map(drop_some, sources) for name in found]
    assert sorted(path.name for path in (paths.inbox / "orders").iterdir()) == sorted(names)
    assert len(set(names)) == 80
    contents = Counter(path.read_text() for path in (paths.inbox / "orders").iterdir())
    assert set(contents.values()) == {20}


def test_drop_writes_under_a_name_that_the_watcher_leaves_alone(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def noted(source: Path, folder: Path, name: str) -> Path:
        names.append(source.name)
        return move_beside(source, folder, name)

    monkeypatch.setattr(files, "move_beside", noted)
    copy_into_inbox(source, Paths(tmp_path / "home"), "orders")
    assert len(names) == 1
    assert ignored(names[0])


@pytest.mark.parametrize("dataset", ["Orders", "quality", "../x", ""])
def test_drop_refuses_a_bad_dataset_name(source: Path, dataset: str) -> None:
    result = CliRunner().invoke(headrace, ["drop", str(source), "--dataset", dataset])
    assert isinstance(result.exception, WrongUse)
    assert "choose another name" in result.exception.hint


@pytest.mark.parametrize("name", ["missing.csv", ".", ".hidden.csv"])
def test_drop_refuses_what_would_never_be_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / ".hidden.csv").write_text("id\n")
    result = CliRunner().invoke(headrace, ["drop", str(tmp_path / name), "--dataset", "orders"])
    assert isinstance(result.exception, WrongUse)
    assert not (tmp_path / "data").exists()


def test_drop_tells_in_json_what_it_brought_in(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(headrace, ["drop", str(source), "--dataset", "orders", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["dataset"], told["file"], told["state"], told["watched"]) == ("orders", "a.csv", "dropped", False)


def test_waiting_ends_with_the_balanced_entry_and_not_before() -> None:
    key = entry_key("orders", "ab" * 32)
    views = [
        {},
        {key: entry("ab" * 32, FileState.PUBLISHING)},
        {key: entry("ab" * 32, FileState.PUBLISHED)},
        {key: entry("ab" * 32, FileState.BALANCED, balanced=True, rows_stored=3)},
    ]
    (found,) = follow_through(views, [Dropped("a.csv", "ab" * 32)])
    assert (found.state, found.rows_stored) == (FileState.BALANCED, 3)


def test_waiting_for_a_copy_ends_with_its_own_entry_and_not_the_first_ones() -> None:
    key = entry_key("orders", "ab" * 32)
    first = {key: entry("ab" * 32, FileState.BALANCED, balanced=True)}
    copy = {f"{key}/c1": entry("ab" * 32, FileState.SKIPPED, first_name="z.csv")}
    (found,) = follow_through([first, {}, copy], [Dropped("a.csv", "ab" * 32)])
    assert found.state is FileState.SKIPPED


def test_same_bytes_twice_on_one_command_line_give_two_receipts() -> None:
    key = entry_key("orders", "ab" * 32)
    views = [
        {},
        {key: entry("ab" * 32, FileState.BALANCED, balanced=True)},
        {f"{key}/c1": entry("ab" * 32, FileState.SKIPPED)},
    ]
    found = follow_through(views, [Dropped("a.csv", "ab" * 32), Dropped("b.csv", "ab" * 32)])
    assert [entry.state for entry in found] == [FileState.BALANCED, FileState.SKIPPED]


def test_file_rejected_again_is_news() -> None:
    key = entry_key("orders", "ab" * 32)
    before = entry("ab" * 32, FileState.REJECTED, reason="no_header")
    again = entry("ab" * 32, FileState.REJECTED, reason="no_header", updated_at=AT.replace(year=2027))
    (found,) = follow_through([{key: before}, {}, {key: again}], [Dropped("a.csv", "ab" * 32)])
    assert found == again


def test_waiting_gives_up_when_nothing_moves() -> None:
    with pytest.raises(NoProgress, match=r"a\.csv"):
        follow_through([{}], [Dropped("a.csv", "ab" * 32)], patience=0.2)


def test_receipt_begins_with_the_documented_keys() -> None:
    found = receipt(entry("ab" * 32, FileState.BALANCED, balanced=True))
    assert list(found)[: len(RECEIPT_KEYS)] == RECEIPT_KEYS
    json.dumps(found)


def test_receipt_of_a_file_refused_with_rows_shows_what_stands_once_it_is_proved() -> None:
    refused = entry("ab" * 32, FileState.REJECTED, reason="unreadable", rows_read=3, rows_published=3)
    assert not refused.final
    proved = refused.with_changes(balanced=True, rows_stored=2, rows_quarantined=1)
    assert proved.final
    assert "rejected: unreadable; of the rows it brought before, 3 rows read = 2 stored + 1" in sentence(proved)
    assert entry("ab" * 32, FileState.REJECTED, reason="no_header").final


def test_receipt_and_list_of_files_tell_new_columns_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = "taken in without rules, since the contract does not know them: note; headrace contract show orders gives"
    found = entry("ab" * 32, FileState.BALANCED, balanced=True, reason="new_columns", detail=detail)
    assert sentence(found).endswith(f"\n  {detail}")
    monkeypatch.setattr(files, "ledger_entries", lambda _settings: [found])
    shown = CliRunner().invoke(headrace, ["files"]).output
    assert "new_columns" in shown
    assert f"orders/a.csv: {detail}" in shown


@pytest.mark.parametrize("state", list(FileState))
def test_every_state_has_a_sentence(state: FileState) -> None:
    assert "orders/a.csv" in sentence(entry("ab" * 32, state))


def test_waiting_for_a_line_that_was_stopped_ends_and_says_that_nothing_is_lost() -> None:
    def unreachable() -> Mapping[str, bytes]:
        raise ServiceUnreachable("Kafka does not answer")

    for refresh in (dict[str, bytes], unreachable):
        with pytest.raises(NoProgress, match=r"stopped with a\.csv on their way; nothing is lost") as raised:
            list(follow(refresh, {}, "orders", [Dropped("a.csv", "1")], 60.0, quiet=True, watched=lambda: False))
        assert "headrace up" in raised.value.hint


def test_a_broker_that_is_away_while_the_line_runs_is_told_as_that() -> None:
    def unreachable() -> Mapping[str, bytes]:
        raise ServiceUnreachable("Kafka does not answer")

    with pytest.raises(ServiceUnreachable):
        list(follow(unreachable, {}, "orders", [Dropped("a.csv", "1")], 60.0, quiet=True))
