"""Run the notebooks of docs/tutorials and keep their outputs, fit to be read on the web.

``python scripts/tutorials.py [NAME ...]``. A notebook runs in a temporary folder, so what it prints
holds relative paths only; warnings, widgets (which need a running notebook) and times are left out,
and pictures become small.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

TUTORIALS = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
SWITCH = "RS_GEN_TUTORIAL"  # the environment variable by which a notebook knows that it is tested
_COLOURS = 256
_WIDGET = "application/vnd.jupyter.widget-view+json"


def main(names: Sequence[str]) -> int:
    for path in [TUTORIALS / name for name in names] or sorted(TUTORIALS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = cleaned(run(path, Path(folder)))
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


def run(
    path: Path, folder: Path, *, quick: bool = False, more: str = "", timeout: int = 1800
) -> NotebookNode:
    """A notebook with the outputs of a run.

    Args:
        path: The notebook; it is not changed.
        folder: Where it runs.
        quick: At the small size that tests use.
        more: Code to run after its last cell.
        timeout: Seconds that a cell may take.
    """
    notebook = nbformat.read(path, as_version=4)
    if more:
        notebook.cells.append(nbformat.v4.new_code_cell(more))
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != SWITCH}
    if quick:
        environment[SWITCH] = "quick"
    client.execute(env=environment)
    return notebook


def cleaned(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what changes from run to run or belongs to the machine."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [_small(output) for output in cell.outputs if _lasting(output)]
    return notebook


def _lasting(output: NotebookNode) -> bool:
    if output.output_type == "stream":
        return output.name == "stdout"
    return _WIDGET not in output.get("data", {})


def _small(output: NotebookNode) -> NotebookNode:
    """Pictures with a palette; a figure's "<Figure size ...>" says nothing beside its picture."""
    data = output.get("data", {})
    if "image/png" in data:
        data.pop("text/plain", None)
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
        held = io.BytesIO()
        picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(held, "PNG", optimize=True)
        data["image/png"] = base64.b64encode(held.getvalue()).decode()
        output.metadata = {}
    return output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
