"""Which rs-gen is run."""

from __future__ import annotations

import shutil

from qgis.core import QgsSettings

from . import runner

KEY = "rs_gen/command"
PAGE = "Settings, Options, rs_gen"


def command(given: str | None = None) -> list[str]:
    """What starts rs-gen: what the options page holds, or wherever ``runner`` finds it.

    Args:
        given: In place of what the page holds.

    Raises:
        RunFailedError: It is nowhere; the text says what to do.
    """
    text = (QgsSettings().value(KEY, "") if given is None else given).strip()
    if not text:
        try:
            return runner.find_command()
        except runner.RunFailedError as error:
            raise runner.RunFailedError(
                "rs-gen was not found. Install it in a Python environment of its own, then name "
                f"that environment's folder, or its rs-gen, under {PAGE}, and press Check"
            ) from error
    words = runner.parse_command(text)
    if shutil.which(words[0]) is None:
        raise runner.RunFailedError(f"{words[0]} is no program here; name rs-gen under {PAGE}")
    return words
