"""How far the quality app is behind, while a rebalance takes a partition from it."""

import asyncio
from typing import Any, cast

from aiokafka import AIOKafkaConsumer
from faust.types import TP

from headrace.stream_processors.faust_consumer import GapTolerantConsumer


class BetweenAssignments(GapTolerantConsumer):
    """A consumer that was told of a partition which its aiokafka client, in its own thread, has just given up."""

    def __init__(self, client: AIOKafkaConsumer, *, high: int | None) -> None:
        self._client, self._high = client, high
        self._positioned = True
        self.app = cast(Any, _Acks())

    def assignment(self) -> set[TP]:
        return {TP("profiles", 0)}

    def highwater(self, tp: TP) -> Any:
        return self._high if self._high is not None else self._client.highwater(tp)

    async def position(self, tp: TP) -> int | None:
        return int(await self._client.position(tp))


class _Acks:
    def __init__(self) -> None:
        self.topics = self

    def acks_enabled_for(self, topic: str) -> bool:
        return topic == "profiles"


def behind(*, high: int | None) -> int:
    async def asked() -> int:
        client = AIOKafkaConsumer()
        try:
            return await BetweenAssignments(client, high=high).behind()
        finally:
            await client.stop()

    return asyncio.run(asked())


def test_partition_that_is_gone_before_its_end_is_asked_for_makes_the_lag_unknown() -> None:
    assert behind(high=None) == -1


def test_partition_that_is_gone_before_its_position_is_asked_for_makes_the_lag_unknown() -> None:
    assert behind(high=7) == -1
