"""A member of a group can leave at any moment, also when an assignment has come that it has not taken yet."""

import threading

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from headrace.core.child import wait_until
from headrace.schemas.topics import TopicSpec
from headrace.testing.stack import EmbeddedStack
from headrace.transport.consumer import GroupConsumer
from headrace.transport.kafka import Topics

pytestmark = pytest.mark.stack
LIMIT_SECS = 30.0


@pytest.mark.parametrize("polls", [0, 1])
def test_member_leaves_whether_or_not_it_took_what_it_was_assigned(stack: EmbeddedStack, polls: int) -> None:
    client, group = stack.settings.kafka_client(), f"leavers-{polls}"
    Topics(client).ensure([TopicSpec("leavers", 4)])
    member = GroupConsumer(client, group=group, member="one", pattern="^leavers$", begin_check=lambda _place: None)
    for _ in range(polls):
        assert wait_until(lambda: bool(member.poll(1, 0.1)) or len(member.places) == 4, LIMIT_SECS)
    assert wait_until(lambda: is_stable(stack, group), LIMIT_SECS)
    leaving = threading.Thread(target=member.close, daemon=True)
    leaving.start()
    leaving.join(LIMIT_SECS)
    assert not leaving.is_alive()
    assert not [one for one in threading.enumerate() if one.name == "one leaves"]


def is_stable(stack: EmbeddedStack, group: str) -> bool:
    admin = AdminClient(dict(stack.settings.kafka_client()))
    found = admin.describe_consumer_groups([group], request_timeout=LIMIT_SECS)[group].result(LIMIT_SECS)
    return bool(found.state == ConsumerGroupState.STABLE)
