"""What can be set, called, subscribed to or found as a code is documented, and the documents are true."""

import re
from pathlib import Path

from headrace.cli.reference import PAGE, reference
from headrace.core.vocabulary import MEANINGS, AlertState, FileState, Reason, Severity, Stage

ROOT = Path(__file__).parents[2]


def test_reference_page_is_what_the_code_says() -> None:
    assert (ROOT / PAGE).read_text() == reference(), "run make docs"


def test_every_member_of_a_closed_set_has_a_meaning() -> None:
    members = {member for kind in (FileState, Stage, Reason, Severity, AlertState) for member in kind}
    assert members == set(MEANINGS)


def test_where_names_only_files_that_exist() -> None:
    named = re.findall(r"`([a-z_]+(?:/[\w.*<>-]+)+)`", (ROOT / "docs/where.md").read_text())
    assert len(named) > 30
    missing = [path for path in named if "<" not in path and not list(ROOT.glob(path))]
    assert missing == []


def test_decision_records_are_numbered_without_gaps_and_say_what_they_must() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text().lower()
        for part in ("business", "engineers", "when to look again"):
            assert part in text, f"{record.name} has nothing on: {part}"


def test_readme_shows_only_commands_that_exist() -> None:
    from headrace.cli import COMMANDS

    shown = set(re.findall(r"headrace ([a-z]+)", (ROOT / "README.md").read_text()))
    assert shown - {"up"} <= set(COMMANDS) | {"is", "and"}
