"""What the monitor sees of a home and keeps of it, without a line."""

import logging
import os
from pathlib import Path

import pytest

from headrace.runtime.monitor import Arrivals, Monitor
from headrace.settings import Settings


def test_only_a_folder_with_more_files_than_before_has_an_arrival(tmp_path: Path) -> None:
    paths = Settings(home=tmp_path).paths()
    folder = paths.done / "tills"
    folder.mkdir(parents=True)
    seen = Arrivals()
    for second, (name, present) in enumerate([("a", True), ("b", True), ("a", False), ("c", True)], start=1):
        (folder / name).touch() if present else (folder / name).unlink()
        os.utime(folder, (second, second))
        assert seen.look(paths) == {"tills": float(second if present else second - 1)}, name
    assert seen.look(paths) == {"tills": 4.0}


def test_memory_that_cannot_be_written_costs_the_memory_and_not_the_monitor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path, monitor_disk_floor_mb=10**9)
    settings.paths().run.mkdir(parents=True)
    monitor = Monitor(settings)
    settings.paths().monitor.mkdir()  # nothing can take the place of a folder, also for root
    with caplog.at_level(logging.WARNING):
        monitor.look(1_000.0)
    assert "note not written" in caplog.text
    assert [one["rule"] for one in monitor.pending()] == ["disk_floor"]
