"""The Faust app that turns profile deltas into alerts and closed windows: process `quality`.

Faust is at least once, so the state carries its own position: each table entry holds the offset of the last delta it
merged, and a delta at or below the greatest one of its partition is ignored. Alert ids follow from the finding, so an
alert that is published twice overwrites itself. A delta that cannot be merged is never passed over: while a service is
away it is tried again, and any other error ends the process before the delta's offset is committed. Only a message
that is no delta at all is left, and told: no headrace wrote it.
"""

import asyncio
import functools
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar, cast

import click
import faust

from headrace.core.child import exit_status
from headrace.core.identity import root_span_id
from headrace.core.priority import stand_back
from headrace.errors import HeadraceError, StageCrashed, Transient, WrongUse
from headrace.observability.conventions import sent
from headrace.observability.events import (
    AlertRaised,
    BatchRepeated,
    DeltaUnreadable,
    StageFailed,
    StageStarted,
    StageStopped,
    emit,
)
from headrace.observability.metric_events import BatchDone
from headrace.observability.status import StageStatus
from headrace.observability.telemetry import telemetry
from headrace.observability.tracing import FileTracer, Kind
from headrace.schemas.registry import Registry
from headrace.schemas.system import MessageUnreadable, frame_system, read_checked, schema_id_of
from headrace.schemas.topics import ALERTS, MAX_MESSAGE_BYTES, PROFILES, QUALITY_APP, QUALITY_PARTITIONS, QUALITY_TABLE
from headrace.settings import Settings
from headrace.stream_processors.checks.learned import LEARNED
from headrace.stream_processors.faust_consumer import GapTolerantConsumer, GapTolerantTransport
from headrace.stream_processors.file_alerts import FileAlerts
from headrace.stream_processors.silences import Silences
from headrace.stream_processors.steps.file_facts import FACTS
from headrace.stream_processors.window_app import WindowFlow
from headrace.stream_processors.window_table import TICK

STAGE = "quality"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
FIRST_PAUSE_SECS, LONGEST_PAUSE_SECS = 0.2, 10.0
# A third of what a stage on the record path gets, where both want the machine.
_BEHIND = 5
_DELTA = "profile_delta"
T = TypeVar("T")


def build_app(settings: Settings, slot: int = 0) -> faust.App:
    """Return the app, not started. Its topics must exist. Raises WrongUse for a Kafka login that Faust cannot do."""
    app = faust.App(QUALITY_APP, **app_settings(settings, slot))
    app.transport = GapTolerantTransport(app.conf.broker_consumer, app, loop=app.loop)
    return app


def stage_of(slot: int) -> str:
    """Return the name of one of the apps that share the work: the first is the stage itself."""
    return STAGE if slot == 0 else f"{STAGE}-{slot}"


def app_settings(settings: Settings, slot: int = 0) -> dict[str, Any]:
    """Return headrace's settings as Faust's own; raises WrongUse for a Kafka login that Faust cannot do.

    Apps of several slots share the partitions; each is a member of its own, which comes back to its own place.
    """
    client = settings.kafka_client()
    return {
        "broker": ";".join(f"kafka://{address.strip()}" for address in client["bootstrap.servers"].split(",")),
        "broker_credentials": _credentials(client),
        "store": "memory://",
        "datadir": str(settings.paths().run / ("faust" if slot == 0 else f"faust-{slot}")),
        "topic_partitions": QUALITY_PARTITIONS,
        "producer_max_request_size": MAX_MESSAGE_BYTES,
        "topic_replication_factor": settings.replication_factor,
        "topic_disable_leader": True,
        "web_enabled": False,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": stage_of(slot),
        "broker_session_timeout": 6.0,
        "broker_heartbeat_interval": 2.0,
        "broker_rebalance_timeout": 6.0,
        "broker_commit_interval": 1.0,
        "stream_wait_empty": False,
        "loghandlers": [],
        "logging_config": {"version": 1, "incremental": True},
    }


