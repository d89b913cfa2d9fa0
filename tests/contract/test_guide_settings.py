"""What the guides show of silences.yaml, notify.yaml and headrace.alerts is what the code takes: each is loaded."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.schemas.contract import parse_contract
from headrace.schemas.contract_alerts import AlertLife
from headrace.schemas.silences import HINT, read_silences
from headrace.sinks.notify.base import read_targets

GUIDES = sorted(Path("docs/guide").glob("*.md"))
_FENCED = re.compile(r"^```(?:yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_SECRETS = re.compile(r"\w+Env: (\w+)")
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: d
version: 1.0.0
status: active
schema: [{name: d, properties: [{name: n, logicalType: integer}]}]
"""


def snippets() -> list[tuple[str, str]]:
    """Return (guide, text) of every block that reads as YAML with something in it."""
    found = []
    for guide in GUIDES:
        text = guide.read_text(encoding="utf-8")
        blocks = [*_FENCED.findall(text), *map(textwrap.dedent, _INDENTED.findall(text))]
        found += [(guide.name, block) for block in blocks]
    return found


def read(block: str) -> Any:
    try:
        return yaml.safe_load(block)
    except yaml.YAMLError:
        return None


def entries(block: str) -> list[dict[str, Any]]:
    data = read(block)
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


SILENCES = [one for one in snippets() if any("rule" in entry and "until" in entry for entry in entries(one[1]))]
TARGETS = [one for one in snippets() if any("type" in entry and "options" in entry for entry in entries(one[1]))]
LIVES = [one for one in snippets() if "headrace.alerts, value" in one[1]]


def test_guides_show_silences_targets_and_lives_of_alerts() -> None:
    assert {guide for guide, _ in SILENCES} >= {"quality.md", "alerts.md"}
    assert {guide for guide, _ in TARGETS} == {"alerts.md"}
    assert {guide for guide, _ in LIVES} == {"quality.md"}


@pytest.mark.parametrize(("guide", "block"), SILENCES)
def test_silences_of_the_guides_can_be_followed(guide: str, block: str) -> None:
    assert all(entry.why for entry in read_silences(block)), guide


def test_hint_of_a_wrong_file_of_silences_is_itself_right() -> None:
    (entry,) = read_silences("- " + HINT.partition("like ")[2])
    assert (entry.rule, entry.why) == ("missing_mass", "x")


@pytest.mark.parametrize(("guide", "block"), TARGETS)
def test_targets_of_the_guides_can_be_followed(guide: str, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _SECRETS.findall(block):
        monkeypatch.setenv(variable, "https://hooks.example.org/x")
    assert [target.name for target in read_targets(block)], guide


@pytest.mark.parametrize(("guide", "block"), LIVES)
def test_lives_of_alerts_of_the_guides_can_be_followed(guide: str, block: str) -> None:
    assert parse_contract(CONTRACT + block).alerts != AlertLife(), guide
