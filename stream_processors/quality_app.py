"""The Faust app that turns profile deltas into alerts: process `quality`.

Faust is at least once, so the state carries its own position: each table entry holds the offset of the last delta it
merged, and a delta at or below the greatest one of its partition is ignored. Alert ids follow from the finding, so an
alert that is published twice overwrites itself.
"""

import asyncio
import signal
import sys
from dataclasses import dataclass
from typing import Any

import faust

from headrace.core.identity import root_span_id
from headrace.errors import HeadraceError, Terminal
from headrace.observability.events import AlertRaised, StageFailed, StageStarted, StageStopped, emit
from headrace.observability.export import span_export
from headrace.observability.logs import configure_logs
from headrace.observability.status import StageStatus
from headrace.observability.tracing import FileTracer
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system, read_system, schema_id_of
from headrace.schemas.topics import ALERTS, PROFILES, QUALITY_APP, QUALITY_PARTITIONS, QUALITY_TABLE
from headrace.settings import Settings
from headrace.stream_processors.faust_consumer import GapTolerantTransport
from headrace.stream_processors.steps.file_quality import FileQuality, alerts_of, merge_delta

STAGE = "quality"
EXIT_TERMINAL = 78
_DELTA = "profile_delta"


@dataclass(frozen=True)
class Merged:
    """What a delta makes of its file: the table entry to keep, and the alerts to publish before that."""

    key: str
    entry: dict[str, Any]
    alerts: list[dict[str, Any]]


class FileAlerts:
    """Merges deltas into per-file states and says which alerts a completed file raises.

    `table` maps "dataset/file" to {"offset", "partition", "done", "quality"}; it may be a Faust table or a dict.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self._merged: dict[int, int] = {}
        self._done: dict[int, tuple[str, int]] = {}

    def recover(self) -> None:
        """Take the positions over from the table, after it was restored or reassigned."""
        self._merged.clear()
        self._done.clear()
        for key, entry in list(self._table.items()):
            partition, offset = entry["partition"], entry["offset"]
            self._merged[partition] = max(self._merged.get(partition, -1), offset)
            if entry["done"]:
                self._keep_newest_done(key, partition, offset)

    def merge(self, partition: int, offset: int, published_at: int, delta: dict[str, Any]) -> "Merged | None":
        """Return what one delta makes of its file, None if it was merged before. Changes nothing until `keep`."""
        if offset <= self._merged.get(partition, -1):
            return None
        dataset, file = delta["dataset"], delta["file"]
        key = f"{dataset}/{file}"
        entry = self._table.get(key)
        before = FileQuality(**entry["quality"]) if entry and not entry["done"] else FileQuality()
        quality = merge_delta(before, delta)
        done = quality.complete
        after = {"offset": offset, "partition": partition, "done": done, "quality": {} if done else quality.to_json()}
        return Merged(key, after, alerts_of(dataset, file, quality, published_at) if done else [])

    def keep(self, merged: "Merged") -> None:
        """Write a merged state to the table. Call it once its alerts are acknowledged, so that a kill loses none."""
        partition, offset = merged.entry["partition"], merged.entry["offset"]
        self._merged[partition] = offset
        self._table[merged.key] = merged.entry
        if merged.entry["done"]:
            self._keep_newest_done(merged.key, partition, offset)

    def _keep_newest_done(self, key: str, partition: int, offset: int) -> None:
        """Drop the entries of finished files but the newest of each partition, which carries the position."""
        older_key, older = self._done.get(partition, ("", -1))
        keep, drop = (key, older_key) if offset >= older else (older_key, key)
        self._done[partition] = (keep, max(offset, older))
        if drop and drop != keep:
            self._table.pop(drop, None)


def build_app(settings: Settings) -> faust.App:
    """Return the app, not started. Its topics must exist."""
    app = faust.App(
        QUALITY_APP,
        broker=f"kafka://{settings.kafka_client()['bootstrap.servers']}",
        store="memory://",
        datadir=str(settings.paths().run / "faust"),
        topic_partitions=QUALITY_PARTITIONS,
        topic_replication_factor=settings.replication_factor,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=STAGE,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
        broker_rebalance_timeout=6.0,
        broker_commit_interval=1.0,
        stream_wait_empty=False,
        loghandlers=[],
        logging_config={"version": 1, "incremental": True},
    )
    app.transport = GapTolerantTransport(app.conf.broker_consumer, app, loop=app.loop)
    return app


def attach(app: faust.App, settings: Settings, status: StageStatus) -> None:
    """Give the app its table and its agent."""
    registry = Registry(settings)
    schema_id = registry.system_id(ALERTS, "alert")
    profiles = app.topic(PROFILES, key_type=bytes, value_type=bytes, value_serializer="raw")
    alerts = app.topic(ALERTS, key_type=bytes, value_type=bytes, value_serializer="raw")
    # No value_type: with `dict` Faust 0.15 writes entries that its recovery then drops with a warning.
    table = app.Table(QUALITY_TABLE, key_type=str, partitions=QUALITY_PARTITIONS)
    file_alerts = FileAlerts(table)
    tracer = FileTracer(span_export(settings, STAGE))

    @table.on_recover
    async def recover() -> None:
        file_alerts.recover()

    @app.agent(profiles)
    async def judge_files(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            writer = registry.text_of(schema_id_of(event.value) or 0)
            delta = read_system(_DELTA, event.value, writer)
            published_at = int(message.timestamp * 1_000_000)
            merged = file_alerts.merge(message.partition, message.offset, published_at, delta)
            if merged is not None:
                for alert in merged.alerts:
                    framed = frame_system("alert", schema_id, alert)
                    await (await alerts.send(key=alert["alert_id"].encode(), value=framed))
                    _tell(alert, tracer, published_at)
                file_alerts.keep(merged)
            status.update(rows=1, lag=0)

    @app.timer(interval=1.0)  # type: ignore[untyped-decorator]
    async def report() -> None:
        status.update()


def _tell(alert: dict[str, Any], tracer: FileTracer, published_at: int) -> None:
    emit(AlertRaised(dataset=alert["dataset"], rule=alert["rule"], severity=alert["severity"], file=alert["file"]))
    tracer.record(
        "alert",
        dataset=alert["dataset"],
        file=alert["file"],
        start_ns=published_at * 1_000,
        end_ns=published_at * 1_000,
        parent_span_id=root_span_id(alert["dataset"], alert["file"]),
        attributes={"headrace.rule": alert["rule"], "headrace.alert": alert["alert_id"]},
    )


async def run(settings: Settings) -> None:
    """Run the app until SIGTERM or SIGINT; then commit and leave."""
    status = StageStatus(settings.paths(), STAGE)
    app = build_app(settings)
    attach(app, settings, status)
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    await app.start()
    emit(StageStarted(stage=STAGE))
    await stop.wait()
    status.update(state="stopping")
    await app.stop()
    emit(StageStopped(stage=STAGE))


def main() -> None:
    """Run the process `quality`; exit with 78 on an error that a restart cannot mend."""
    settings = Settings()
    configure_logs(settings.paths(), STAGE)
    try:
        asyncio.run(run(settings))
    except HeadraceError as error:
        emit(StageFailed(stage=STAGE, error=str(error), hint=error.hint))
        sys.exit(EXIT_TERMINAL if isinstance(error, Terminal) else 1)


if __name__ == "__main__":
    main()