def _credentials(client: dict[str, str]) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """Return librdkafka's security properties as Faust takes them; None for a plain connection."""
    protocol = client.get("security.protocol", "PLAINTEXT").upper()
    context = ssl.create_default_context() if protocol.endswith("SSL") else None
    if not protocol.startswith("SASL_"):
        return faust.SSLCredentials(context) if context else None
    mechanism = client.get("sasl.mechanism", "")
    if mechanism not in MECHANISMS:
        raise WrongUse(
            f'HEADRACE_KAFKA_SASL_MECHANISM is "{mechanism}", which the process {STAGE} cannot use',
            hint=f"set it to one of {', '.join(MECHANISMS)}",
        )
    return faust.SASLCredentials(
        username=client.get("sasl.username"),
        password=client.get("sasl.password"),
        ssl_context=context,
        mechanism=mechanism,
    )


async def once_it_answers(ask: Callable[[], T], *, pause_secs: float = FIRST_PAUSE_SECS) -> T:
    """Return what `ask` returns, called in a thread; ask again, ever more slowly, as long as its service is away."""
    while True:
        try:
            return await asyncio.to_thread(ask)
        except HeadraceError as error:
            if not isinstance(error, Transient):
                raise
            emit(BatchRepeated(stage=STAGE, cause=str(error)))
        await asyncio.sleep(pause_secs)
        pause_secs = min(2 * pause_secs, LONGEST_PAUSE_SECS)


def attach(
    app: faust.App,
    settings: Settings,
    registry: Registry,
    tracer: FileTracer,
    status: StageStatus,
    failed: asyncio.Future[Exception],
) -> WindowFlow:
    """Give the app its tables and its agent, which puts the error that it cannot go on with into `failed`."""
    profiles = app.topic(PROFILES, key_type=bytes, value_type=bytes, value_serializer="raw")
    # No value_type: with `dict` Faust 0.15 writes entries that its recovery then drops with a warning.
    table = app.Table(QUALITY_TABLE, key_type=str, partitions=QUALITY_PARTITIONS)
    file_alerts = FileAlerts(table, Silences(settings.paths().silences).names_now)
    raise_of_file = _file_raiser(app, file_alerts, registry, tracer)
    windows = WindowFlow(app, settings, registry, once_it_answers, lambda alert, at: _tell(alert, tracer, at))

    @table.on_recover
    async def recover() -> None:
        file_alerts.recover()

    async def judge(message: Any, value: bytes | None) -> None:
        if (delta := await _delta_of(registry, message, value)) is None:
            return
        published_at = int(message.timestamp * 1_000_000)
        if delta["stage"] not in {TICK, FACTS, LEARNED}:
            await raise_of_file(message, published_at, delta)
        await windows.merge(message, published_at, delta)

    @app.agent(profiles)
    async def judge_files(stream: Any) -> None:
        async for event in stream.events():
            with _counted(status, event.value):
                try:
                    await judge(event.message, event.value)
                except Exception as error:  # whatever it is, the delta must not be passed over
                    await _hold(failed, error)
                _consumer(app).finish(event.message)

    _add_timers(app, windows, status, failed)
    return windows


@contextmanager
def _counted(status: StageStatus, value: bytes | None) -> Iterator[None]:
    """Count the delta that is merged within the block."""
    started = time.monotonic()
    yield
    emit(BatchDone(rows=1, size=len(value or b""), seconds=time.monotonic() - started))
    status.update(rows=1)


def _file_raiser(
    app: faust.App, file_alerts: FileAlerts, registry: Registry, tracer: FileTracer
) -> Callable[[Any, int, dict[str, Any]], Awaitable[None]]:
    """Return what merges a delta into its file, and publishes its alerts before that is kept."""
    schema_id = registry.system_id(ALERTS, "alert")
    alerts = app.topic(ALERTS, key_type=bytes, value_type=bytes, value_serializer="raw")

    async def raise_of_file(message: Any, published_at: int, delta: dict[str, Any]) -> None:
        merged = file_alerts.merge(message.partition, message.offset, published_at, delta)
        if merged is None:
            return
        for alert in merged.alerts:
            framed = frame_system("alert", schema_id, alert)
            await (await alerts.send(key=alert["alert_id"].encode(), value=framed))
            _tell(alert, tracer, published_at)
        file_alerts.keep(merged)

    return raise_of_file


