"""A seeded generator of a georeferenced world to train on: any place, any size, perfect pairs.

``World(seed).draw(bounds)`` gives pictures of one place in several looks, ``World(seed).vectors``
what lies there, and ``write_scene`` writes GeoTIFFs of any size window by window. On the command
line: ``python -m sample_data.make OUT --size 4096 --seed 1``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["World", "write_scene"]


def __getattr__(name: str) -> Any:  # the command line runs make as a module: import it late
    if name == "World":
        from sample_data.world import World

        return World
    if name == "write_scene":
        from sample_data.make import write_scene

        return write_scene
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
