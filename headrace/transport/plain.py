"""Single messages outside of transactions, for topics where a repeat overwrites."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from headrace.errors import ServiceUnreachable
from headrace.transport.kafka import producer_config

_CALL_SECS = 30.0


def write_plainly(client: Mapping[str, str], topic: str, key: bytes, value: bytes, *, partition: int = 0) -> None:
    """Send one message to a partition and return when the broker has it; may block for 30 s.

    Raises ServiceUnreachable if it does not get there; then it may be there all the same, so it must be repeatable.
    """
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Any) -> None:
        if error is not None:
            failures.append(error)

    try:
        producer = Producer(producer_config(client) | {"linger.ms": 0})
        producer.produce(topic, value=value, key=key, partition=partition, on_delivery=delivered)
        left = producer.flush(_CALL_SECS)
    except KafkaException as error:
        raise ServiceUnreachable(f'topic "{topic}": {error.args[0].str()}', hint="headrace status") from error
    if failures or left:
        cause = failures[0].str() if failures else f"no answer within {_CALL_SECS:.0f} s"
        raise ServiceUnreachable(f'topic "{topic}": {cause}', hint="headrace status")
