"""What GET /health says: which snapshot each learner answers from, and what stands in the way of a newer one."""

from datetime import UTC, datetime
from typing import Any

from headrace.embedded.predict.rack import Rack


def health(rack: Rack) -> dict[str, Any]:
    """Return the state of the service: starting, ok, or degraded where something newer cannot be served."""
    shelf = rack.shelf
    learners = {name: _learner(rack, name) for name in shelf.names}
    state = "ok" if shelf.read_at else "starting"
    if rack.problem or shelf.problems:
        state = "degraded"
    read_at = datetime.fromtimestamp(shelf.read_at, UTC).isoformat(timespec="milliseconds") if shelf.read_at else None
    return {"status": state, "read_at": read_at, "problem": rack.problem, "learners": learners}


def _learner(rack: Rack, name: str) -> dict[str, Any]:
    one = rack.shelf.served.get(name)
    return {
        "served": one is not None,
        "version": one.snapshot.version if one else None,
        "snapshot": one.snapshot.name if one else None,
        "rows_learned": one.snapshot.rows if one else None,
        "problem": rack.shelf.problems.get(name) or ("" if one else "it has no snapshot yet"),
    }
