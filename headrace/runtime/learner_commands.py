"""What a person asks of a learner: written to ml.commands, followed by the process `learner`, answered on ml.models."""

import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from headrace.errors import ServiceUnreachable
from headrace.runtime.learners import read_event, why_idle
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import COMMANDS, MODELS
from headrace.settings import Settings
from headrace.transport.kafka import CompactedTopic
from headrace.transport.plain import write_plainly

LIMIT_SECS, PATIENCE_SECS = 120.0, 5.0
_LOOK_SECS = 0.2
_STAYS = "the command stays on ml.commands and is followed when it does"


@dataclass(frozen=True)
class Wish:
    """What is asked: `command` is promote or rollback, with the model or the snapshot."""

    learner: str
    command: str
    by: str
    why: str
    model: str = ""
    snapshot: str = ""


def ask(
    settings: Settings,
    wish: Wish,
    waited: Callable[[float], None],
    *,
    limit_secs: float = LIMIT_SECS,
    patience_secs: float = PATIENCE_SECS,
) -> dict[str, Any]:
    """Write a command and return the event that answers it; `waited` is told the seconds now and then.

    Raises ServiceUnreachable if no learner runs for `patience_secs`, or none answers within the limit: the command is
    written all the same, and the text says so.
    """
    command_id = uuid.uuid4().hex
    value = vars(wish) | {"command_id": command_id, "at": time.time_ns() // 1_000}
    client = settings.kafka_client()
    with closing(Registry(settings)) as registry, closing(CompactedTopic(client, MODELS)) as topic:
        known = set(topic.refresh_to_end())
        framed = frame_system("model_command", registry.system_id(COMMANDS, "model_command"), value)
        write_plainly(client, COMMANDS, f"{wish.learner}/{command_id}".encode(), framed)
        started, watch = time.monotonic(), _Watch(settings, wish.learner, patience_secs)
        while (secs := time.monotonic() - started) < limit_secs:
            view = topic.refresh()
            for key in view.keys() - known:
                event = read_event(registry, view[key])
                if event["command_id"] == command_id:
                    return event
            known |= view.keys()
            watch.look(secs)
            waited(secs)
            time.sleep(_LOOK_SECS)
    raise ServiceUnreachable(
        f'learner "{wish.learner}" has not answered within {limit_secs:.0f} s: it finishes the batch in hand first; '
        f"{_STAYS}",
        hint=f"headrace learn show {wish.learner} has the answer; headrace status shows how far the learner is",
    )


class _Watch:
    """Looks whether somebody is there to answer. A process that died is back in a moment."""

    def __init__(self, settings: Settings, learner: str, patience_secs: float) -> None:
        self._settings, self._learner, self._patience_secs = settings, learner, patience_secs
        self._ran_at = 0.0

    def look(self, secs: float) -> None:
        """Raise ServiceUnreachable if no learner has run for the time of patience."""
        idle = why_idle(self._settings)
        self._ran_at = self._ran_at if idle else secs
        if idle and secs - self._ran_at >= self._patience_secs:
            raise ServiceUnreachable(
                f"the process learner does not run ({idle}), so nobody answers: {_STAYS}",
                hint=f"headrace up; then headrace learn show {self._learner} has the answer",
            )
