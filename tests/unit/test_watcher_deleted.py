"""Files that somebody deletes from work/: nothing committed is lost, and the ledger says what became of them."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from headrace.core.child import wait_until
from headrace.core.vocabulary import FileState
from headrace.producers.outgoing import Outgoing
from headrace.schemas.system import read_system
from headrace.testing.file_bench import CONTENT, Bench, refused_plan, rows


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def delete_from_work(bench: Bench) -> None:
    (name,) = bench.names("work")
    (bench.paths.work / "orders" / name).unlink()


def corrections(bench: Bench) -> list[Outgoing]:
    """Ask until there are some: it looks a few times a second at most."""
    found: list[Outgoing] = []

    def asked() -> bool:
        found.extend(bench.work.corrections())
        return bool(found)

    assert wait_until(asked, 5)
    return found


def test_file_deleted_before_its_claim_is_told_and_nothing_is_said_in_the_ledger(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.drop("a.txt", CONTENT).unlink()
    assert bench.run(bench.start("a.txt")) == []
    assert caplog.messages == ["file vanished"]
    assert bench.names("work") == []


def test_file_deleted_in_mid_read_is_published_to_its_end_and_its_receipt_names_no_place(bench: Bench) -> None:
    bench.drop("a.txt", CONTENT)
    steps = bench.start("a.txt")
    items = [bench.commit(cast(Outgoing, next(steps))) for _step in range(2)]
    delete_from_work(bench)
    items += bench.run(steps)
    last = items[-1].entry
    assert (rows(items), last.rows_published, last.state) == (5, 5, FileState.PUBLISHED)
    assert (last.reason, last.path) == ("vanished", "")
    assert "its 5 rows are published" in last.detail
    assert items[-1].delta is not None
    assert read_system("profile_delta", items[-1].delta)["file_path"] == ""
    assert (bench.names("done"), bench.work.active) == ([], set())


def test_file_deleted_between_commit_and_move_is_told_so_once_its_receipt_is_proved(bench: Bench) -> None:
    bench.drop("a.txt", CONTENT)
    *before, last = [item for item in bench.start("a.txt") if item is not None]
    for item in before:
        bench.commit(item)
    delete_from_work(bench)
    bench.commit(last)
    assert last.entry.path
    assert bench.work.corrections() == [], "the entry is the reconciler's"
    bench.balanced.add(last.entry.sha256)
    (said,) = corrections(bench)
    assert (said.key, said.entry.state, said.entry.balanced) == (last.key, FileState.PUBLISHED, False)
    assert (said.entry.reason, said.entry.path, said.entry.rows_published) == ("vanished", "", 5)
    bench.commit(said)
    assert bench.work.active == set()
    assert not bench.work.endings.unmoved


def last_of_refused(bench: Bench) -> Outgoing:
    bench.drop("a.txt", CONTENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.planner, "plan", refused_plan)
        return [item for item in bench.start("a.txt") if item is not None][-1]


def last_of_copy(bench: Bench) -> Outgoing:
    bench.drop("a.txt", CONTENT)
    bench.run(bench.start("a.txt"))
    bench.drop("b.txt", CONTENT)
    return [item for item in bench.start("b.txt") if item is not None][-1]


def last_of_changed(bench: Bench) -> Outgoing:
    path = bench.drop("a.txt", CONTENT)
    steps = bench.start("a.txt")
    with path.open("r+") as stream:
        items = [bench.commit(cast(Outgoing, next(steps))) for _step in range(2)]
        stream.truncate(3)
        items = [item for item in steps if item is not None]
    bench.balanced.add(items[-1].entry.sha256)
    return items[-1]


@pytest.mark.parametrize(
    ("end", "state", "reason"),
    [
        (last_of_refused, FileState.REJECTED, "no_header"),
        (last_of_copy, FileState.SKIPPED, "duplicate_content"),
        (last_of_changed, FileState.CHANGED, "changed_while_read"),
    ],
)
def test_file_deleted_before_it_was_put_aside_keeps_its_reason_and_names_no_place(
    bench: Bench, end: Callable[[Bench], Outgoing], state: FileState, reason: str
) -> None:
    last = end(bench)
    assert (last.entry.state, bool(last.entry.path)) == (state, True)
    delete_from_work(bench)
    bench.commit(last)
    assert bench.work.active, "the same bytes wait until the ledger is right"
    (said,) = corrections(bench)
    bench.commit(said)
    assert (said.key, said.entry.state, said.entry.reason, said.entry.path) == (last.key, state, reason, "")
    assert "somebody deleted it from work/" in said.entry.detail
    assert bench.work.active == set()


def test_file_deleted_while_the_watcher_was_dead_is_given_up_and_the_rest_follows_when_it_comes_again(
    bench: Bench,
) -> None:
    bench.drop("a.txt", CONTENT)
    steps = bench.start("a.txt")
    entry = [bench.commit(cast(Outgoing, next(steps))) for _step in range(2)][-1].entry
    steps.close()
    bench.restart()
    (work,) = bench.names("work")
    delete_from_work(bench)
    # It was listed before it was deleted.
    (lost,) = bench.run(bench.work.go_on("orders", work, entry))
    assert (lost.entry.state, lost.entry.reason, lost.entry.rows_published) == (FileState.CHANGED, "vanished", 2)
    assert (lost.entry.path, bench.view.open_entries()) == ("", [])
    assert "drop the file again" in lost.entry.detail
    bench.balanced.add(entry.sha256)
    bench.drop("a.txt", CONTENT)
    again = bench.run(bench.start("a.txt"))
    assert (rows(again), again[-1].entry.rows_published, again[-1].entry.state) == (3, 5, FileState.PUBLISHED)
