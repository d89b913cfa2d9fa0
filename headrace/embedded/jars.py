"""Kafka's jars: pinned in kafka.lock, downloaded once a user, and compared with their SHA-256 at every start.

`python -m headrace.embedded.jars` fetches what is missing; `--lock VERSION` pins another Kafka.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from headrace.errors import HeadraceError, JarRefused, ServiceUnreachable
from headrace.settings import Settings

LOCK_FILE = "kafka.lock"
# Kafka speaks slf4j and brings log4j along, but not the bridge between them: without it the broker logs nothing.
_BRIDGE = ("org.apache.logging.log4j", "log4j-slf4j-impl")
_LOG4J = ("org.apache.logging.log4j", "log4j-core")
_DOWNLOADS_AT_ONCE = 4
_TIMEOUT_SECS = 30

Progress = Callable[["PinnedJar", int, int], None]


@dataclass(frozen=True)
class PinnedJar:
    """One line of kafka.lock."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """Return the jar's name as Maven gives it."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        """Return group:artifact:version."""
        return f"{self.group}:{self.artifact}:{self.version}"


def pinned_jars() -> tuple[PinnedJar, ...]:
    """Return every jar of the broker's class path, in the order of kafka.lock."""
    text = resources.files("headrace.embedded").joinpath(LOCK_FILE).read_text("utf-8")
    return parse_lock(text)


def parse_lock(text: str) -> tuple[PinnedJar, ...]:
    r"""Return the jars that a lock file names.

    >>> parse_lock("# comment\norg.x:y:1.0 " + "0" * 64 + " 12")[0].file_name
    'y-1.0.jar'
    """
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(_pinned(coordinate, sha256, size) for coordinate, sha256, size in rows)


def _pinned(coordinate: str, sha256: str, size: str) -> PinnedJar:
    group, artifact, version = coordinate.split(":")
    return PinnedJar(group, artifact, version, sha256, int(size))


def jar_folder(settings: Settings) -> Path:
    """Return the folder that holds the jars, or will: HEADRACE_KAFKA_JARS, else one in the user's cache folder."""
    if settings.kafka_jars is not None:
        return settings.kafka_jars.absolute()
    return cache_folder() / "kafka-jars"


