"""Every topic of headrace, with its partitions and clean-up. Topics are created from here before they are used."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from headrace.core.identity import dataset_name_problem

WEEK_MS = 7 * 24 * 3_600 * 1_000
# A record may have 1 MiB of source text, and its encoding a little more: both limits below stand above that.
MAX_MESSAGE_BYTES = 4 * 2**20

LEDGER = "files.ledger"
BLOCKS = "sink.blocks"
CONTRACTS = "system.contracts"
PROFILES = "quality.profiles"
ALERTS = "quality.alerts"
WINDOWS = "quality.windows"
ADVICE = "quality.advice"
PREDICTIONS = "ml.predictions"
METRICS = "ml.metrics"
MODELS = "ml.models"
SNAPSHOTS = "ml.snapshots"
COMMANDS = "ml.commands"
QUALITY_APP = "headrace-quality"
QUALITY_TABLE = "files"
WINDOW_TABLE = "windows"
QUALITY_PARTITIONS = 4
LEARNER_PARTITIONS = 4

RAW = "raw"
VALID = "valid"
QUARANTINE = "quarantine"
DATA_TOPIC = re.compile(r"([a-z][a-z0-9_]{0,62})\.(raw|valid|quarantine)")


@dataclass(frozen=True)
class TopicSpec:
    """One topic as it must exist. `compacted` topics keep the last value of each key for ever."""

    name: str
    partitions: int = 1
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = WEEK_MS
    retention_bytes: int = -1

    def config(self) -> dict[str, str]:
        """Return the topic configuration in Kafka's own names."""
        config = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "message.timestamp.type": "LogAppendTime",
        }
        if self.cleanup == "delete":
            config |= {"retention.ms": str(self.retention_ms), "retention.bytes": str(self.retention_bytes)}
        return config


SYSTEM_TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(LEDGER, cleanup="compact"),
    TopicSpec(BLOCKS, cleanup="compact"),
    TopicSpec(CONTRACTS, cleanup="compact"),
    TopicSpec(PROFILES, partitions=QUALITY_PARTITIONS),
    TopicSpec(ALERTS, partitions=QUALITY_PARTITIONS, retention_ms=-1),
    TopicSpec(WINDOWS, partitions=QUALITY_PARTITIONS, retention_ms=-1),
    TopicSpec(ADVICE, partitions=QUALITY_PARTITIONS, retention_ms=-1),
    TopicSpec(PREDICTIONS, partitions=LEARNER_PARTITIONS),
    TopicSpec(METRICS, partitions=LEARNER_PARTITIONS, retention_ms=-1),
    TopicSpec(MODELS, cleanup="compact"),
    TopicSpec(SNAPSHOTS, cleanup="compact"),
    TopicSpec(COMMANDS, cleanup="compact"),
    # Faust names its changelogs itself, and would be silent if one were missing.
    TopicSpec(f"{QUALITY_APP}-{QUALITY_TABLE}-changelog", partitions=QUALITY_PARTITIONS, cleanup="compact"),
    TopicSpec(f"{QUALITY_APP}-{WINDOW_TABLE}-changelog", partitions=QUALITY_PARTITIONS, cleanup="compact"),
)


def data_topic(dataset: str, stage: str) -> str:
    """Return the name of one of a dataset's topics.

    >>> data_topic("flights", RAW)
    'flights.raw'
    """
    return f"{dataset}.{stage}"


def dataset_topics(dataset: str, *, partitions: int = 1, retention_bytes: int = -1) -> tuple[TopicSpec, ...]:
    """Return the three topics of a dataset."""
    return tuple(
        TopicSpec(data_topic(dataset, stage), partitions=partitions, retention_bytes=retention_bytes)
        for stage in (RAW, VALID, QUARANTINE)
    )


def parse_data_topic(topic: str) -> tuple[str, str] | None:
    """Return (dataset, stage) of a dataset's topic, None of any other.

    >>> parse_data_topic("flights.raw"), parse_data_topic("quality.profiles")
    (('flights', 'raw'), None)
    """
    found = DATA_TOPIC.fullmatch(topic)
    if not found or dataset_name_problem(found[1]):
        return None
    return found[1], found[2]


def datasets_of(topics: Iterable[str]) -> list[str]:
    """Return the datasets that have a topic of valid records among these.

    >>> datasets_of(["flights.valid", "flights.raw", "quality.windows"])
    ['flights']
    """
    return [found[0] for topic in topics if (found := parse_data_topic(topic)) and found[1] == VALID]


def value_subject(topic: str) -> str:
    """Return the registry subject of a topic's values (TopicNameStrategy)."""
    return f"{topic}-value"
