"""Bad input through the whole line: each gives a clear reason, the line goes on, and nothing is lost."""

import gzip
import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace.core.child import wait_until
from headrace.schemas.ledger import entry_key, read_entry
from headrace.schemas.topics import LEDGER
from headrace.testing.line import RunningLine, permissions_need_help
from headrace.transport.kafka import CompactedTopic

pytestmark = pytest.mark.stack
HEADER = b"number,note\n"
GOOD = b"".join(b"%d,row\n" % number for number in range(5))
MIB = 2**20

# name -> (content, state of the file, its reason or the reasons of its rows, rows stored, rows quarantined)
CASES: dict[str, tuple[bytes, str, set[str], int, int]] = {
    "empty": (b"", "rejected", {"empty_file"}, 0, 0),
    "header_only": (HEADER, "balanced", set(), 0, 0),
    "no_final_newline": (HEADER + GOOD + b"9,last", "balanced", set(), 6, 0),
    "unterminated_quote": (HEADER + GOOD + b'6,"never closed\n7,swallowed', "partial", {"unterminated_quote"}, 5, 1),
    "ragged_rows": (HEADER + GOOD + b"1\n1,2,3\n", "balanced", {"too_few_fields", "too_many_fields"}, 5, 2),
    "wrong_encoding": (HEADER + GOOD + b"6,caf\xe9\n", "balanced", {"bad_encoding"}, 5, 1),
    "byte_order_mark": (b"\xef\xbb\xbf" + HEADER + GOOD, "balanced", set(), 5, 0),
    "nul_bytes": (HEADER + GOOD + b"6,a\x00b\n", "balanced", {"nul_byte"}, 5, 1),
    "huge_line": (HEADER + GOOD + b"6," + b"x" * (100 * MIB) + b"\n7,after\n", "balanced", {"too_large"}, 6, 1),
    "binary": (b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 40, "rejected", {"binary"}, 0, 0),
    "gzip_named_csv": (gzip.compress(HEADER + GOOD), "rejected", {"unknown_format"}, 0, 0),
    "type_drift": (HEADER + GOOD * 4_000 + b"six,word\n", "balanced", {"type_mismatch"}, 20_000, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_has_a_reason_and_does_not_hold_the_line_up(line: RunningLine, case: str) -> None:
    content, state, reasons, stored, quarantined = CASES[case]
    dataset = f"bad_{case}"
    if case == "type_drift":  # the type is settled by an earlier file, as it would be in life
        line.drop(dataset, "before.csv", HEADER + b"1,row\n")
        line.final_receipts(dataset, 1)
    line.drop(dataset, "bad.csv", content)
    line.drop(dataset, "good-neighbour.csv", HEADER + b"100,fine\n")
    receipts = {receipt["file"]: receipt for receipt in line.final_receipts(dataset, 2 + (case == "type_drift"))}
    bad = receipts["bad.csv"]
    assert receipts["good-neighbour.csv"]["state"] == "balanced"
    assert (bad["state"], bad["rows_stored"], bad["rows_quarantined"]) == (state, stored, quarantined), bad
    found = {bad["reason"]} if state == "rejected" else row_reasons(line, dataset)
    assert found == reasons
    if state == "rejected":
        assert bad["detail"]
        assert (line.home / bad["path"]).exists(), "a rejected file is kept"
        assert wait_until(lambda: bad["path"] in hint_of_refusal(line, dataset), 30, every_secs=0.5)


def hint_of_refusal(line: RunningLine, dataset: str) -> str:
    return line.value(f"SELECT hint FROM headrace.alerts WHERE dataset = '{dataset}' AND rule = 'file_rejected'")


def test_file_of_an_invalid_contract_is_refused_with_what_is_wrong_and_its_neighbour_is_stored(
    line: RunningLine,
) -> None:
    line.drop("bad_contract", "first.csv", HEADER + GOOD)
    line.final_receipts("bad_contract", 1)
    contract = line.settings.paths().contracts / "bad_contract.odcs.yaml"
    law = contract.read_text()
    contract.write_text(law.replace("physicalType: long", "physicalType: long\n        requird: true"))
    refused = refusal_beside_a_neighbour(line, "bad_contract", HEADER + b"6,later\n")
    assert refused["reason"] == "contract_invalid"
    assert "requird" in refused["detail"]
    assert "bad_contract.odcs.yaml" in refused["detail"]
    # Once it can be followed, the same bytes come in.
    contract.write_text(law)
    line.drop("bad_contract", "later.csv", HEADER + b"6,later\n")
    assert line.final_receipts("bad_contract", 2)[-1]["state"] == "balanced"
    assert line.value("SELECT count() FROM headrace.bad_contract") == "6"


def test_file_whose_types_contradict_the_registered_schema_is_refused_and_the_table_stays(line: RunningLine) -> None:
    line.drop("bad_types", "first.csv", HEADER + GOOD)
    line.final_receipts("bad_types", 1)
    contract = line.settings.paths().contracts / "bad_types.odcs.yaml"
    law = contract.read_text()
    wanted = "logicalType: string\n        physicalType: string\n"
    contract.write_text(law.replace("logicalType: integer\n        physicalType: long\n", wanted, 1))
    refused = refusal_beside_a_neighbour(line, "bad_types", HEADER + b"six,later\n")
    assert refused["reason"] == "schema_incompatible"
    assert "number" in refused["detail"]
    assert "next:" in refused["detail"]


def refusal_beside_a_neighbour(line: RunningLine, dataset: str, content: bytes) -> dict[str, Any]:
    """Drop a file that must be refused, and one into another dataset, which must be stored; return the refusal."""
    columns = f"SELECT name || ' ' || type FROM system.columns WHERE table = '{dataset}' ORDER BY position"
    before, rows = line.column(columns), line.value(f"SELECT count() FROM headrace.{dataset}")
    line.drop(dataset, "later.csv", content)
    line.drop(f"{dataset}_beside", "good.csv", HEADER + GOOD)
    refused = next(found for found in line.final_receipts(dataset, 2) if found["file"] == "later.csv")
    (beside,) = line.final_receipts(f"{dataset}_beside", 1)
    assert (beside["state"], beside["rows_stored"]) == ("balanced", 5)
    assert (refused["state"], refused["rows_published"]) == ("rejected", 0)
    assert (line.home / refused["path"]).read_bytes() == content
    note = json.loads((line.home / f"{refused['path']}.reason.json").read_text())
    assert (note["reason"], note["detail"]) == (refused["reason"], refused["detail"])
    assert before
    assert (line.column(columns), line.value(f"SELECT count() FROM headrace.{dataset}")) == (before, rows)
    return refused


def test_file_rewritten_while_it_is_read_has_a_proved_receipt_and_its_new_bytes_one_of_their_own(
    line: RunningLine,
) -> None:
    old = HEADER + b"".join(b"%d,some text of a row that is read\n" % number for number in range(1_500_000))
    new = HEADER + b"-1,new\n-2,new\n"
    digest = hashlib.sha256(old).hexdigest()
    folder = line.settings.paths().inbox / "bad_rewritten"
    folder.mkdir()
    (draft := folder / ".a.csv").write_bytes(old)
    with draft.open("r+b") as stream, closing(CompactedTopic(line.settings.kafka_client(), LEDGER)) as ledger:
        draft.rename(folder / "a.csv")
        key = entry_key("bad_rewritten", digest)

        def begun() -> bool:
            message = ledger.refresh().get(key)
            return message is not None and read_entry(message).rows_published > 0

        assert wait_until(begun, 60, every_secs=0.01)
        stream.truncate(0)
        stream.write(new)
    receipts = {found["sha256"]: found for found in line.final_receipts("bad_rewritten", 2)}
    changed, renewed = receipts[digest], receipts[hashlib.sha256(new).hexdigest()]
    assert (changed["state"], changed["reason"]) == ("changed", "changed_while_read")
    assert 0 < changed["rows_published"] < 1_500_000
    assert changed["rows_stored"] + changed["rows_quarantined"] == changed["rows_published"] == changed["rows_read"]
    assert (renewed["state"], renewed["rows_stored"]) == ("balanced", 2)
    assert (line.home / renewed["path"]).read_bytes() == new
    of_file = "SELECT count(), uniqExact(number), min(number), max(number) FROM headrace.bad_rewritten WHERE _file = "
    rows = changed["rows_stored"]
    assert line.value(f"{of_file} '{digest[:16]}'") == f"{rows}\t{rows}\t0\t{rows - 1}"
    assert line.value(f"{of_file} '{renewed['sha256'][:16]}'") == "2\t2\t-2\t-1"


def test_columns_that_the_contract_does_not_know_are_told_with_the_lines_that_make_them_law(line: RunningLine) -> None:
    line.drop("bad_columns", "first.csv", HEADER + GOOD)
    line.final_receipts("bad_columns", 1)
    line.drop("bad_columns", "wider.csv", b"number,note,Unit Price\n7,row,1.5\n")
    first, wider = line.final_receipts("bad_columns", 2)
    assert (first["reason"], wider["state"], wider["reason"]) == ("", "balanced", "new_columns")
    assert "unit_price; headrace contract show bad_columns" in wider["detail"]
    added = '- {name: unit_price, physicalName: "Unit Price", logicalType: number, physicalType: double}'
    assert added in line.headrace("contract", "show", "bad_columns").stdout
    contract = line.settings.paths().contracts / "bad_columns.odcs.yaml"
    contract.write_text(f"{contract.read_text().rstrip()}\n      {added}\n")
    line.drop("bad_columns", "law.csv", b"number,note,Unit Price\n8,row,2.5\n")
    assert line.final_receipts("bad_columns", 3)[-1]["reason"] == ""
    assert line.column("SELECT unit_price FROM headrace.bad_columns ORDER BY number DESC LIMIT 2") == ["2.5", "1.5"]
    assert "new columns" not in line.headrace("contract", "show", "bad_columns").stdout


def row_reasons(line: RunningLine, dataset: str) -> set[str]:
    query = f"SELECT DISTINCT arrayJoin(reasons.code) FROM headrace.quarantine WHERE dataset = '{dataset}'"
    return set(line.column(query))


def test_quarantined_row_keeps_its_bytes_and_place(line: RunningLine) -> None:
    content = HEADER + GOOD + b"6\n7,after\n"
    line.drop("bad_place", "ragged.csv", content)
    (receipt,) = line.final_receipts("bad_place", 1)
    query = "SELECT raw, byte_start, byte_end, _row, length FROM headrace.quarantine WHERE dataset = 'bad_place'"
    raw, start, end, row, length = line.value(query).split("\t")
    assert content[int(start) : int(end)].rstrip(b"\n") == b"6"
    assert (raw.rstrip("\\n"), int(row), int(length) <= 2) == ("6", 5, True)
    assert receipt["rows_read"] == 7


def test_folder_named_like_a_bad_dataset_is_told_and_left_alone(line: RunningLine) -> None:
    folder = line.settings.paths().inbox / "Bad Name!"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(HEADER + GOOD)
    try:
        assert wait_until(lambda: any(r["reason"] == "bad_dataset_name" for r in receipts_of(line)), 20)
        assert (folder / "a.csv").exists()
    finally:
        (folder / "a.csv").unlink()
        folder.rmdir()


def receipts_of(line: RunningLine) -> list[dict[str, Any]]:
    return line.receipts()


def test_file_without_read_permission_waits_and_comes_in_once_it_has_it(line: RunningLine) -> None:
    assert os.geteuid() != 0 or permissions_need_help(), "as root this test needs setpriv (util-linux)"
    folder = line.settings.paths().inbox / "bad_permission"
    folder.mkdir(parents=True)
    closed = folder / ".closed.csv"
    closed.write_bytes(HEADER + GOOD)
    closed.chmod(0)
    closed.rename(folder / "closed.csv")
    line.drop("bad_permission", "good.csv", HEADER + b"100,fine\n")

    def receipt(name: str) -> dict[str, Any]:
        return next((found for found in line.receipts("bad_permission") if found["file"] == name), {})

    assert wait_until(lambda: receipt("closed.csv").get("reason") == "unreadable", 20)
    assert wait_until(lambda: receipt("good.csv").get("state") == "balanced", 20)
    assert (folder / "closed.csv").exists()
    (folder / "closed.csv").chmod(0o644)
    receipts = {found["file"]: found for found in line.final_receipts("bad_permission", 2)}
    assert (receipts["closed.csv"]["state"], receipts["closed.csv"]["rows_stored"]) == ("balanced", 5)


def test_folder_that_may_not_be_looked_into_is_told_and_its_file_comes_in_once_it_may(line: RunningLine) -> None:
    assert os.geteuid() != 0 or permissions_need_help(), "as root this test needs setpriv (util-linux)"
    folder = line.settings.paths().inbox / "bad_folder"
    folder.mkdir(parents=True)
    folder.chmod(0)
    try:
        (draft := folder.parent / ".bad_folder.csv").write_bytes(HEADER + GOOD)
        found = wait_until(lambda: [r["reason"] for r in line.receipts("bad_folder")] == ["unreadable"], 20)
        assert found, line.receipts("bad_folder")
        (receipt,) = line.receipts("bad_folder")
        assert (receipt["state"], receipt["path"]) == ("seen", "inbox/bad_folder")
        assert "its files wait" in receipt["detail"]
    finally:
        folder.chmod(0o755)
    draft.rename(folder / "a.csv")
    assert [found["state"] for found in line.final_receipts("bad_folder", 1)] == ["balanced"]


def test_watcher_waits_for_an_inbox_that_may_not_be_read_and_goes_on_once_it_may(line: RunningLine) -> None:
    assert os.geteuid() != 0 or permissions_need_help(), "as root this test needs setpriv (util-linux)"
    inbox = line.settings.paths().inbox
    (draft := inbox.parent / ".closed_inbox.csv").write_bytes(HEADER + GOOD)

    def watcher() -> tuple[str, int]:
        stage = line.status()["stages"]["watcher"]
        return stage["state"], stage["restarts"]

    mode, before = stat.S_IMODE(inbox.stat().st_mode), watcher()
    inbox.chmod(0)
    try:
        assert wait_until(lambda: watcher() == ("waiting", before[1]), 20), watcher()
        assert "inbox/ cannot be read: Permission denied" in (line.settings.paths().logs / "watcher.log").read_text()
    finally:
        inbox.chmod(mode)
    (inbox / "closed_inbox").mkdir()
    draft.rename(inbox / "closed_inbox" / "a.csv")
    assert [found["state"] for found in line.final_receipts("closed_inbox", 1)] == ["balanced"]
    assert wait_until(lambda: watcher() == before, 20), watcher()


def test_folder_in_a_datasets_folder_is_told_and_forgotten_once_its_files_are_moved(line: RunningLine) -> None:
    folder = line.settings.paths().inbox / "bad_subfolder"
    (folder / "2024").mkdir(parents=True)
    (folder / "2024" / "a.csv").write_bytes(HEADER + GOOD)
    assert wait_until(lambda: [r["reason"] for r in line.receipts("bad_subfolder")] == ["not_a_file"], 20)
    (receipt,) = line.receipts("bad_subfolder")
    assert receipt["detail"].startswith("inbox/bad_subfolder/2024 is a folder")
    (folder / "2024" / "a.csv").rename(folder / "a.csv")
    (folder / "2024").rmdir()
    line.final_receipts("bad_subfolder", 1)
    assert wait_until(lambda: [r["file"] for r in line.receipts("bad_subfolder")] == ["a.csv"], 20)


@contextmanager
def work_is_deleted(folder: Path) -> Iterator[None]:
    """Delete meanwhile whatever comes into a folder, as fast as this process can."""
    stopped = threading.Event()

    def delete() -> None:
        while not stopped.is_set():
            for path in folder.iterdir() if folder.exists() else ():
                path.unlink(missing_ok=True)

    deleting = threading.Thread(target=delete)
    deleting.start()
    try:
        yield
    finally:
        stopped.set()
        deleting.join()


def test_files_deleted_from_work_are_stored_all_the_same_and_no_receipt_names_a_place_that_is_not_there(
    line: RunningLine,
) -> None:
    """Some are deleted before they are read, some in between, some after their commit and before their move."""
    restarts = line.status()["stages"]["watcher"]["restarts"]
    files = 60
    with work_is_deleted(line.settings.paths().work / "bad_deleted"):
        for number in range(files):
            line.drop("bad_deleted", f"{number}.csv", HEADER + b"%d,x\n" % number)
        line.final_receipts("bad_deleted", files)

    def truthful(receipt: dict[str, Any]) -> bool:
        if receipt["path"]:
            return bool(receipt["reason"] == "" and (line.home / receipt["path"]).exists())
        return bool(receipt["reason"] == "vanished" and "its 1 rows are published" in receipt["detail"])

    def all_truthful() -> bool:
        return all(map(truthful, line.final_receipts("bad_deleted", files)))

    assert wait_until(all_truthful, 60, every_secs=0.5), [r for r in line.receipts("bad_deleted") if not truthful(r)]
    receipts = line.final_receipts("bad_deleted", files)
    assert {receipt["state"] for receipt in receipts} == {"balanced"}
    assert any(receipt["reason"] == "vanished" for receipt in receipts)
    assert line.value("SELECT count(), uniqExact(number) FROM headrace.bad_deleted") == f"{files}\t{files}"
    assert line.status()["stages"]["watcher"]["restarts"] == restarts


def test_file_that_vanishes_leaves_the_line_running(line: RunningLine) -> None:
    folder = line.settings.paths().inbox / "bad_vanishing"
    folder.mkdir(parents=True)
    for number in range(20):
        path = folder / f"{number}.csv"
        path.write_bytes(HEADER + b"%d,x\n" % number)
        path.unlink(missing_ok=True)
    line.drop("bad_vanishing", "stays.csv", HEADER + GOOD)
    receipts = line.final_receipts("bad_vanishing", 1)
    assert next(r for r in receipts if r["file"] == "stays.csv")["state"] == "balanced"


def test_link_out_of_the_inbox_is_not_followed(line: RunningLine, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(HEADER + b"1,secret\n")
    folder = line.settings.paths().inbox / "bad_link"
    folder.mkdir(parents=True)
    (folder / "link.csv").symlink_to(secret)
    try:
        assert wait_until(lambda: any(r["reason"] == "not_a_file" for r in line.receipts("bad_link")), 20)
        assert line.value("SELECT count() FROM headrace.bad_link") in {"", "0"}
        assert secret.exists()
    finally:
        (folder / "link.csv").unlink()


def test_fifo_does_not_block_the_watcher(line: RunningLine) -> None:
    folder = line.settings.paths().inbox / "bad_fifo"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.csv")
    line.drop("bad_fifo", "good.csv", HEADER + GOOD)
    try:
        receipts = {receipt["file"]: receipt for receipt in line.final_receipts("bad_fifo", 2)}
        assert receipts["good.csv"]["state"] == "balanced"
        assert stat.S_ISFIFO((folder / "pipe.csv").stat().st_mode)
    finally:
        (folder / "pipe.csv").unlink()


def test_same_bytes_under_another_name_are_skipped_and_name_the_first(line: RunningLine) -> None:
    line.drop("bad_twice", "first.csv", HEADER + GOOD)
    line.final_receipts("bad_twice", 1)
    line.drop("bad_twice", "copy.csv", HEADER + GOOD)
    receipts = {receipt["file"]: receipt for receipt in line.final_receipts("bad_twice", 2)}
    assert receipts["copy.csv"]["state"] == "skipped"
    assert receipts["copy.csv"]["first_name"] == "first.csv"
    assert line.value("SELECT count() FROM headrace.bad_twice") == "5"


def test_same_name_with_new_content_comes_in_as_a_new_file(line: RunningLine) -> None:
    line.drop("bad_renewed", "daily.csv", HEADER + GOOD)
    line.final_receipts("bad_renewed", 1)
    line.drop("bad_renewed", "daily.csv", HEADER + b"6,new\n")
    assert [receipt["state"] for receipt in line.final_receipts("bad_renewed", 2)] == ["balanced", "balanced"]
    assert line.value("SELECT count() FROM headrace.bad_renewed") == "6"
