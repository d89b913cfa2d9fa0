"""The page of checks: every built-in check has a section, and its example is a contract that can be followed."""

from pathlib import Path

import pytest
import yaml

from headrace.cli.check_examples import EXAMPLES
from headrace.cli.check_page import PAGE, built_in, check_page, example_contract
from headrace.schemas.check_catalog import check_named

ROOT = Path(__file__).parents[2]


def test_page_of_checks_is_what_the_checks_say() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == check_page(), "run make docs"


def test_every_built_in_check_has_an_example_and_a_section() -> None:
    assert set(EXAMPLES) == set(built_in())
    text = check_page()
    assert all(f"\n## {name}\n" in text for name in built_in())


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_is_followed_as_it_stands(name: str) -> None:
    found = example_contract(name)
    assert [rule.check for rule in found.checks] == [name]
    assert check_named(name).sentence(found.checks[0])


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_parameter_says_what_it_means(name: str) -> None:
    assert all(field.description for field in check_named(name).Model.model_fields.values())


def test_yaml_of_the_page_is_yaml() -> None:
    blocks = check_page().split("```yaml\n")[1:]
    assert len(blocks) == len(built_in()) + 1
    assert all(yaml.safe_load(block.split("```")[0])[0]["engine"] == "headrace" for block in blocks)
