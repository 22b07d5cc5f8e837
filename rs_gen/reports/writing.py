"""A report as a JSON file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..raster.files import whole_or_not


def write_report(report: dict[str, Any], path: str | Path | None) -> dict[str, Any]:
    """The report itself, written to ``path`` as well if there is one.

    What is no finite number comes as text, such as "nan" for a nodata value: JSON has no NaN.
    """
    report = _finite(report)
    if path is not None:
        with whole_or_not(path) as part:
            part.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")
    return report


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(held) for held in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
