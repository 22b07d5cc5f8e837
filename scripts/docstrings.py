"""Google-style docstrings as Markdown. Standard library only."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

ENTRIES = ("Args", "Attributes", "Raises", "Warns")  # sections that list "name: what it is"
SECTIONS = (*ENTRIES, "Returns", "Yields", "Source")


def markdown(docstring: str) -> Iterator[str]:
    """A Google-style docstring as Markdown, a line a paragraph."""
    first = True
    for head, block in _blocks(inspect.cleandoc(docstring)):
        if not first:
            yield ""
        first = False
        if head:
            yield from (f"**{head}**", "")
        if block[0].startswith((">>> ", "====")):
            yield from ("```pycon" if block[0].startswith(">") else "```text", *block, "```")
        elif head in ENTRIES:
            yield from _entries(block)
        else:
            yield inline(" ".join(line.strip() for line in block))


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """(section, lines) of each paragraph; the section is named once, with its first one."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = paragraph.split("\n")
        head = lines[0].removesuffix(":") if lines[0].endswith(":") else ""
        head = head if head in SECTIONS and len(lines) > 1 else ""
        yield head, lines[1:] if head else lines


def _entries(block: list[str]) -> Iterator[str]:
    """``name: text`` with deeper lines that go on, as a list."""
    deep = len(block[0]) - len(block[0].lstrip())
    joined: list[str] = []
    for line in block:
        if len(line) - len(line.lstrip()) > deep and joined:
            joined[-1] += " " + line.strip()
        else:
            joined.append(line.strip())
    for entry in joined:
        name, colon, text = entry.partition(": ")
        yield f"- `{name}`: {inline(text)}" if colon else f"- {inline(entry)}"


def inline(text: str) -> str:
    """Double backticks and Sphinx roles as Markdown code."""
    text = re.sub(r":\w+:`~(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    text = re.sub(r":\w+:`([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")
