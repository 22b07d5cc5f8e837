"""A report as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..raster.files import whole_or_not


def write_report(report: dict[str, Any], path: str | Path | None) -> dict[str, Any]:
    """The report itself, written to ``path`` as well if there is one."""
    if path is not None:
        with whole_or_not(path) as part:
            part.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")
    return report
