"""A broker starts from the archive of its classes, and without it if there is none or it is not whole."""

from pathlib import Path

import psutil
import pytest

from headrace.embedded.class_archive import archive_file, archive_options, keep
from headrace.embedded.jars import jar_folder
from headrace.embedded.training import make_archive
from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The user's jars, and a cache of the test's own."""
    folder = jar_folder(Settings())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADRACE_KAFKA_JARS", str(folder))
    return Settings(home=tmp_path / "home")


@pytest.mark.stack
def test_broker_uses_a_whole_archive_and_starts_without_a_damaged_one(settings: Settings, tmp_path: Path) -> None:
    file = archive_file(settings)
    assert make_archive(settings)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert mapped_by_a_broker(file, tmp_path / "first")
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)
    assert not mapped_by_a_broker(file, tmp_path / "second")


def mapped_by_a_broker(file: Path, home: Path) -> bool:
    """Start a broker on a new home and return whether Java maps the file; it is ready, and said nothing."""
    with EmbeddedStack(["kafka"], home) as running:
        child = running.children["kafka"]
        assert child.output.read_text() == ""
        return str(file) in {one.path for one in psutil.Process(child.pid).memory_maps()}


def test_archive_of_other_jars_is_another_file_and_a_new_one_replaces_the_old(
    settings: Settings, tmp_path: Path
) -> None:
    file = archive_file(settings)
    assert archive_options(settings) == []
    other = archive_file(settings.model_copy(update={"kafka_jars": tmp_path}))
    assert other != file
    for made in (other, file):
        draft = tmp_path / "draft"
        draft.write_bytes(b"classes")
        keep(draft, made)
    assert not other.exists()
    assert f"-XX:AOTCache={file}" in archive_options(settings)
