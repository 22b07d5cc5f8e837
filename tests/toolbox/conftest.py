"""The toolboxes start the command line of this checkout."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RS_GEN_COMMAND", f'"{sys.executable}" -m rs_gen.cli.main')
