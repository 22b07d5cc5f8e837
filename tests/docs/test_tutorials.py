from __future__ import annotations

import base64
import io
import json
import re

import nbformat
import numpy as np
import pytest
from PIL import Image

from scripts.tutorials import TUTORIALS, cleaned, run

NAMES = sorted(path.name for path in TUTORIALS.glob("*.ipynb"))
LARGEST = 1.5e6  # bytes of a committed notebook
#: A tile in the middle of the translated raster, as the map asks the server for it.
TILE = """
import json
import math
from urllib.request import urlopen

latitude, longitude = after.center()
zoom = after.default_zoom
x = int((longitude + 180) / 360 * 2**zoom)
y = int((1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * 2**zoom)
Path("tile.png").write_bytes(bytes(after.tile(zoom, x, y)))
address = after.get_tile_url(indexes=[1, 2, 3]).format(z=zoom, x=x, y=y)
Path("served.png").write_bytes(urlopen(address, timeout=30).read())
Path("map.json").write_text(json.dumps({"controls": [type(c).__name__ for c in swipe.controls],
                                        "layers": [layer.url for layer in swipe.layers]}))
"""


def pictures(notebook: nbformat.NotebookNode) -> list[Image.Image]:
    found = [
        output.data["image/png"]
        for cell in notebook.cells if cell.cell_type == "code"
        for output in cell.outputs if "image/png" in output.get("data", {})
    ]  # fmt: skip
    return [Image.open(io.BytesIO(base64.b64decode(png))) for png in found]


def test_there_is_a_tutorial():
    assert "satellite_to_map.ipynb" in NAMES


@pytest.mark.slow  # draws, trains and translates: about a minute
def test_the_tutorial_runs_from_the_first_cell_to_a_map_that_serves_tiles(tmp_path):
    notebook = run(TUTORIALS / "satellite_to_map.ipynb", tmp_path, quick=True, more=TILE)
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert len(pictures(notebook)) >= 6
    assert all(np.asarray(picture.convert("L")).std() > 1 for picture in pictures(notebook))

    for name in ("tile.png", "served.png"):
        tile = np.asarray(Image.open(tmp_path / name).convert("RGBA"))
        assert tile.shape == (256, 256, 4)
        assert tile[..., 3].any(), f"{name} shows nothing"
    shown = json.loads((tmp_path / "map.json").read_text())
    assert "SplitMapControl" in shown["controls"]
    assert not [url for url in shown["layers"] if url.startswith("http")]  # works offline

    made = tmp_path / "satellite_to_map"
    assert (made / "unseen" / "translated.tif").exists()
    assert (made / "models" / "map_style.dlpk").exists()
    assert nothing_of_this_machine(cleaned(notebook)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_tutorial_has_run_whole_and_in_order(name):
    notebook = nbformat.read(TUTORIALS / name, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert len(pictures(notebook)) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_tutorial_holds_no_error_warning_or_path_of_a_machine(name):
    assert nothing_of_this_machine(nbformat.read(TUTORIALS / name, as_version=4)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_tutorial_is_small(name):
    assert (TUTORIALS / name).stat().st_size < LARGEST


def test_cleaning_drops_warnings_and_widgets_and_keeps_what_was_printed():
    cell = nbformat.v4.new_code_cell("1", execution_count=1, outputs=[
        nbformat.v4.new_output("stream", name="stderr", text="/home/me/x.py:1: FutureWarning"),
        nbformat.v4.new_output("stream", name="stdout", text="kept"),
        nbformat.v4.new_output("display_data", data={
            "application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Map()"}),
    ])  # fmt: skip
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert nothing_of_this_machine(notebook) != []
    (left,) = cleaned(notebook).cells
    assert [output.text for output in left.outputs] == ["kept"]
    assert not left.metadata


def nothing_of_this_machine(notebook: nbformat.NotebookNode) -> list[str]:
    """What in a notebook's outputs is an error, or belongs to the machine it ran on."""
    faults = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = json.dumps({k: v for k, v in output.items() if k != "data"})
            text += json.dumps(
                {k: v for k, v in output.get("data", {}).items() if k[:5] != "image"}
            )
            if output.output_type == "error" or output.get("name") == "stderr":
                faults.append(f"{cell.id}: {output.output_type}")
            faults += re.findall(
                r"(?:/(?:home|root|tmp|work|Users|usr|opt)/|[A-Z]:\\\\)[^\"\s]*", text
            )
            faults += re.findall(r" at 0x[0-9a-f]+", text)
    return faults
