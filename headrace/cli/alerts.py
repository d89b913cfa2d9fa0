"""headrace alerts: what is wrong with the data, from the topic quality.alerts."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import click

from headrace.errors import ServiceUnreachable
from headrace.runtime.reach import require_services
from headrace.schemas.registry import Registry
from headrace.schemas.system import read_system, schema_id_of
from headrace.schemas.topics import ALERTS
from headrace.settings import Settings
from headrace.transport.follow import read_topic

_COLOURS = {"critical": "red", "warning": "yellow", "info": "blue"}


@click.command()
@click.option("--follow", is_flag=True, help="Go on printing alerts as they come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--dataset", default="", help="Only this dataset's alerts.")
def alerts(*, follow: bool, as_json: bool, dataset: str) -> None:
    """Print the quality alerts, oldest first. An alert that came again is printed once, as it was last."""
    settings, count = Settings(), 0
    require_services(settings, "kafka", "registry")
    found = every_alert(settings, follow=follow)
    for alert in found if follow else sorted(found, key=lambda alert: alert["raised_at"]):
        if dataset in {"", alert["dataset"]}:
            count += 1
            click.echo(json.dumps(alert, default=str) if as_json else sentence(alert))
    if not count and not as_json:
        click.echo("no alerts" + (f' for dataset "{dataset}"' if dataset else ""))


def every_alert(settings: Settings, *, follow: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the latest alert of each id; with `follow` never end, and yield an id again when it says something new."""
    latest: dict[str, dict[str, Any]] = {}
    for alert in published_alerts(settings, follow=follow):
        news = latest.get(alert["alert_id"]) != alert
        latest[alert["alert_id"]] = alert
        if follow and news:
            yield alert
    yield from latest.values()


def published_alerts(settings: Settings, *, follow: bool = False) -> Iterator[dict[str, Any]]:
    """Yield every committed alert of the topic as any consumer gets it, repeats too; never ends with `follow`."""
    with closing(Registry(settings)) as registry:
        for message in read_topic(settings.kafka_client(), ALERTS, follow=follow):
            yield read_alert(registry, message.value)


def read_alert(registry: Registry, value: bytes) -> dict[str, Any]:
    """Return an alert as a dict, read with the schema it was written with."""
    text = registry.text_of(schema_id_of(value) or 0)
    if text is None:
        raise ServiceUnreachable(f"the registry does not know schema {schema_id_of(value)} of {ALERTS}")
    return read_system("alert", value, text)


def sentence(alert: dict[str, Any]) -> str:
    """Return an alert as two lines for a person: what, and what to do."""
    raised_at = alert["raised_at"]
    when = raised_at if isinstance(raised_at, datetime) else datetime.fromtimestamp(raised_at / 1e6, UTC)
    severity = click.style(f"{alert['severity']:<8}", fg=_COLOURS.get(alert["severity"]))
    trail = f"trace {alert['trace_id']}" + (f", owner {alert['owner']}" if alert["owner"] else "")
    return f"{when:%Y-%m-%d %H:%M:%S}  {severity} {alert['message']}\n{'':21}next: {alert['hint']}  ({trail})"
