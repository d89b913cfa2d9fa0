"""Whether a raw partition may be read from its first message: only if nothing of it was judged before."""

import json
import time

from headrace.core.vocabulary import Stage
from headrace.errors import PositionLost, ServiceUnreachable
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_system, schema_id_of
from headrace.schemas.topics import QUARANTINE, VALID, data_topic, parse_data_topic
from headrace.settings import Settings
from headrace.transport.partition_reader import PartitionReader, Place

_LIMIT_SECS = 30.0
_QUARANTINED = "quarantined_row"


def check_beginning(settings: Settings, registry: Registry, place: Place) -> None:
    """Return if nothing of a raw partition was judged yet; else raise PositionLost. Blocks until that is known.

    Only committed messages count: what a killed process had written and not committed is not there.
    """
    parsed = parse_data_topic(place.topic)
    if parsed is None:
        return
    reader = PartitionReader(settings.kafka_client(), "headrace-judge-beginnings")
    try:
        topics = reader.partitions()
        for stage in (VALID, QUARANTINE):
            output = Place(data_topic(parsed[0], stage), place.partition)
            if topics.get(output.topic, 0) > output.partition and _judged(reader, registry, output):
                raise PositionLost(
                    f"nothing of {place} is committed, but {output} holds what was judged before",
                    hint="set the offsets of group headrace-judge to the first record that was not judged",
                )
    finally:
        reader.close()


def _judged(reader: PartitionReader, registry: Registry, place: Place) -> bool:
    """Return True if a partition holds a committed message that the judge wrote."""
    low, high = reader.bounds([place]).get(place, (0, 0))
    if low == high == 0:
        return False
    if low > 0 and place.topic.endswith(VALID):
        return True
    deadline = time.monotonic() + _LIMIT_SECS
    reader.start(place, low)
    try:
        while time.monotonic() < deadline:
            found = reader.poll(1_000, 0.2)
            values = [value for run in found.runs for value in run.values() if value is not None]
            if any(place.topic.endswith(VALID) or _by_judge(registry, value) for value in values):
                return True
            if place in found.ended:
                return False
    finally:
        reader.stop(place)
    raise ServiceUnreachable(f"{place} could not be read to its end within {_LIMIT_SECS:.0f} s", hint="headrace status")


def _by_judge(registry: Registry, message: bytes) -> bool:
    schema_id = schema_id_of(message)
    text = None if schema_id is None else registry.text_of(schema_id)
    if text is None or json.loads(text)["name"] != _QUARANTINED:
        return False
    stage: str = read_system(_QUARANTINED, message, text)["stage"]
    return stage == Stage.JUDGE
