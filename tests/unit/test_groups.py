"""One worker runs what shares a module's fixtures: pytest and xdist have lost that between two releases before."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = "tests/unit/test_checks_a.py"


def test_a_modules_tests_run_on_one_worker() -> None:
    distributed = ["--numprocesses", "2", "--dist", "loadgroup", "--no-loadscope-reorder"]
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *distributed, MODULE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    workers = [line.split()[0] for line in done.stdout.splitlines() if f"{MODULE}::" in line and "PASSED" in line]
    assert len(workers) > 10
    assert len(set(workers)) == 1
