"""What the figures of a bench were taken on, and where they are kept."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Return what the figures were taken on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "command": f"python -m {_module()} {' '.join(sys.argv[1:])}".strip(),
        "commit": commit.stdout.strip(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _module() -> str:
    own = Path(sys.argv[0])
    return "benchmarks" if own.stem == "__main__" else f"benchmarks.{own.stem}"


def save(result: Mapping[str, Any], name: str = "line") -> Path:
    """Write figures to benchmarks/results/<time>-<name>.json and return the path."""
    RESULTS.mkdir(exist_ok=True)
    saved = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}.json"
    saved.write_text(json.dumps(result, indent=2) + "\n")
    return saved
