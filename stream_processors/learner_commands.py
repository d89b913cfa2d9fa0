"""What people ask of a learner: another champion, or an older state of the one there is. Every command is answered.

A command is a message on ml.commands, its answer the event on ml.models with its id, in the transaction that does it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.observability.events import emit
from headrace.observability.learner_events import CommandUnreadable
from headrace.schemas.registry import Registry
from headrace.schemas.system import MessageUnreadable, read_checked, schema_id_of
from headrace.schemas.topics import COMMANDS, MODELS
from headrace.stream_processors.learner_line import LearnerLine, Outputs
from headrace.stream_processors.snapshots import SnapshotRefused, Snapshots
from headrace.stream_processors.steps.contenders import Turn
from headrace.transport.kafka import CompactedTopic


class Commands:
    """The commands that nobody has answered yet. Not for use from several threads; calls may block.

    Answers are looked up on ml.models, once: a learner that begins anew must not follow what was followed years ago.
    """

    def __init__(self, client: Mapping[str, str], registry: Registry) -> None:
        self._registry = registry
        self._commands = CompactedTopic(client, COMMANDS)
        self._models = CompactedTopic(client, MODELS)
        self._answered: set[str] | None = None
        self._unreadable: set[str] = set()

    def pending(self) -> Iterator[dict[str, Any]]:
        """Yield the commands without an answer, oldest first."""
        if self._answered is None:
            events = self._read("model_event", self._models.refresh())
            self._answered = {event["command_id"] for event in events}
        known = self._answered
        view = self._commands.refresh()
        new = {key: message for key, message in view.items() if key.partition("/")[2] not in known}
        yield from sorted(self._read("model_command", new), key=lambda command: command["at"])

    def note(self, command: Mapping[str, Any]) -> None:
        """Say that a command is answered."""
        if self._answered is not None:
            self._answered.add(command["command_id"])

    def close(self) -> None:
        """Leave."""
        self._commands.close()
        self._models.close()

    def _read(self, name: str, view: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
        for key, message in view.items():
            try:
                yield read_checked(name, message, self._registry.text_of(schema_id_of(message) or 0))
            except MessageUnreadable as error:
                if key not in self._unreadable:
                    self._unreadable.add(key)
                    emit(CommandUnreadable(key=key, cause=str(error)))


def follow(line: LearnerLine, command: Mapping[str, Any], found: Snapshots) -> Outputs:
    """Do what a command says; what cannot be done is told as an event. A command is followed once."""
    out = Outputs(snapshot=True)
    line.learner.state.commands.append(command["command_id"])
    asked = f"{command['by']}: {command['why']}" if command["why"] else command["by"]
    act = _promote if command["command"] == "promote" else _rollback
    line.tell(act(line, command, found, asked), out, by=command["by"], command_id=command["command_id"])
    return out


def refusal(command: Mapping[str, Any], cause: str) -> dict[str, Any]:
    """Return the answer to a command that no learner can follow, as the value of its event."""
    return {
        "event_id": command["command_id"],
        "learner": command["learner"],
        "version": "",
        "dataset": "",
        "kind": "refused",
        "model": command["model"],
        "champion": "",
        "snapshot": "",
        "rows": 0,
        "at": command["at"],
        "event_at": None,
        "detail": f"{command['command']}: {cause}",
        "by": command["by"],
        "command_id": command["command_id"],
        "figures": {},
    }


def _promote(line: LearnerLine, command: Mapping[str, Any], _found: Snapshots, asked: str) -> Turn:
    name = command["model"]
    if not line.learner.may_lead(name):
        return Turn("refused", name, line.learner.state.rows, f"promote: the learner has no contender {name}")
    return line.learner.promote(name, f"asked for by {asked}")


def _rollback(line: LearnerLine, command: Mapping[str, Any], found: Snapshots, asked: str) -> Turn:
    state, name = line.learner.state, command["snapshot"]
    chosen = next((one for one in found.of(line.spec.name) if one.name == name), None)
    if chosen is None:
        return Turn("refused", "", state.rows, f"rollback: there is no snapshot {name}")
    try:
        old = found.state(chosen, line.packages)
    except SnapshotRefused as error:
        return Turn("refused", "", state.rows, f"rollback: {error}")
    model = old.champion
    if chosen.version != line.spec.version or not line.learner.may_lead(model):
        return Turn("refused", model, state.rows, f"rollback: snapshot {name} is of another version of the learner")
    state.contenders[model].restart(old.contenders[model].estimator)
    line.learner.promote(model, "")
    return Turn("rollback", model, state.rows, f"to {name}, asked for by {asked}")
