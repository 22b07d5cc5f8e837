"""The house stands: imports go down, and each room knows only the third parties lent to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "rs_gen"

FLOORS = [
    {"errors"},
    {"raster", "losses", "networks", "metrics"},
    {"chips", "games"},
    {"data", "translate"},
    {"training"},
    {"models", "reports"},
    {"parameters"},
    {"tools"},
    {"listing"},
    {"cli"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
# metrics reads features with the networks' encoder; the two share a floor.
NEIGHBOURS = {("metrics", "networks")}

LENT = {  # third parties, and the only rooms that may know them when they are imported
    "fastai": {"data", "training"},
    "rasterio": {"raster", "translate", "chips", "reports", "models"},
    "geopandas": {"raster", "chips"},
    "shapely": {"raster", "chips"},
    "torch": {"losses", "networks", "metrics", "games", "data", "training", "translate", "models",
              "reports"},
    "torchmetrics": {"metrics"},
    "safetensors": {"games", "training", "networks"},
    "matplotlib": {"data", "training", "models"},
    "torchvision": set(),
    "timm": set(),
    "onnx": set(),
    "onnxruntime": set(),
    "click": {"cli"},
    "distributed": {"translate"},
    "pyarrow": set(),
}  # fmt: skip

FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(path: Path) -> str:
    """The room a file lies in, or its own name on the ground floor."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[bool, str, bool]]:
    """(is it ours, top name, does it run when the module is imported) of every import."""
    depth = len(path.relative_to(ROOT).parts) - 1
    late = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda) or _is_type_checking(node):
            late |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield False, alias.name.split(".")[0], id(node) not in late
        elif isinstance(node, ast.ImportFrom):
            names = (node.module or "").split(".")
            if node.level > depth:
                for name in [names[0]] if names[0] else [a.name for a in node.names]:
                    yield True, name, id(node) not in late
            elif node.level == 0:
                yield (
                    names[0] == "rs_gen",
                    names[-1 if names[0] == "rs_gen" else 0],
                    (id(node) not in late),
                )


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path):
    here = room(path)
    for ours, name, runs in imports(path):
        if ours and name in FLOOR and name != here and (here, name) not in NEIGHBOURS:
            assert FLOOR[name] < FLOOR[here], f"{here} is not above {name}"
        elif not ours and runs and name in LENT:
            assert here in LENT[name], f"{here} should not need {name} when it is imported"


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} == set(FLOOR)


def test_only_the_databunch_and_the_loop_know_fastai():
    users = {
        str(path.relative_to(ROOT))
        for path in FILES
        for ours, name, _ in imports(path)
        if not ours and name == "fastai"
    }
    assert {user.split("/")[0] for user in users} <= {"data", "training"}


def test_only_the_cluster_knows_dask():
    users = {
        path.name
        for path in FILES
        for ours, name, _ in imports(path)
        if not ours and name in ("dask", "distributed")
    }
    assert users == {"engine_dask.py"}


def test_no_file_is_too_long_to_live_in():
    long = {
        str(p.relative_to(ROOT)): n
        for p in FILES
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long
