from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import rs_gen
from rs_gen import errors, tools
from scripts.docstrings import inline, markdown
from scripts.reference import OUT, ROOT, reference, signature

PAGES = reference()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_committed_reference_is_what_the_docstrings_say(name):
    assert (OUT / name).read_text(encoding="utf-8") == PAGES[name], "run make docs"


def test_no_page_is_left_over():
    assert {path.name for path in OUT.glob("*.md")} == set(PAGES)


def test_every_public_name_is_in_the_reference():
    headings = {line.strip("# ") for text in PAGES.values() for line in text.split("\n")
                if line.startswith("### ")}  # fmt: skip
    assert set(rs_gen.__all__) - {"__version__"} <= headings
    known = {name for name in vars(errors) if name.endswith(("Error", "Warning"))}
    assert known <= headings


def test_every_tool_and_each_of_its_parameters_is_in_the_reference():
    text = PAGES["tools.md"]
    for name, tool in tools.TOOLS.items():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for parameter in tools.parameters(tool):
            assert parameter.input.help in section


def test_writing_the_reference_imports_no_torch():
    code = "import sys; from scripts.reference import reference; reference(); " \
           "sys.exit('torch' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_docstring_becomes_markdown():
    text = """The ``size`` of a :class:`~rs_gen.raster.grid.Grid`.

    Two lines
    of one paragraph.

    Args:
        window: A place, that
            goes on.
        *rest: More: all of it.

    Raises:
        SettingError: It can't work.

    Returns:
        A number.
    """
    assert list(markdown(text)) == [
        "The `size` of a `Grid`.",
        "",
        "Two lines of one paragraph.",
        "",
        "**Args**",
        "",
        "- `window`: A place, that goes on.",
        "- `*rest`: More: all of it.",
        "",
        "**Raises**",
        "",
        "- `SettingError`: It can't work.",
        "",
        "**Returns**",
        "",
        "A number.",
    ]
    assert (
        inline("see :func:`rs_gen.data.show.grid_figure`") == "see `rs_gen.data.show.grid_figure`"
    )


def test_a_signature_is_python_on_one_line_or_a_line_a_parameter():
    short = ast.parse("def f(a, /, b: int = 1, *, c='x', **d) -> int: return 1").body[0]
    assert signature(short) == ['def f(a, b: int = 1, *, c="x", **d) -> int: ...']
    many = ", ".join(f"argument_{i}: int = {i}" for i in range(6))
    long = ast.parse(f"def f(self, {many}): pass").body[0]
    lines = signature(long, bound=True)
    assert lines[0] == "def f("
    assert lines[1] == "    argument_0: int = 0,"
    assert lines[-1] == "): ..."
    ast.parse("\n".join(lines))
