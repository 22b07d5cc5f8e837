"""Which files in a folder are images, found fast and without opening any.

Listing is by name alone (``os.scandir``), so 100,000 chips take a fraction of a second.
Sidecars (``.xml``, ``.aux.xml``, ``.ovr``, ``.msk``, world files, ``.json``, ...) are never images.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath

from ..errors import LayoutError

IMAGES = frozenset(
    ("tif", "tiff", "jpg", "jpeg", "png", "bmp", "webp", "jp2", "j2k", "vrt", "img", "mrf")
)  # extensions, lower case; everything else beside chips is a sidecar


def is_image(name: str) -> bool:
    """True where a file name ends as an image does; hidden files are not images."""
    stem, _, end = name.rpartition(".")
    return end.lower() in IMAGES and stem[:1] not in ("", ".")


def list_images(folder: str | Path, *, deep: bool = True) -> list[str]:
    """Names of the images below ``folder``, relative to it with ``/``, sorted.

    Args:
        folder: An existing folder.
        deep: Also look into its subfolders, as other loaders do. Hidden ones are left out.
    """
    return sorted(_walk(os.fspath(folder), "", deep))


def list_folders(folder: str | Path) -> list[str]:
    """Names of the folders directly inside ``folder``, sorted, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir())


def stem_of(name: str) -> str:
    """``name`` without its extension; the folders in it stay.

    >>> stem_of("north/0012.aerial.tif")
    'north/0012.aerial'
    """
    return name.rpartition(".")[0]


def existing_folder(path: str | Path) -> Path:
    """``path`` as a folder that is there.

    Raises:
        LayoutError: It is missing, or a file. A path that looks like Windows' and lost its
            backslashes gets the hint to write it as a raw string.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise LayoutError(f"{folder} is a file; give the folder that holds the chips")
    raise LayoutError(f"there is no folder {str(path)!r}{_windows_hint(str(path))}")


def join(folder: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """``names`` as paths inside ``folder``, in their order."""
    return tuple(folder / name for name in names)


def some(names: Iterable[str], limit: int = 10) -> str:
    """Up to ``limit`` names and how many more there are, for a message.

    >>> some(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    listed = list(names)
    shown = ", ".join(listed[:limit])
    return f"{shown} and {len(listed) - limit} more" if len(listed) > limit else shown


def _walk(folder: str, prefix: str, deep: bool) -> Iterator[str]:
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if is_image(name) and not entry.is_dir():
                yield prefix + name
            elif deep and not name.startswith(".") and entry.is_dir():
                folders.append((entry.path, prefix + name + "/"))
    for path, inside in folders:
        yield from _walk(path, inside, deep)


def _windows_hint(path: str) -> str:
    control = any(character in path for character in "\a\b\f\n\r\t\v\0")
    if control or PureWindowsPath(path).drive:
        return (
            "; a backslash in a Python string starts an escape, so write Windows paths as raw"
            r" strings: r'C:\data\chips'"
        )
    return ""
