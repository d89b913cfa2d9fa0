"""python -m benchmarks.predict: how long one prediction over HTTP takes, while a new snapshot is loaded each second.

The service's own application on a socket of this machine, without Kafka: `flights_delay` as it comes with headrace,
taught with made records. The client sends one request after the other over one connection.
"""

import argparse
import http.client
import json
import multiprocessing
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, save
from headrace.core.child import wait_until
from headrace.embedded.predict.app import Fence, PredictApp
from headrace.embedded.predict.rack import Rack
from headrace.embedded.predict.stocker import LOOK_SECS, Stocker
from headrace.embedded.server import answer, bound_socket
from headrace.settings import LOOPBACK
from headrace.testing.learners import SnapshotTopic, home_with, law, shipped_spec, some_records, taught

LEARNER = "flights_delay"
MODELS = ("linear_regression", "hoeffding_tree", "adaptive_forest")
_LIMIT_SECS = 60.0
_MANY = 1_000


def main() -> None:
    """Ask each model 2,000 times, print p50 and p99 in milliseconds, and save them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description=main.__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=20_480, help="records that the models have learned")
    options = parser.parse_args()
    result: dict[str, Any] = {"requests": options.requests, "learned": options.rows}
    for model in MODELS:
        result[model] = measured(model, options.requests, options.rows)
        print(model, json.dumps(result[model]), flush=True)
    print(save(result | machine(), "predict"))


def measured(model: str, requests: int, rows: int) -> dict[str, float]:
    """Return the figures of one model."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve, args=(port, model, rows), daemon=True)
    process.start()
    try:
        if not wait_until(lambda: _is_served(port), _LIMIT_SECS):
            raise TimeoutError(f"{model} is not served")
        records = [_as_json(one) for one in some_records(shipped_spec(LEARNER), requests, seed=3)]
        single = _asked(port, records)
        many = _asked(port, [records[:_MANY]] * 10)
    finally:
        process.terminate()
        process.join()
    return {**_quantiles(single), "ms_of_1000_records": round(sorted(many)[len(many) // 2], 1)}


def serve(port: int, model: str, rows: int) -> None:
    """Serve a model until killed; each second another snapshot of it is loaded."""
    spec = shipped_spec(LEARNER, lambda text: f"{text.split('models:')[0]}models: [{{model: {model}}}]\n")
    learner, topics = taught(spec, rows), []
    for _ in range(2):
        topics.append(SnapshotTopic())
        topics[-1].write(learner)
        learner.state.predicted += 1
    rack = Rack()
    stocker = Stocker(home_with(Path(tempfile.mkdtemp(prefix="headrace-bench-")), spec).paths(), law)

    def restock() -> None:
        for turn in range(10**9):
            rack.shelf = stocker.stock(rack.shelf, topics[turn % 2].snapshots, time.time())
            time.sleep(LOOK_SECS)

    threading.Thread(target=restock, daemon=True).start()
    with bound_socket("predict", LOOPBACK, port) as listener:
        answer(Fence(PredictApp(rack)), listener, loop="asyncio", stop_secs=1)


def _is_served(port: int) -> bool:
    try:
        return bool(_ask(http.client.HTTPConnection(LOOPBACK, port, timeout=5), {})[0] == http.HTTPStatus.OK)
    except OSError:
        return False


def _asked(port: int, bodies: Sequence[Any]) -> list[float]:
    """Return the milliseconds of each request."""
    connection, found = http.client.HTTPConnection(LOOPBACK, port, timeout=30), []
    for body in bodies:
        started = time.perf_counter()
        status, answered = _ask(connection, body)
        found.append((time.perf_counter() - started) * 1e3)
        assert status == http.HTTPStatus.OK, answered
    return found


def _ask(connection: http.client.HTTPConnection, body: Any) -> tuple[int, bytes]:
    connection.request("POST", f"/predict/{LEARNER}", json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    return reply.status, reply.read()


def _quantiles(found: list[float]) -> dict[str, float]:
    ordered = sorted(found)
    places = {"p50_ms": 0.5, "p99_ms": 0.99, "most_ms": 1.0}
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * at))], 2) for name, at in places.items()}


def _as_json(record: dict[str, Any]) -> dict[str, Any]:
    return {name: one.isoformat() if hasattr(one, "isoformat") else one for name, one in record.items()}


if __name__ == "__main__":
    main()
