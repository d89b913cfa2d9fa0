"""The layout is what pyproject and the links say, and one module has one name."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKED = ("producers", "schemas", "stream_processors", "sinks", "observability")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_package_list_is_what_the_folders_hold() -> None:
    found = set()
    for folder, _, files in os.walk(ROOT / "headrace", followlinks=True):
        if "__init__.py" in files:
            found.add(".".join(Path(folder).relative_to(ROOT).parts))
    assert found == set(PYPROJECT["tool"]["setuptools"]["packages"])


@pytest.mark.parametrize("folder", LINKED)
def test_root_folder_is_linked_relatively_and_mapped(folder: str) -> None:
    assert (ROOT / "headrace" / folder).readlink() == Path("..") / folder
    assert PYPROJECT["tool"]["setuptools"]["package-dir"][f"headrace.{folder}"] == folder


@pytest.mark.parametrize("folder", LINKED)
def test_second_identity_is_refused(folder: str) -> None:
    tried = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert tried.returncode != 0
    assert f"import headrace.{folder}, not {folder}" in tried.stderr


def test_nothing_happens_at_import() -> None:
    """Importing every module starts no thread, opens no socket and writes no file."""
    probe = (
        "import importlib, pkgutil, threading, os, headrace\n"
        "for module in pkgutil.walk_packages(headrace.__path__, 'headrace.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "names = sorted(thread.name for thread in threading.enumerate())\n"
        "sockets = [fd for fd in os.listdir('/proc/self/fd') if 'socket' in os.path.realpath(f'/proc/self/fd/{fd}')]\n"
        "print(names, sockets)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "['MainThread'] []"


def sources() -> dict[str, str]:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name: (ROOT / name).read_text() for name in tracked.split() if not (ROOT / name).is_symlink()}


def test_files_stay_short() -> None:
    assert {name: lines for name, text in sources().items() if (lines := len(text.splitlines())) > 400} == {}


def test_functions_stay_short() -> None:
    long = {
        f"{name}:{node.lineno} {node.name}": lines
        for name, text in sources().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > 40
    }
    assert long == {}


UNSAFE_FORMATS = frozenset({"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"})


def test_nothing_that_is_read_can_run_code() -> None:
    """No pickle and none of its like, in any module: not from a folder, not from a topic, not from our own files."""
    read = 0
    for path in (ROOT / "headrace").glob("**/*.py"):
        read += 1
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            assert not {name.partition(".")[0] for name in names} & UNSAFE_FORMATS, path
    for folder in LINKED:
        for path in (ROOT / folder).glob("**/*.py"):
            read += 1
            assert not any(f"import {name}" in path.read_text() for name in UNSAFE_FORMATS), path
    assert read > 150


HEAVY = ("river", "sklearn", "scipy", "pandas")
EVERY_HOME_RUNS = (
    "headrace.producers.app",
    "headrace.stream_processors.record_loop",
    "headrace.stream_processors.quality_app",
    "headrace.stream_processors.advisor",
    "headrace.stream_processors.learner",
    "headrace.sinks.app",
    "headrace.sinks.receipts",
    "headrace.embedded.predict.__main__",
    "headrace.runtime.monitor",
)


def test_no_process_of_a_home_without_learners_loads_models() -> None:
    """River brings scikit-learn, SciPy and pandas: a second and a half of a core and 130 MB, in each process."""
    code = f"import sys, {', '.join(EVERY_HOME_RUNS)}; print(*(name for name in {HEAVY} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert found.split() == []
