"""headrace learn: how learners stand, the models in them, their history; another champion, or an older state."""

import json
from pathlib import Path
from typing import Any

import click

from headrace.cli import WholeHelp
from headrace.cli.alerts import person
from headrace.cli.learn_json import LearnStatus, model_of, shown_of, status_of
from headrace.cli.learn_views import event_line, model_table, show_lines, status_lines
from headrace.core.files import printable
from headrace.runtime.learner_commands import Wish, ask
from headrace.runtime.learners import (
    declared,
    every_learner,
    history,
    home_contracts,
    newest_figures,
    spec_named,
    why_idle,
)
from headrace.runtime.reach import require_services
from headrace.schemas.learner_file import lint_learner, spoken_learner
from headrace.schemas.learner_store import learner_path
from headrace.settings import Settings

_SERVICES = ("kafka", "registry", "warehouse")
_PROGRESS_SECS = 2.0
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WHY = click.option("--why", required=True, help="The reason, for those who read the history.")


@click.group(cls=WholeHelp)
def learn() -> None:
    """Learners: models that predict the records of a dataset as they come, and learn from each after it."""


@learn.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def status(*, as_json: bool) -> None:
    """Show every learner: champion, loss with its error, the best dummy's loss beside it, sampling, lag, snapshot.

    Files that cannot be followed are told with what is wrong in them: one that was sound before leaves its learner
    going on as it was. Exit 1 if there is such a file.
    """
    settings = Settings()
    require_services(settings, *_SERVICES)
    learners, idle = declared(settings.paths()), why_idle(settings)
    found: LearnStatus = {
        "running": not idle,
        "idle_because": idle,
        "learners": [status_of(known) for known in every_learner(settings, learners.specs)],
        "refused": [
            {"file": file, "problems": list(told), "goes_on": learners.goes_on(file) is not None}
            for file, told in learners.problems.items()
        ],
    }
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        _say_status(found, settings)
    if found["refused"]:
        raise SystemExit(1)


@learn.command()
@click.argument("learner", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def models(learner: str | None, *, as_json: bool) -> None:
    """Show the models of LEARNER, or of all, side by side: the champion, its challengers, and the dummies to beat."""
    settings = Settings()
    require_services(settings, "warehouse")
    learners = declared(settings.paths())
    specs = learners.specs if learner is None else (spec_named(learners, learner),)
    figures = newest_figures(settings, specs)
    if as_json:
        shown = [model_of(one) for several in figures.values() for one in several]
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    for spec in specs:
        rows = max((one["rows"] for one in figures[spec.name]), default=0)
        click.echo(f"{spec.name}: {spec.task} on {spec.dataset}, {rows:,} labelled rows")
        if not figures[spec.name]:
            click.echo("  no figures yet: they are told every 1,024 labelled records")
        else:
            for line in model_table(figures[spec.name]):
                click.echo(line)
    if not specs:
        click.echo(_no_learners(settings))


@learn.command()
@click.argument("learner")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def show(learner: str, *, as_json: bool) -> None:
    """Show one learner: its file, features, rule of promotion, loss over time, snapshots, and what happened to it."""
    settings = Settings()
    require_services(settings, *_SERVICES)
    spec = spec_named(declared(settings.paths()), learner)
    found, file = history(settings, spec), str(learner_path(settings.paths(), spec.name))
    if as_json:
        shown: dict[str, Any] = {**shown_of(spec, file, found), "events": list(found.events)}
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2, default=str))
        return
    for line in (*spoken_learner(spec), *show_lines(spec, file, found)):
        click.echo(line)
    _say_idle(why_idle(settings))


@learn.command()
@click.argument("learner")
@click.argument("model")
@_WHY
def promote(learner: str, model: str, why: str) -> None:
    """Make MODEL the champion of LEARNER; exit 1 if the learner refuses.

    The answer is printed when it is there: the learner finishes the batch in hand first.
    """
    _ask(Wish(learner, "promote", person(), why, model=model))


@learn.command()
@click.argument("learner")
@click.argument("snapshot")
@_WHY
def rollback(learner: str, snapshot: str, why: str) -> None:
    """Put the champion of SNAPSHOT, as it was then, in the champion's place; exit 1 if the learner refuses.

    `headrace learn show LEARNER` lists the snapshots that are still there.
    """
    _ask(Wish(learner, "rollback", person(), why, snapshot=snapshot))


@learn.command()
@click.argument("files", type=_FILE, nargs=-1, required=True)
def lint(files: tuple[Path, ...]) -> None:
    """Say whether each learner in FILES can be followed, and what it learns from what; exit 1 if one cannot.

    They are read against the contracts of the home, else those that come with headrace; no line need run.
    """
    contracts = home_contracts(Settings().paths())
    sound = True
    for file in files:
        found = lint_learner(file.read_text(encoding="utf-8-sig", errors="replace"), contracts)
        sound = sound and found.spec is not None
        click.echo(f"{file}: {'cannot be followed' if found.spec is None else 'sound'}")
        for line in found.problems if found.spec is None else spoken_learner(found.spec):
            click.echo(f"  {printable(line)}")
    if not sound:
        raise SystemExit(1)


def _ask(wish: Wish) -> None:
    settings = Settings()
    require_services(settings, "kafka", "registry")
    spec_named(declared(settings.paths()), wish.learner)
    told = [0.0]

    def waited(secs: float) -> None:
        if secs - told[0] >= _PROGRESS_SECS:
            told[0] = secs
            click.echo(f"waiting for the learner ({secs:.0f} s)", err=True)

    event = ask(settings, wish, waited)
    click.echo(event_line(event))
    if event["kind"] == "refused":
        raise SystemExit(1)


def _say_status(found: LearnStatus, settings: Settings) -> None:
    for one in found["learners"]:
        for line in status_lines(one):
            click.echo(line)
    for refused in found["refused"]:
        left = "; the learner goes on as it was" if refused["goes_on"] else ""
        click.echo(f"{printable(refused['file'])} cannot be followed{left}")
        for problem in refused["problems"]:
            click.echo(f"  {printable(problem)}")
    if not found["learners"] and not found["refused"]:
        click.echo(_no_learners(settings))
    _say_idle(found["idle_because"])


def _no_learners(settings: Settings) -> str:
    folder = settings.paths().learners
    return (
        f"no learners: {folder}/NAME.yaml makes one (docs/guide/learners.md); those of flights come with its first file"
    )


def _say_idle(idle: str) -> None:
    if idle:
        click.echo(f"nothing learns now: the process learner does not run ({idle}); headrace status, headrace up")
