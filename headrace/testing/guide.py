"""Programs that stand in the guide, taken from its pages as they are and run: what a reader copies must work."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from headrace.settings import Settings

_GUIDE = Path(__file__).parents[2] / "docs/guide"
_REGISTRY, _KAFKA = '{"url": "http://127.0.0.1:8081"}', "127.0.0.1:9092"


def example(page: str, title: str) -> str:
    """Return the first Python block below a heading of a page."""
    below = (_GUIDE / page).read_text(encoding="utf-8").split(f"\n## {title}\n", maxsplit=1)[1]
    found = re.search(r"```python\n(.*?)```", below, re.DOTALL)
    if found is None:
        raise ValueError(f'{page} has no Python block under "{title}"')
    return found[1]


def alert_consumer(settings: Settings, login: str = "") -> str:
    """Return the consumer of alerts that the guide shows, with the addresses of this line in place of the usual ones.

    `login` is `user:password` of the registry, put where the guide says that it goes.
    """
    text = example("alerts.md", "With your own consumer")
    if text.count(_REGISTRY) != 1 or text.count(_KAFKA) != 1:
        raise ValueError("the example in alerts.md names other addresses than the usual ones")
    registry = {"url": settings.registry_address()} | ({"basic.auth.user.info": login} if login else {})
    return text.replace(_REGISTRY, repr(registry)).replace(_KAFKA, settings.kafka_client()["bootstrap.servers"])


def lines_of(program: str, enough: Callable[[list[str]], bool], limit_secs: float) -> list[str]:
    """Run a program that has no end until what it printed is enough, and return that.

    Raises TimeoutError with what it printed, errors too, if it does not come to that within the limit.
    """
    running = subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    alarm = threading.Timer(limit_secs, running.send_signal, [signal.SIGKILL])
    alarm.start()
    printed: list[str] = []
    try:
        for line in running.stdout or ():
            printed.append(line.rstrip("\n"))
            if enough(printed):
                return printed
    finally:
        alarm.cancel()
        running.kill()
        running.communicate()
    raise TimeoutError(f"not enough came: {printed}")
