"""The small scenes kept in the repository: ``python -m sample_data.committed`` draws them anew.

A test compares them with what the generator draws. After a change that is meant to be seen, run
this and look at the pictures before committing them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sample_data.make import write_scene

FOLDER = Path(__file__).parent / "scenes"
SCENES: dict[str, dict[str, Any]] = {
    "river": {"size": 256, "seed": 1, "resolution": 2.0, "origin": (500640.0, 5400064.0)},
    "suburb": {"size": 256, "seed": 2, "origin": (501600.0, 5398500.0), "wedge": 0.06},
}


def write(folder: Path = FOLDER) -> None:
    """Draw all of ``SCENES`` into folders of their names."""
    for name, scene in SCENES.items():
        write_scene(folder / name, **scene)


if __name__ == "__main__":
    write()
