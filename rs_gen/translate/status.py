"""How far a job is. Nothing heavy is imported, so that one may ask often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import JobError
from .manifest import FOLDER, NAME, Block, Manifest

_LISTED = 10  # failures that a report lists


def status(out: str | Path) -> dict[str, Any]:
    """How far a job is; also while it runs.

    Args:
        out: Folder of its outputs, its folder within that, or the manifest itself.

    Raises:
        JobError: There is no job.
    """
    path = manifest_in(Path(out))
    if path is None:
        raise JobError(f"there is no job in {out}; begin one without --status")
    with Manifest(path) as manifest:
        rasters = Counter(source.state for source in manifest.sources())
        count = manifest.count()
        seconds = manifest.total("seconds")
        pixels = manifest.total("height * width", "done")
        failed = [
            {"source": source.path, "what": source.note} for source in manifest.sources("failed")
        ]
        for block in manifest.blocks("failed"):
            if len(failed) >= _LISTED:
                break
            if block.note:
                failed.append(_failure(manifest, block))
        left = count.get("pending", 0) + count.get("retry", 0)
        over = sum(count.values()) - left
        return {
            "kind": "job",
            "path": str(path),
            "rasters": {"all": sum(rasters.values()), **rasters},
            "blocks": {"all": sum(count.values()), **count},
            "share done": round(over / max(over + left, 1), 4),
            "megapixels done": round(pixels / 1e6, 3),
            "worker seconds": round(seconds, 3),
            "worker seconds left": round(seconds / over * left, 3) if over else None,
            "computed on": manifest.get("device"),
            "failed": failed,
        }


def finished(out: str | Path) -> list[Path]:
    """The rasters of a job that are whole, in its order."""
    path = manifest_in(Path(out))
    if path is None:
        return []
    with Manifest(path) as manifest:
        return [Path(source.out) for source in manifest.sources("assembled")]


def manifest_in(path: Path) -> Path | None:
    """The manifest of the job at a path, if there is one."""
    for candidate in (path, path / NAME, path / FOLDER / NAME):
        if candidate.name == NAME and candidate.is_file():
            return candidate
    return None


def _failure(manifest: Manifest, block: Block) -> Mapping[str, Any]:
    place = f"rows {block.row} to {block.row + block.height - 1}, " \
            f"columns {block.col} to {block.col + block.width - 1}"  # fmt: skip
    return {"source": manifest.source(block.source).path, "block": place, "what": block.note}
