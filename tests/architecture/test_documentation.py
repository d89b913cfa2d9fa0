"""What can be set, called, subscribed to or found as a code is documented, and the documents are true."""

import re
from pathlib import Path

from headrace.cli.reference import PAGE, reference
from headrace.core.vocabulary import FILE_REASONS, MEANINGS, AlertState, FileState, Reason, Severity, Stage
from headrace.testing.guide import example

ROOT = Path(__file__).parents[2]


def test_reference_page_is_what_the_code_says() -> None:
    assert (ROOT / PAGE).read_text() == reference(), "run make docs"


def test_every_member_of_a_closed_set_has_a_meaning() -> None:
    members = {member for kind in (FileState, Stage, Reason, Severity, AlertState) for member in kind}
    assert members == set(MEANINGS)


def named_places() -> list[str]:
    return re.findall(r"`([a-z_]+(?:/[\w.*<>-]+)+)`", (ROOT / "docs/where.md").read_text())


def test_every_reason_of_a_file_or_of_a_row_at_the_reader_has_its_line_in_the_guide_to_files() -> None:
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/guide/files.md").read_text(), re.MULTILINE))
    reasons = list(Reason)
    at_the_reader = reasons[reasons.index(Reason.TOO_FEW_FIELDS) : reasons.index(Reason.REQUIRED)]
    assert len(FILE_REASONS) == 21
    assert len(at_the_reader) == 10
    assert {reason.value for reason in (*FILE_REASONS, *at_the_reader)} <= explained


def test_where_names_only_files_that_exist() -> None:
    named = named_places()
    assert len(named) > 200
    missing = [path for path in named if "<" not in path and not list(ROOT.glob(path))]
    assert missing == []


def test_where_names_every_module_of_the_source_folders() -> None:
    named = {file.resolve() for path in named_places() for file in ROOT.glob(path)}
    folders = ("headrace", "producers", "schemas", "stream_processors", "sinks", "observability", "benchmarks")
    # The links in headrace/ lead to the root folders: a module has one name here.
    modules = {file.resolve() for folder in folders for file in (ROOT / folder).rglob("*.py")}
    assert len(modules) > 300
    # An __init__ that holds its package's docstring alone has nothing to change.
    unnamed = {file for file in modules - named if file.name != "__init__.py" or "import " in file.read_text()}
    assert sorted(str(file.relative_to(ROOT)) for file in unnamed) == []


def test_decision_records_are_numbered_without_gaps_and_say_what_they_must() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text().lower()
        for part in ("business", "engineers", "when to look again"):
            assert part in text, f"{record.name} has nothing on: {part}"


def test_consumer_of_alerts_in_the_guide_is_twelve_lines_of_confluents_client() -> None:
    lines = [line for line in example("alerts.md", "With your own consumer").splitlines() if line.strip()]
    assert len(lines) == 12
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("from ", "import "))}
    assert imported == {"confluent_kafka"}


def test_make_targets_that_are_named_exist_and_each_is_in_its_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE))
    assert set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()) == targets  # type: ignore[index]
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        ".ci/run",
        *(f"docs/guide/{name}.md" for name in ("operate", "files")),
    ):
        named = set(re.findall(r"(?:^\s*|`)make ([a-z]+)", (ROOT / page).read_text(), re.MULTILINE))
        assert named <= targets, page


def test_readme_shows_only_commands_that_exist() -> None:
    from headrace.cli import COMMANDS

    shown = set(re.findall(r"headrace ([a-z]+)", (ROOT / "README.md").read_text()))
    assert shown - {"up"} <= set(COMMANDS) | {"is", "and"}


def test_readme_says_who_can_ask_what_on_this_machine() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    for said in (
        "Everything listens on 127.0.0.1.",
        "any local account can query the warehouse and read Kafka",
        "the embedded Kafka has no authentication",
        "`HEADRACE_WAREHOUSE_PASSWORD`",
        "`HEADRACE_REGISTRY_PASSWORD`",
    ):
        assert said in text
