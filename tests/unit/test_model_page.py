"""The page of models: every built-in kind has a section, and its example makes a model."""

from pathlib import Path

import pytest
import yaml

from headrace.cli.model_page import EXAMPLES, PAGE, built_in, example_options, model_page
from headrace.schemas.expression import Kind
from headrace.schemas.learner_document import ModelEntry
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Inputs
from headrace.stream_processors.models.catalog import make_model, model_kind

ROOT = Path(__file__).parents[2]
FIELDS = {"carrier": Kind.TEXT, "tailnum": Kind.TEXT, "month": Kind.WHOLE, "distance": Kind.NUMBER}


def test_page_of_models_is_what_the_models_say() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == model_page(), "run make docs"


def test_every_built_in_kind_has_an_example_and_a_section() -> None:
    assert set(EXAMPLES) == set(built_in())
    assert len(built_in()) >= 16
    text = model_page()
    assert all(f"\n## {name}\n" in text for name in built_in())


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_makes_a_model_for_each_of_its_tasks(name: str) -> None:
    for task in model_kind(name).tasks - {Task.IMPUTATION}:
        target = Kind.BOOLEAN if task is Task.CLASSIFICATION else Kind.NUMBER
        assert make_model(name, example_options(name), Inputs(task, FIELDS, target, 3, 4), 1)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_option_says_what_it_means(name: str) -> None:
    assert all(field.description for field in model_kind(name).Options.model_fields.values())


def test_yaml_of_the_page_is_what_a_learner_takes() -> None:
    blocks = [yaml.safe_load(block.split("```")[0]) for block in model_page().split("```yaml\n")[2:]]
    assert [ModelEntry.model_validate(block[0]).model for block in blocks] == list(built_in())
