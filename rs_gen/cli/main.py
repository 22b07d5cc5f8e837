"""The ``rs-gen`` command, generated from ``tools.py``. No logic of its own.

Exit codes: 0 done; 1 an error that names its remedy; 2 a misspelt command line; 3 a job is over and
some of it failed, the rest is there; 130 stopped by Ctrl-C, SIGTERM or a closed pipe. Anything else
is a fault of ours and shows a traceback.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..errors import Cancelled, RSGenError
from ..tools import TOOLS, Parameter, parameters, summary
from .screen import JsonScreen, Screen, TextScreen


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _stop)
    cli()


def command(name: str, tool: Callable[..., Any]) -> click.Command:
    """A click command that runs a tool and says where the result is."""
    takes_progress = "progress" in (tool.__kwdefaults__ or {})

    def run(as_json: bool, **values: Any) -> None:
        screen: Screen = JsonScreen(name) if as_json else TextScreen(name)
        hooks = {"progress": screen.progress} if takes_progress else {}
        sys.exit(_guarded(screen, lambda: tool(**values, **hooks)))

    shown = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object a line.")
    return click.Command(
        name,
        callback=run,
        params=[*map(_click_parameter, parameters(tool)), shown],
        help=tool.__doc__,
        short_help=summary(tool),
        context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    )


def _guarded(screen: Screen, work: Callable[[], Any]) -> int:
    """Run a tool; show what came of it; the exit code."""
    try:
        with screen:
            screen.done(work())
    except (KeyboardInterrupt, Cancelled):
        screen.cancelled()
        return 130
    except BrokenPipeError:  # whoever read us has gone: that counts as a wish to stop
        sys.stdout = None  # type: ignore[assignment]  # or Python complains while it shuts down
        return 130
    except RSGenError as error:
        screen.failed(error)
        return error.code
    return 0


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def _click_parameter(p: Parameter) -> click.Parameter:
    type_ = _click_type(p)
    if p.required:
        return click.Argument([p.name], type=type_, nargs=-1 if p.many else 1, required=True)
    flag = f"--{p.name.replace('_', '-')}"
    if p.type is bool:
        return click.Option([flag], is_flag=True, default=p.default, help=p.input.help)
    if p.many:
        return click.Option([flag], type=type_, multiple=True, help=p.input.help)
    return click.Option([flag], type=type_, default=p.default, help=p.input.help)


def _click_type(p: Parameter) -> click.ParamType:
    if p.type is Path:
        return click.Path(path_type=Path)
    if p.input.choices:
        return click.Choice(p.input.choices)
    if p.type in (int, float) and (p.input.low is not None or p.input.high is not None):
        kind = click.IntRange if p.type is int else click.FloatRange
        return kind(p.input.low, p.input.high)  # type: ignore[arg-type]
    return click.types.convert_type(p.type)


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(json.dumps({"rs_gen": __version__}) if "--json" in sys.argv else __version__)
        context.exit()


cli = click.Group(
    "rs-gen",
    help="Image translation and generation for rasters.\n\nEach command has its own --help.",
    commands={
        name.replace("_", "-"): command(name.replace("_", "-"), tool)
        for name, tool in TOOLS.items()
    },
    params=[
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True,
            callback=_print_version, help="Print the version and leave.",
        )
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


if __name__ == "__main__":
    main()
