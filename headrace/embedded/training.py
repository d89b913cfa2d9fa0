"""A broker that runs for some seconds, on ports and a folder of its own, so that later ones start quickly.

`python -m headrace.embedded.training` makes the archive of its classes unless it is there. `make setup` does that.
"""

import tempfile
from pathlib import Path

import click

from headrace.core.child import Child, wait_until
from headrace.embedded.class_archive import archive_file, keep, making_options
from headrace.embedded.jars import jar_folder
from headrace.embedded.kafka import prepare
from headrace.embedded.ports import pick_ports
from headrace.embedded.services import SERVICES
from headrace.errors import HeadraceError
from headrace.schemas.topics import SYSTEM_TOPICS
from headrace.settings import Settings
from headrace.transport.kafka import Topics

_START_SECS = 60.0
_MAKING_SECS = 120.0


def make_archive(settings: Settings) -> bool:
    """Make the archive of the broker's classes unless it is there; return whether it is there now.

    Takes about 10 s once for each version of Kafka and of Java. Without it a broker starts all the same, so what
    stands in the way (a full disk, a slow machine) is no error. Raises JarRefused for a jar that is missing or altered.
    """
    file = archive_file(settings)
    if file.exists():
        return True
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=file.parent) as folder:
        draft = Path(folder) / "draft"
        elsewhere = {"home": Path(folder), "kafka_jars": jar_folder(settings), "kafka_bootstrap": ""}
        _run_broker(settings.model_copy(update={**elsewhere, **pick_ports()}), draft)
        if draft.exists():
            keep(draft, file)
    return file.exists()


def _run_broker(settings: Settings, draft: Path) -> None:
    """Start a broker, let it make the system topics, and stop it: it writes the draft as it ends."""
    java, *rest = prepare(settings)
    child = Child("kafka", [java, *making_options(draft), *rest], {}, settings.paths().logs / "kafka.out")
    try:
        ready = SERVICES["kafka"].ready
        wait_until(lambda: ready(settings) or child.exit_code() is not None, _START_SECS)
        if child.exit_code() is None:
            Topics(settings.kafka_client()).ensure(SYSTEM_TOPICS)
    finally:
        child.stop(_MAKING_SECS)


@click.command()
def main() -> None:
    """Make the archive of the broker's classes unless it is there, and say where it is."""
    settings = Settings()
    try:
        there = make_archive(settings)
    except HeadraceError as error:
        raise click.ClickException(f"{error}\n  next: {error.hint}") from error
    click.echo(f"Kafka's classes are in {archive_file(settings)}" if there else "Kafka starts without an archive")


if __name__ == "__main__":
    main()