def cache_folder() -> Path:
    """Return the folder of what is made or downloaded once a user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"


def problem_of(jar: PinnedJar, folder: Path) -> str:
    """Return what is wrong with one jar in the folder ("missing", or both hashes), or "" if nothing is."""
    try:
        content = (folder / jar.file_name).read_bytes()
    except FileNotFoundError:
        return "missing"
    actual = hashlib.sha256(content).hexdigest()
    return "" if actual == jar.sha256 else f"SHA-256 is {actual}, kafka.lock says {jar.sha256}"


def verified_jars(settings: Settings, jars: Sequence[PinnedJar] | None = None) -> list[Path]:
    """Return the paths of all jars, each read and compared with its pinned hash just now (0.1 s for 45 MB).

    Raises JarRefused that names the first jar that is missing or altered. Never uses the network.
    """
    folder = jar_folder(settings)
    for jar in pinned_jars() if jars is None else jars:
        if problem := problem_of(jar, folder):
            raise JarRefused(f"Kafka jar {folder / jar.file_name}: {problem}", hint=_mend(settings))
    return [folder / jar.file_name for jar in (pinned_jars() if jars is None else jars)]


def fetch_jars(settings: Settings, progress: Progress | None = None, jars: Sequence[PinnedJar] | None = None) -> int:
    """Download the jars that are missing, each checked before it gets its name; return how many came.

    A second call finds all of them and uses no network. An altered jar is refused, never silently replaced: whoever
    altered it should know. Raises JarRefused or ServiceUnreachable.
    """
    folder, wanted = jar_folder(settings), pinned_jars() if jars is None else jars
    problems = {jar: problem_of(jar, folder) for jar in wanted}
    if not any(problems.values()):
        return 0
    missing = [jar for jar in wanted if problems[jar] == "missing"]
    if missing and settings.kafka_jars is None:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as draft:
            _download_all(settings, missing, Path(draft), folder, progress)
    verified_jars(settings, wanted)
    return len(missing)


def _download_all(
    settings: Settings, missing: Sequence[PinnedJar], draft: Path, folder: Path, progress: Progress | None
) -> None:
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415  half a second that every later start saves
    from jgo.maven import MavenContext  # noqa: PLC0415

    source = settings.maven_mirror.rstrip("/") or MAVEN_CENTRAL_URL
    maven = MavenContext(repo_cache=draft, local_repos=[], remote_repos={"source": source}, timeout=_TIMEOUT_SECS)

    def download(jar: PinnedJar) -> PinnedJar:
        try:
            path = Path(maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo says "not found" by RuntimeError
            raise ServiceUnreachable(
                f"Kafka jar {jar.coordinate} could not be downloaded from {source}: {error}",
                hint="check the network and start again (what came is kept), set HEADRACE_MAVEN_MIRROR to a Maven "
                "repository you reach, or HEADRACE_KAFKA_JARS to a folder with the jars that kafka.lock names",
            ) from error
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
        if actual != jar.sha256:
            raise JarRefused(
                f"Kafka jar {jar.coordinate} from {source}: SHA-256 is {actual}, kafka.lock says {jar.sha256}",
                hint="do not use it: the source or the way to it alters files; name another by HEADRACE_MAVEN_MIRROR",
            )
        path.replace(folder / jar.file_name)
        return jar

    pool = ThreadPoolExecutor(_DOWNLOADS_AT_ONCE)
    try:
        downloads = [pool.submit(download, jar) for jar in missing]
        for done, finished in enumerate(as_completed(downloads), 1):
            jar = finished.result()
            if progress is not None:
                progress(jar, done, len(missing))
    finally:
        pool.shutdown(cancel_futures=True)


def _mend(settings: Settings) -> str:
    if settings.kafka_jars is not None:
        return "put the right file there (names, versions and hashes: headrace/embedded/kafka.lock)"
    return "delete the file if it is there, then: python -m headrace.embedded.jars"


def lock_text(version: str) -> str:
    """Return kafka.lock for another version of Kafka: resolves and downloads it, so it may take a minute."""
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as draft:
        maven = MavenContext(repo_cache=Path(draft), local_repos=[], remote_repos={"source": MAVEN_CENTRAL_URL})
        roots, rest = maven.resolver.resolve([maven.create_dependency(f"org.apache.kafka:kafka_2.13:{version}")])
        found = {(jar.groupId, jar.artifactId): jar.version for jar in (*roots, *rest)}
        found[_BRIDGE] = found[_LOG4J]
        lines = [
            "# Every jar of the embedded Kafka broker: group:artifact:version, SHA-256, bytes.",
            f"# Made by: python -m headrace.embedded.jars --lock {version}",
        ]
        for (group, artifact), jar_version in sorted(found.items()):
            content = Path(maven.project(group, artifact).at_version(jar_version).artifact().resolve()).read_bytes()
            lines.append(f"{group}:{artifact}:{jar_version} {hashlib.sha256(content).hexdigest()} {len(content)}")
    return "\n".join(lines) + "\n"


def print_progress(jar: PinnedJar, done: int, total: int) -> None:
    """Show one downloaded jar on standard error: a line that moves on a terminal, a line each otherwise."""
    line = f"Kafka jar {done:>2} of {total}: {jar.file_name} ({jar.size / 1e6:.1f} MB)"
    moving = sys.stderr.isatty()
    click.echo(f"\r\033[K{line}" if moving else line, err=True, nl=not moving or done == total)


@click.command()
@click.option("--lock", "lock_version", metavar="VERSION", help="Pin another version of Kafka in kafka.lock.")
def main(lock_version: str | None) -> None:
    """Fetch Kafka's jars into the user's cache, check each, and say where they are."""
    if lock_version:
        Path(__file__).with_name(LOCK_FILE).write_text(lock_text(lock_version), "utf-8")
        return
    settings = Settings()
    try:
        came = fetch_jars(settings, print_progress)
    except HeadraceError as error:
        click.echo(f"headrace: {error}\n  next: {error.hint}", err=True)
        sys.exit(1)
    click.echo(f"Kafka's {len(pinned_jars())} jars are in {jar_folder(settings)} ({came} downloaded, all checked)")


if __name__ == "__main__":
    main()
