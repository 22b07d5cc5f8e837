"""Games by name: how a card, a command line or a test asks for one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import torch

from ..errors import SettingError, UnknownNameError
from .base import Game

_G = TypeVar("_G", bound=type[Game])
_games: dict[str, type[Game]] = {}

# Games of this package, and the modules that register them when first asked for.
_HOMES = {
    name: name
    for name in (
        "pix2pix",
        "cyclegan",
        "f2gan",
        "matchinggan",
        "dagan",
        "gmn",
        "figr",
        "dawson",
        "regularized_gan",
    )
}


def register(name: str) -> Callable[[_G], _G]:
    """Class decorator: ``@register("pix2pix")``.

    Raises:
        SettingError: Another game has that name.
    """

    def add(cls: _G) -> _G:
        taken = _games.get(name)
        if taken is not None and taken.__qualname__ != cls.__qualname__:
            raise SettingError(f"{name!r} already names {taken.__qualname__}")
        _games[name] = cls
        cls.name = name
        return cls

    return add


def list_games() -> list[str]:
    """The names that ``create_game`` knows, sorted."""
    return sorted({*_HOMES, *_games})


def game_class(name: str) -> type[Game]:
    """The class of a game.

    Raises:
        UnknownNameError: No game has that name.
    """
    if name in _HOMES and name not in _games:
        import_module(f".{_HOMES[name]}", __package__)
    try:
        return _games[name]
    except KeyError:
        raise UnknownNameError("model", name, list_games()) from None


def create_game(name: str, **settings: Any) -> Game:
    """Build a game by name, its weights channels_last. ``list_games()`` tells the names.

    Raises:
        UnknownNameError: No game has that name.
        SettingError: The game has no such setting, or a setting can't work.
    """
    cls = game_class(name)
    known = list(inspect.signature(cls).parameters)
    for setting in settings:
        if setting not in known:
            raise SettingError(f"{name} has no setting {setting!r}; there are {', '.join(known)}")
    try:
        inspect.signature(cls).bind(**settings)
    except TypeError as error:
        raise SettingError(f"{name}: {error}") from None
    # Convolutions are as fast so or faster, on a CPU too. Here, where every game begins, or a saved
    # one would round unlike the one that was saved.
    return cls(**settings).to(memory_format=torch.channels_last)
