"""What a person decides on an advice: written to quality.advice, where the advisor follows it."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from headrace.core.identity import stable_slot
from headrace.errors import ServiceUnreachable, WrongUse
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system, read_system, schema_id_of
from headrace.schemas.topics import ADVICE, QUALITY_PARTITIONS
from headrace.settings import Settings
from headrace.stream_processors.steps.advice_life import DECISIONS, fold
from headrace.stream_processors.steps.advice_life import decision as decision_of
from headrace.transport.follow import read_topic
from headrace.transport.plain import write_plainly


def known_advice(settings: Settings, registry: Registry, dataset: str) -> dict[str, dict[str, Any]]:
    """Return a dataset's advice by id as it stands, with what people decided."""

    def records() -> Iterator[dict[str, Any]]:
        for message in read_topic(settings.kafka_client(), ADVICE):
            text = registry.text_of(schema_id_of(message.value) or 0)
            if text is None:
                raise ServiceUnreachable(f"the registry does not know schema {schema_id_of(message.value)} of {ADVICE}")
            yield read_system("advice", message.value, text)

    return {name: one for name, one in fold(records()).items() if one["dataset"] == dataset}


def decide(
    settings: Settings, dataset: str, advice_id: str, decision: str, *, by: str, why: str = ""
) -> dict[str, Any]:
    """Publish a decision (accept, done or dismiss) and return the advice with it; the first digits of an id will do.

    Raises WrongUse if no advice, or more than one, has that id.
    """
    if decision not in DECISIONS:
        raise WrongUse(f'decision "{decision}" is none', hint=f"say one of {', '.join(DECISIONS)}")
    with closing(Registry(settings)) as registry:
        known = known_advice(settings, registry, dataset)
        found = [one for name, one in known.items() if name.startswith(advice_id)]
        if len(found) != 1:
            hint = "headrace sql shows them: headrace.advice has advice_id, dataset and symptom"
            raise WrongUse(f'{len(found)} advices of "{dataset}" have the id "{advice_id}"', hint=hint)
        at = time.time_ns() // 1_000
        told = decision_of(found[0], decision, by=by, at=at, why=why)
        framed = frame_system("advice", registry.system_id(ADVICE, "advice"), told)
        slot = stable_slot(dataset, QUALITY_PARTITIONS)
        write_plainly(settings.kafka_client(), ADVICE, told["advice_id"].encode(), framed, partition=slot)
    return told
