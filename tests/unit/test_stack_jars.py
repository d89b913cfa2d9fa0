"""Kafka's jars: pinned, checked at every start, fetched once, from a mirror or a prefilled folder if one is named."""

import gc
import hashlib
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from headrace.embedded.jars import (
    PinnedJar,
    fetch_jars,
    jar_folder,
    pinned_jars,
    verified_jars,
)
from headrace.errors import JarRefused, ServiceUnreachable
from headrace.settings import LOOPBACK, Settings

CONTENT = {"one": b"the first jar", "two": b"the second jar"}


def pinned(name: str) -> PinnedJar:
    content = CONTENT[name]
    return PinnedJar("org.example", name, "1.0", hashlib.sha256(content).hexdigest(), len(content))


JARS = (pinned("one"), pinned("two"))


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        self.server.asked.append(self.path)  # type: ignore[attr-defined]


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """A Maven repository on this machine that holds both jars."""
    for jar in JARS:
        folder = tmp_path / "mirror" / "org" / "example" / jar.artifact / jar.version
        folder.mkdir(parents=True)
        (folder / jar.file_name).write_bytes(CONTENT[jar.artifact])
    server = ThreadingHTTPServer((LOOPBACK, 0), partial(QuietHandler, directory=str(tmp_path / "mirror")))
    server.asked = []  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path, mirror: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Settings(maven_mirror=f"http://{LOOPBACK}:{mirror.server_address[1]}/")


def jar_at(mirror: Path, jar: PinnedJar) -> Path:
    return mirror / "org" / "example" / jar.artifact / jar.version / jar.file_name


def test_lock_pins_every_jar_with_version_hash_and_size() -> None:
    jars = pinned_jars()
    assert len(jars) >= 40
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.3.1"}
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) and jar.size > 0 for jar in jars)
    assert "log4j-slf4j-impl" in {jar.artifact for jar in jars}
    assert len({jar.file_name for jar in jars}) == len(jars)


def test_fetch_downloads_what_is_missing_and_shows_progress(settings: Settings) -> None:
    shown: list[tuple[int, int]] = []
    assert fetch_jars(settings, lambda _jar, done, total: shown.append((done, total)), JARS) == 2
    assert shown == [(1, 2), (2, 2)]
    assert [path.read_bytes() for path in verified_jars(settings, JARS)] == list(CONTENT.values())
    assert sorted(path.name for path in jar_folder(settings).iterdir()) == ["one-1.0.jar", "two-1.0.jar"]


def test_second_fetch_asks_nobody(settings: Settings, mirror: ThreadingHTTPServer) -> None:
    fetch_jars(settings, None, JARS)
    mirror.asked.clear()  # type: ignore[attr-defined]
    assert fetch_jars(settings, None, JARS) == 0
    assert mirror.asked == []  # type: ignore[attr-defined]


def test_altered_jar_in_the_cache_is_named_with_both_hashes_and_left_alone(settings: Settings) -> None:
    fetch_jars(settings, None, JARS)
    altered = jar_folder(settings) / JARS[1].file_name
    altered.write_bytes(b"something else")
    with pytest.raises(JarRefused) as raised:
        fetch_jars(settings, None, JARS)
    assert str(altered) in str(raised.value)
    assert JARS[1].sha256 in str(raised.value)
    assert hashlib.sha256(b"something else").hexdigest() in str(raised.value)
    assert "headrace.embedded.jars" in raised.value.hint
    assert altered.read_bytes() == b"something else"


def test_altered_jar_of_a_mirror_never_gets_its_name(settings: Settings, tmp_path: Path) -> None:
    jar_at(tmp_path / "mirror", JARS[0]).write_bytes(b"not what was pinned")
    with pytest.raises(JarRefused, match=r"org.example:one:1.0 .*SHA-256"):
        fetch_jars(settings, None, JARS)
    assert not (jar_folder(settings) / JARS[0].file_name).exists()


# jgo leaves the refused answer's socket to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_jar_that_the_mirror_lacks_is_named_with_the_settings_to_change(settings: Settings, tmp_path: Path) -> None:
    jar_at(tmp_path / "mirror", JARS[0]).unlink()
    with pytest.raises(ServiceUnreachable, match=r"org\.example:one:1\.0") as raised:
        fetch_jars(settings, None, JARS)
    gc.collect()
    assert "HEADRACE_MAVEN_MIRROR" in raised.value.hint
    assert "HEADRACE_KAFKA_JARS" in raised.value.hint


def test_prefilled_folder_is_used_and_nothing_is_downloaded(
    settings: Settings, tmp_path: Path, mirror: ThreadingHTTPServer
) -> None:
    filled = settings.model_copy(update={"kafka_jars": tmp_path / "filled"})
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / JARS[0].file_name).write_bytes(CONTENT["one"])
    with pytest.raises(JarRefused, match=r"two-1.0.jar: missing"):
        fetch_jars(filled, None, JARS)
    (tmp_path / "filled" / JARS[1].file_name).write_bytes(CONTENT["two"])
    assert fetch_jars(filled, None, JARS) == 0
    assert mirror.asked == []  # type: ignore[attr-defined]
