"""A file that lies in the inbox itself: told with its reason, and forgotten once it is moved to a dataset's folder."""

from pathlib import Path

from headrace.producers.notes import note_message
from headrace.producers.ready_queue import ReadyQueue
from headrace.producers.watcher import Watcher
from headrace.settings import Paths


def test_file_without_a_dataset_is_told_until_it_is_moved_away(tmp_path: Path) -> None:
    paths, ready, now = Paths(tmp_path), ReadyQueue(), [100.0]
    (paths.inbox / "orders").mkdir(parents=True)
    watcher = Watcher(paths, lambda _dataset: ready, stable_secs=1.0, rescan_secs=2.0, monotonic=lambda: now[0])
    (paths.inbox / "loose.csv").write_text("id\n1\n")
    watcher.rescan()
    (told,) = ready.pop_notes()
    note = note_message(told, None)
    assert note is not None
    assert (note.entry.dataset, note.entry.name, note.entry.reason) == ("", "loose.csv", "no_dataset")
    assert "inbox/DATASET/loose.csv" in note.entry.detail
    (paths.inbox / "loose.csv").rename(paths.inbox / "orders" / "loose.csv")
    watcher.rescan()
    (settled,) = ready.pop_notes()
    said = note_message(settled, (note.entry.reason, note.entry.detail))
    assert said is not None
    assert (said.key, said.entry.settled_note) == (note.key, True)
    now[0] += 5
    watcher.step(0)
    taken = ready.pop()
    assert taken is not None
    assert taken.name == "loose.csv"
