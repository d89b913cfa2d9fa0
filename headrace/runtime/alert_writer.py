"""How the monitor puts alerts on quality.alerts: in one transaction, so that readers get all or nothing."""

import zlib
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import ALERTS, QUALITY_PARTITIONS
from headrace.settings import Settings
from headrace.transport.kafka import TransactionalWriter

TRANSACTIONAL_ID = "headrace-monitor"


def write_alerts(settings: Settings, alerts: Sequence[dict[str, Any]]) -> None:
    """Publish alerts, in their order; a repeat has the same ids. Raises Transient errors while a service is away."""
    with closing(Registry(settings)) as registry:
        schema_id = registry.system_id(ALERTS, "alert")
        writer = TransactionalWriter(settings.kafka_client(), TRANSACTIONAL_ID)
        writer.begin()
        for alert in alerts:
            # One partition a subject, so that readers get its life in order.
            partition = zlib.crc32(alert["subject"].encode()) % QUALITY_PARTITIONS
            framed = frame_system("alert", schema_id, alert)
            writer.write(ALERTS, [framed], partition=partition, key=alert["alert_id"].encode())
        writer.commit()