def _add_timers(app: faust.App, windows: WindowFlow, status: StageStatus, failed: asyncio.Future[Exception]) -> None:
    """Let the app report how far it is behind, and close windows by the time."""

    @app.timer(interval=1.0)  # type: ignore[untyped-decorator]
    async def report() -> None:
        status.update(lag=await _consumer(app).behind())

    @app.timer(interval=1.0)  # type: ignore[untyped-decorator]
    async def tell_files() -> None:
        try:
            await windows.tell_files()
        except Exception as error:  # whatever it is, checks of files must not miss their facts in silence
            await _hold(failed, error)

    @app.timer(interval=1.0)  # type: ignore[untyped-decorator]
    async def close_by_time() -> None:
        try:
            await windows.tick()
        except Exception as error:  # whatever it is, windows must not stay open in silence
            await _hold(failed, error)


async def _delta_of(registry: Registry, message: Any, value: bytes | None) -> dict[str, Any] | None:
    """Return the delta in a message; tell of a message that is none, and return None."""
    writer = await once_it_answers(functools.partial(registry.text_of, schema_id_of(value or b"") or 0))
    try:
        return read_checked(_DELTA, value, writer)
    except MessageUnreadable as error:
        emit(DeltaUnreadable(partition=message.partition, offset=message.offset, cause=str(error), hint=error.hint))
        return None


async def _hold(failed: asyncio.Future[Exception], error: Exception) -> None:
    """Report an error and stay here until the process ends: Faust would go on with the next event."""
    if not failed.done():
        failed.set_result(error)
    await asyncio.Event().wait()


def _consumer(app: faust.App) -> GapTolerantConsumer:
    return cast(GapTolerantConsumer, app.consumer)


def _tell(alert: dict[str, Any], tracer: FileTracer, published_at: int) -> None:
    emit(AlertRaised(dataset=alert["dataset"], rule=alert["rule"], severity=alert["severity"], file=alert["file"]))
    if not alert["file"]:
        return
    tracer.record(
        "alert",
        dataset=alert["dataset"],
        file=alert["file"],
        start_ns=published_at * 1_000,
        end_ns=published_at * 1_000,
        parent_span_id=root_span_id(alert["dataset"], alert["file"]),
        attributes=sent(ALERTS, None, 1) | {"headrace.rule": alert["rule"], "headrace.alert": alert["alert_id"]},
        kind=Kind.PRODUCER,
    )


async def run(settings: Settings, slot: int, tracer: FileTracer) -> None:
    """Run the app until SIGTERM or SIGINT; then commit and leave. Raises what the app cannot go on with."""
    status = StageStatus(settings.paths(), stage_of(slot))
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    app = build_app(settings, slot)
    failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    with closing(Registry(settings)) as registry:
        windows = attach(app, settings, registry, tracer, status, failed)
        try:
            await app.start()
            emit(StageStarted(stage=STAGE))
            await until_it_ends(app, stop, failed)
            status.update(state="stopping")
        finally:
            await asyncio.wait_for(app.stop(), settings.drain_secs)
            windows.close()
    emit(StageStopped(stage=STAGE))


async def until_it_ends(app: faust.App, stop: asyncio.Event, failed: asyncio.Future[Exception]) -> None:
    """Return when `stop` is set; raise the agent's error, or StageCrashed if the app ended by itself, if first."""
    ends: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(stop.wait()),
        asyncio.ensure_future(app.wait_until_stopped()),
    ]
    try:
        await asyncio.wait((failed, *ends), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
    if failed.done():
        raise failed.result()
    if not stop.is_set():
        cause = app.crash_reason
        raise StageCrashed(f"the Faust app ended by itself: {cause!r}", hint="headrace status") from cause


@click.command()
@click.option("--slot", default=0, show_default=True, help="Which of the quality apps this is; each has its own.")
def main(slot: int) -> None:
    """Run the process `quality`; exit with 78 on an error that a restart cannot mend."""
    stand_back(_BEHIND)
    settings = Settings()
    with telemetry(settings, STAGE, slot) as told:
        try:
            asyncio.run(run(settings, slot, told.tracer))
        except Exception as error:  # Faust lets errors of any kind through
            hint = error.hint if isinstance(error, HeadraceError) else "headrace status"
            emit(StageFailed(stage=stage_of(slot), error=str(error) or repr(error), hint=hint))
            sys.exit(exit_status(error))


if __name__ == "__main__":
    main()
