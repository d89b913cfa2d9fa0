"""The obvious version of the line, one record at a time, with the same packages: what headrace is compared with.

csv -> pydantic -> fastavro -> produce -> poll one by one -> fastavro -> insert 10,000 at a time. No transactions, no
quarantine, no headers, no profile.
"""

import csv
import io
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import fastavro
from confluent_kafka import Consumer, Producer
from pydantic import BaseModel

from headrace.schemas.topics import TopicSpec
from headrace.settings import Settings
from headrace.transport.kafka import Topics

INSERT_ROWS = 10_000
TOPIC = "bench.naive"
TABLE = "bench.naive"
_INTS = (
    "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay flight air_time distance "
    "hour minute"
).split()
_TEXTS = "carrier tailnum origin dest".split()


class Flight(BaseModel):
    """A flight as somebody would model it in ten minutes."""

    year: int
    month: int
    day: int
    dep_time: int | None
    sched_dep_time: int
    dep_delay: int | None
    arr_time: int | None
    sched_arr_time: int
    arr_delay: int | None
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    air_time: int | None
    distance: int
    hour: int
    minute: int
    time_hour: datetime


def _schema() -> Any:
    def nullable(kind: Any) -> list[Any]:
        return ["null", kind]

    kinds: dict[str, Any] = {name: "long" for name in _INTS} | {name: "string" for name in _TEXTS}
    kinds["time_hour"] = {"type": "long", "logicalType": "timestamp-micros"}
    fields = [{"name": name, "type": nullable(kinds[name])} for name in Flight.model_fields]
    return fastavro.parse_schema({"type": "record", "name": "flight", "fields": fields})


def run(settings: Settings, path: Path, rows: int) -> float:
    """Carry the first `rows` rows from the file to a table and return rows a second, end to end."""
    Topics(settings.kafka_client()).ensure([TopicSpec(TOPIC)])
    user, password = "default", settings.warehouse_password.get_secret_value()
    host, port = settings.warehouse_address().removeprefix("http://").split(":")
    client = clickhouse_connect.get_client(host=host, port=int(port), username=user, password=password)
    client.command("CREATE DATABASE IF NOT EXISTS bench")
    client.command(f"DROP TABLE IF EXISTS {TABLE}")
    columns = [f"`{name}` Nullable(Int64)" for name in _INTS] + [f"`{name}` Nullable(String)" for name in _TEXTS]
    columns.append("`time_hour` Nullable(DateTime64(6, 'UTC'))")
    client.command(f"CREATE TABLE {TABLE} ({', '.join(columns)}) ENGINE = MergeTree ORDER BY tuple()")
    schema = _schema()
    started = time.perf_counter()
    _produce(settings, path, rows, schema)
    _store(settings, rows, schema, client)
    seconds = time.perf_counter() - started
    (stored,) = client.query(f"SELECT count() FROM {TABLE}").result_rows[0]
    assert stored == rows, f"the naive version stored {stored} of {rows} rows"
    client.close()
    return rows / seconds


def _produce(settings: Settings, path: Path, rows: int, schema: Any) -> None:
    producer = Producer(settings.kafka_client())
    with path.open(newline="") as stream:
        for number, values in enumerate(csv.DictReader(stream)):
            if number == rows:
                break
            flight = Flight(**{name: value if value not in {"", "NA"} else None for name, value in values.items()})
            body = io.BytesIO()
            fastavro.schemaless_writer(body, schema, flight.model_dump())
            while True:
                try:
                    producer.produce(TOPIC, body.getvalue())
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
    producer.flush()


def _store(settings: Settings, rows: int, schema: Any, client: Any) -> None:
    group = f"bench-naive-{datetime.now(UTC).timestamp()}"
    consumer = Consumer({**settings.kafka_client(), "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([TOPIC])
    names, stored = list(Flight.model_fields), 0
    waiting: list[list[Any]] = []
    while stored + len(waiting) < rows:
        message: Any = consumer.poll(1.0)
        if message is None or message.error():
            continue
        record: Any = fastavro.schemaless_reader(io.BytesIO(message.value()), schema, None)
        waiting.append([record[name] for name in names])
        if len(waiting) == INSERT_ROWS:
            client.insert(TABLE, waiting, column_names=names)
            stored, waiting = stored + len(waiting), []
    if waiting:
        client.insert(TABLE, waiting, column_names=names)
    consumer.close()


def main() -> None:
    """Run alone: python -m benchmarks.naive SETTINGS_JSON FILE ROWS, and print rows a second as JSON."""
    print(json.dumps({"rows_per_s": run(Settings(), Path(sys.argv[1]), int(sys.argv[2]))}))


if __name__ == "__main__":
    main()
