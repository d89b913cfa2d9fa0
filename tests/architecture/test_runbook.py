"""The runbook tells every alert and every error code, and nothing that is not there."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from headrace.runtime.platform_rules import PlatformRule
from headrace.schemas.check_catalog import check_named, check_names
from headrace.stream_processors.steps.file_quality import FILE_RULES, REJECTED_SHARE
from headrace.stream_processors.steps.window_alerts import UNCHECKED

ROOT = Path(__file__).parents[2]
SOURCES = ("headrace", "producers", "schemas", "stream_processors", "sinks", "observability")
PAGE = (ROOT / "docs/guide/operate.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def codes() -> set[str]:
    """Return the code of every error class, by what they are made from."""
    classes = [
        node
        for folder in SOURCES
        for file in (ROOT / folder).rglob("*.py")
        if "testing" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    errors = {"HeadraceError"}
    while new := {one.name for one in classes if errors & {ast.unparse(base) for base in one.bases}} - errors:
        errors |= new
    texts = [ast.unparse(one) for one in classes if one.name in errors]
    return {found[1] for text in texts if (found := re.search(r"^    code(?:: [^=]*)? = '(\w+)'", text, re.MULTILINE))}


def test_every_error_code_has_its_line_and_every_line_a_code() -> None:
    told = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]* \| [^|]+ \|$", section("Error codes"), re.MULTILINE)
    assert len(told) == len(set(told)) >= 20
    assert set(told) == codes()


def test_every_alert_of_the_platform_has_an_anchor_that_says_what_it_means_where_to_look_and_what_to_do() -> None:
    parts = re.split(r"^### ", section("Alerts about the line itself"), flags=re.MULTILINE)[1:]
    assert {part.split("\n", maxsplit=1)[0] for part in parts} == {rule.value for rule in PlatformRule}
    for part in parts:
        assert [word for word in ("**Means**: ", "**Look**: ", "**Do**: ") if f"\n{word}" not in part] == [], part


def test_every_alert_of_prometheus_is_told_with_the_place_that_its_runbook_url_leads_to() -> None:
    groups = yaml.safe_load((ROOT / "observability/alerts.yml").read_text())["groups"]
    urls = {rule["alert"]: rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}
    rows = re.findall(
        r"^\| `(Headrace\w+)` \| \[[^]]+\]\((#[\w-]+)\) \| [^|]+ \|$",
        section("Alerts about the line itself"),
        re.MULTILINE,
    )
    assert len(rows) == len(dict(rows)) >= 9
    assert {alert: f"docs/guide/operate.md{anchor}" for alert, anchor in rows} == urls


def test_every_alert_about_data_is_told_once_and_checks_by_their_dimension() -> None:
    text = section("Alerts about data")
    rules = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(rules) == sorted([REJECTED_SHARE, UNCHECKED, *(rule for rule, *_ in FILE_RULES.values())])
    rows = re.findall(r"^\| (\w+) \| (\[`.*?) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    told = [(dimension, name) for dimension, names in rows for name in re.findall(r"\[`(\w+)`\]", names)]
    assert sorted(told) == sorted((str(check_named(name).dimension), name) for name in check_names())


@pytest.mark.parametrize("page", ["checks.md", "files.md", "alerts.md", "reference.md", "operate.md"])
def test_places_that_the_runbook_links_to_are_there(page: str) -> None:
    text = (ROOT / "docs/guide" / page).read_text()
    anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", text, re.M)}
    linked = re.findall(rf"\]\({'' if page == 'operate.md' else page}#([\w-]+)\)", PAGE)
    assert [anchor for anchor in linked if anchor not in anchors] == []


def test_settings_that_the_runbook_names_exist() -> None:
    reference = (ROOT / "docs/guide/reference.md").read_text()
    named = set(re.findall(r"`(HEADRACE_[A-Z_]+)", PAGE)) - {"HEADRACE_HOME"}
    assert len(named) > 10
    assert [name for name in named if f"`{name}`" not in reference] == []
