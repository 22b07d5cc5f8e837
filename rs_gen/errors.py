"""Every error that rs_gen raises on purpose, under one root.

Each child also inherits the builtin that a Python reader would expect, so ``except ValueError``
keeps working. A door (command line, ArcGIS, QGIS) catches ``RSGenError``, shows its text and lets
everything else be a traceback. A text says what was wrong, with the file and the value, and what
would be right.
"""

from __future__ import annotations

from collections.abc import Iterable


class RSGenError(Exception):
    """Root of every error that rs_gen raises on purpose.

    Attributes:
        code: What the command line exits with.
    """

    code = 1

    @property
    def remedy(self) -> str:
        """What would be right: what the text says behind its last semicolon, if it has one."""
        _, mark, last = str(self).rpartition("; ")
        return last if mark else ""


class RasterError(RSGenError, OSError):
    """A raster can't be read or written: missing, broken, or not georeferenced as needed."""


class GridMismatchError(RSGenError, ValueError):
    """Two rasters that must share a pixel grid, or at least overlap, do not."""


class ValueRangeError(RSGenError, ValueError):
    """A stretch, a nodata value or a dtype can't hold the values it is asked to hold."""


class AreaError(RSGenError, ValueError):
    """An area of interest is empty, has no CRS, or misses the raster."""


class LayoutError(RSGenError, ValueError):
    """A folder is not laid out as any known chip dataset."""


class PairError(RSGenError, ValueError):
    """Chips that must come in pairs do not."""


class ChipError(RSGenError, ValueError):
    """A chip is corrupt, or has the wrong size, band count or dtype."""


class SettingError(RSGenError, ValueError):
    """An option has a value that can't work."""


class TrainingError(RSGenError, RuntimeError):
    """Training can't go on, for example because a loss is not finite."""


class PackageError(RSGenError, OSError):
    """A saved model is missing, is something else, is unsafe, or is newer than this version."""


class TranslationError(RSGenError, RuntimeError):
    """A raster can't be translated with this model."""


class JobError(RSGenError, RuntimeError):
    """A job over many rasters can't start, or can't go on."""


class PartlyDoneError(JobError):
    """A job is over, and some of it failed; the rest is there."""

    code = 3


class DiskFullError(JobError, OSError):
    """There is no room for what a job has to write."""


class MissingPackageError(RSGenError, ImportError):
    """An optional Python package is needed for this and is not installed."""


class Cancelled(RSGenError):  # noqa: N818 - a wish, not a fault
    """The person at the door asked to stop."""


class UnknownNameError(RSGenError, KeyError):
    """A name is not one of those known."""

    def __init__(self, what: str, name: object, known: Iterable[str]):
        super().__init__(name)
        self.what, self.name, self.known = what, name, sorted(known)

    def __str__(self) -> str:
        return f"no {self.what} named {self.name!r}; there are {', '.join(self.known)}"


class RSGenWarning(UserWarning):
    """Root of every warning that rs_gen gives."""


class GridWarning(RSGenWarning):
    """A raster was warped, or its resolution differs from what was expected."""


class BandWarning(RSGenWarning):
    """A raster's bands or dtype are not quite those that a model was trained on."""


class DriftWarning(RSGenWarning):
    """A raster does not look like the chips that a model was trained on."""


class NodataWarning(RSGenWarning):
    """Nodata was met, or assumed, where it may surprise."""


class SplitWarning(RSGenWarning):
    """Chips can't be parted into training and validation as asked."""


class StretchWarning(RSGenWarning):
    """A band gives no range of values to stretch."""


class TrainingWarning(RSGenWarning):
    """Training shows a known illness: collapse, copying, colour inversion, a saturated player."""


class SeamWarning(RSGenWarning):
    """Tiles of a translated raster may show: its certificate fails, or a layer looks too far."""
