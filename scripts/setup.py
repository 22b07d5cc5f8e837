"""Make .venv and install rs_gen into it, once. Standard library only.

``make setup``, ``make demo`` and ``make test`` call this; on Windows call it by hand:
``python scripts/setup.py``. A stamp keyed by what was installed makes the next call instant.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / ".rs_gen-installed"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
MINIMUM = (3, 11)


def main() -> int:
    wanted = fingerprint()
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return 0
    try:
        if not PYTHON.exists():
            interpreter = find_interpreter()
            print(f"Making {VENV.name} with {interpreter} ...", flush=True)
            subprocess.run([interpreter, "-m", "venv", str(VENV)], check=True)
        print("Installing rs_gen and what it needs (torch is large; minutes the first time) ...")
        sys.stdout.flush()
        pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        # torch first and by itself: its pinned pair decides which torchvision may follow.
        constraints = ["-c", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, *constraints, "torch", "torchvision"], check=True)
        subprocess.run([*pip, *constraints, "-e", f"{ROOT}[notebook,dev]"], check=True)
    except (subprocess.CalledProcessError, RuntimeError) as error:
        print(f"Set-up failed: {error}", file=sys.stderr)
        return 1
    STAMP.write_text(wanted)
    return 0


def fingerprint() -> str:
    """Changes whenever another set of packages is asked for."""
    held = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt", "scripts/setup.py"):
        held.update((ROOT / name).read_bytes())
    return held.hexdigest()


def find_interpreter() -> str:
    """A Python that is new enough and can make virtual environments."""
    names = [sys.executable, "python3.11", "python3.12", "python3.13", "python3", "python"]
    test = f"import sys, ensurepip, venv; sys.exit(sys.version_info < {MINIMUM})"
    for name in names:
        path = shutil.which(name)
        if path and subprocess.run([path, "-c", test], capture_output=True).returncode == 0:
            return path
    raise RuntimeError(
        "no Python >= 3.11 that can make virtual environments was found; install one "
        "(on Debian and Ubuntu also: apt-get install python3-venv)"
    )


if __name__ == "__main__":
    sys.exit(main())
