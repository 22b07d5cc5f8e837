from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from rs_gen.cli.main import cli

ROOT = Path(__file__).parents[2]
NOTATION = {"docs/design.md"}  # its blocks are contracts between rooms, not code to run
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
)  # fmt: skip


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, code) of every fenced block."""
    yield from re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.M | re.S)


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(text: str) -> set[str]:
    """Where a link into a page can point, as GitHub makes them from the headings."""
    heads = re.findall(r"^#+ (.*)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def commands(text: str) -> list[str]:
    """Every ``rs-gen`` command line in fenced blocks of a shell, or of no language."""
    found = []
    for language, code in blocks(text):
        if language in ("", "sh", "bash", "console", "shell", "bat", "powershell"):
            lines = re.sub(r"\\\n\s*", "", code).split("\n")
            found += [line.strip().removeprefix("$ ") for line in lines]
    return [line for line in found if re.match(r"(\S*[/\\])?rs-gen(\.exe)?( |$)", line)]


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_leads_somewhere(name):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text_of(name))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        inside = anchor and page.suffix == ".md" and page.exists()
        if not page.exists() or (inside and anchor not in anchors(page.read_text("utf-8"))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", PAGES)
def test_every_command_line_that_is_shown_is_understood(name):
    for line in commands(text_of(name)):
        assert understood(line) is None, line


@pytest.mark.parametrize("name", sorted(set(PAGES) - NOTATION))
def test_every_python_block_compiles(name):
    for language, code in blocks(text_of(name)):
        if language in ("python", "py"):
            ast.parse(code, name)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_title_and_ends_with_one_line_break(name):
    text = text_of(name)
    assert len(re.findall(r"^# ", prose(text), re.M)) == 1
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_index_of_the_docs_names_every_page():
    linked = set(re.findall(r"\]\(([^)#\s]+)", text_of("docs/index.md")))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= linked


def test_a_misspelt_command_would_be_noticed():
    text = "```sh\n$ rs-gen translate in.tif model \\\n    out.tif --tile-sise 512\n```\n"
    (line,) = commands(text)
    assert "tile-sise" in understood(line)
    assert understood("rs-gen translate in.tif model out.tif --tile-size 512") is None
    assert "Missing argument" in understood("rs-gen translate in.tif")
    assert "No such command" in understood("rs-gen transalte")


def understood(line: str) -> str | None:
    """What the command line has against a line, without running it."""
    words = shlex.split(line, comments=True)[1:]
    for sign in (">", "|", "&&"):
        words = words[: words.index(sign)] if sign in words else words
    try:
        with click.Context(cli, info_name="rs-gen") as group:
            name, command, rest = cli.resolve_command(group, words or ["--help"])
            command.make_context(name, list(rest), parent=group)
    except click.exceptions.Exit:  # --help and --version
        return None
    except click.UsageError as error:
        return None if words[:1] in ([], ["--help"], ["--version"]) else error.format_message()
    return None
