"""The ``rs-gen`` command, generated from ``tools.py``. No logic of its own.

Exit codes: 0 done; 1 an error that names its remedy, or a fault of ours with its traceback; 2 a
misspelt command line; 3 a job is over and some of it failed, the rest is there; 130 stopped by
Ctrl-C, SIGTERM, Ctrl-Break, a closed pipe, or the end of standard input where a host asked for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..errors import Cancelled, RSGenError
from ..tools import TOOLS, Parameter, parameters, summary
from .screen import JsonScreen, Made, Screen, TextScreen
from .stopping import listen


def main() -> None:
    """Run the command line."""
    listen()
    if "--json" not in sys.argv:
        cli()
    try:
        sys.exit(cli.main(prog_name="rs-gen", standalone_mode=False))
    except click.UsageError as error:
        name = error.ctx.info_name if error.ctx and error.ctx.parent else ""
        JsonScreen(name or "").misspelt(error.format_message())
        sys.exit(2)


def command(name: str, tool: Callable[..., Any]) -> click.Command:
    """A click command that runs a tool and says where the result is."""
    wanted = set(tool.__kwdefaults__ or {})

    def run(as_json: bool, **values: Any) -> None:
        screen: Screen = JsonScreen(name) if as_json else TextScreen(name)
        told: list[Made] = []
        hooks = {"progress": screen.progress, "tell": lambda *made: told.append(Made(*made))}

        def work() -> tuple[Any, list[Made]]:
            result = tool(**values, **{k: hook for k, hook in hooks.items() if k in wanted})
            return result, [*told, *_made(tool, values, result)]

        sys.exit(_guarded(screen, work))

    shown = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object a line.")
    return click.Command(
        name,
        callback=run,
        params=[*map(_click_parameter, parameters(tool)), shown],
        help=tool.__doc__,
        short_help=summary(tool),
        context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    )


def _made(tool: Callable[..., Any], values: Mapping[str, Any], result: Any) -> list[Made]:
    """What a tool wrote where a parameter asked for it, besides its result."""
    asked = [(p.name, values[p.name]) for p in parameters(tool) if p.input.kind.startswith("new ")]
    return [Made(n, path) for n, path in asked if path and path != result and path.exists()]


def _guarded(screen: Screen, work: Callable[[], tuple[Any, list[Made]]]) -> int:
    """Run a tool; show what came of it; the exit code."""
    try:
        with screen:
            screen.done(*work())
    except (KeyboardInterrupt, Cancelled):
        screen.cancelled()
        return 130
    except BrokenPipeError:  # whoever read us has gone: that counts as a wish to stop
        sys.stdout = None  # type: ignore[assignment]  # or Python complains while it shuts down
        return 130
    except RSGenError as error:
        screen.failed(error)
        return error.code
    except Exception as error:
        screen.crashed(error)
        raise
    return 0


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
