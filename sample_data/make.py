"""Scenes on disk, drawn window by window: ``python -m sample_data.make OUT --size 4096``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from rs_gen.errors import RSGenError, SettingError
from rs_gen.raster.files import whole_or_not
from rs_gen.raster.grid import Grid
from rs_gen.raster.writer import geotiff
from sample_data import spectra
from sample_data.kinds import CLASSES, SEASONS
from sample_data.options import Options
from sample_data.world import LOOKS, World

ORIGIN = (499712.0, 5402624.0)  # metres; on the lattice of blocks for 0.5, 1, 2, 4 and 8 m
Progress = Callable[..., Iterable[Any]]


def quiet(items: Iterable[Any], total: int | None = None, label: str = "") -> Iterable[Any]:
    """A progress that shows nothing."""
    return items


def write_scene(
    folder: str | Path,
    size: int | tuple[int, int] = 1024,
    seed: int = 0,
    looks: Sequence[str] = tuple(LOOKS),
    *,
    resolution: float = 1.0,
    origin: tuple[float, float] = ORIGIN,
    crs: Any = "EPSG:32633",
    vectors: bool = True,
    wedge: float = 0.0,
    progress: Progress = quiet,
    **options: Any,
) -> dict[str, Path]:
    """Draw a scene of any size into a folder, in the memory of a few windows.

    Args:
        folder: Where satellite.tif, map.tif, sar.tif, classes.tif and vectors.gpkg will be.
        size: (rows, columns) in pixels, or one number for both.
        seed: Chooses the world.
        looks: Which pictures, see ``World.draw``.
        resolution: Side of a pixel in metres.
        origin: (x, y) of the upper left corner in metres.
        crs: Coordinate reference system, in metres.
        vectors: Write vectors.gpkg too, with layers areas, roads and buildings.
        wedge: Share of the scene, 0 to 0.9, that satellite and SAR did not measure: nodata beyond
            a slanted line at the eastern edge.
        progress: Wraps the windows, as ``progress(iterable, total=, label=)``.
        options: Fields of ``Options``: season, clouds, haze, noise, bands, sar_looks, ...

    Returns:
        look (and "vectors") to the file written.

    Raises:
        SettingError, UnknownNameError: An option can't work.
        RasterError: A file can't be written.
    """
    rows, cols = (size, size) if isinstance(size, int) else size
    if min(rows, cols) < 1:
        raise SettingError(f"size={size} holds no pixel")
    world = World(seed, crs)
    left, top = origin
    grid = world.grid((left, top - rows * resolution, left + cols * resolution, top), resolution)
    if wedge:
        options["wedge"] = _half_plane(grid, wedge)
    chosen, folder = Options(**options), Path(folder)
    paths = {look: folder / f"{look}.tif" for look in looks}
    tags = {"SEED": seed, "OPTIONS": json.dumps(_plain(chosen)), "SOFTWARE": "rs_gen sample_data"}
    with ExitStack() as stack:
        writers = {
            look: stack.enter_context(geotiff(path, grid, tags=tags, **_profile(look, chosen)))
            for look, path in paths.items()
        }
        windows = world.windows(grid)
        for window in progress(windows, total=len(windows), label="drawing"):
            drawn = world.draw(grid.crop(window), looks, **options)
            for look, picture in drawn.items():
                writers[look].write(picture, window)
    if vectors:
        paths["vectors"] = _write_vectors(folder / "vectors.gpkg", world, grid)
    return paths


def _profile(look: str, options: Options) -> dict[str, Any]:
    """How the file of a look is stored."""
    if look == "satellite":
        names = spectra.names(spectra.wavelengths(options.bands))
        return {"count": len(names), "dtype": "uint16", "nodata": 0, "names": names}
    if look == "map":
        return {"count": 3, "dtype": "uint8", "names": ("red", "green", "blue")}
    if look == "sar":
        names = options.polarisations
        return {"count": len(names), "dtype": "float32", "nodata": float("nan"), "names": names}
    colors = {value: colour for value, (_, colour) in CLASSES.items()}
    return {"count": 1, "dtype": "uint8", "nodata": 0, "names": ("class",), "colormap": colors}


def _plain(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}


def _half_plane(grid: Grid, share: float) -> tuple[float, float, float]:
    """(a, b, c) of a slanted line that leaves about ``share`` of the scene to its east."""
    if not 0 <= share <= 0.9:
        raise SettingError(f"wedge={share} is a share of the scene, from 0 to 0.9")
    left, bottom, right, top = grid.bounds
    a, b = 1.0, 0.23
    x, y = np.meshgrid(np.linspace(left, right, 200), np.linspace(bottom, top, 200))
    return a, b, float(np.quantile(a * x + b * y, 1 - share))


def _write_vectors(path: Path, world: World, grid: Grid) -> Path:
    """All features of a scene, a part of the land at a time."""
    started: set[str] = set()
    with whole_or_not(path) as part:
        for table in world.vector_parts(grid.bounds):
            for layer, some in table.groupby(_layer(table)):
                some.to_file(part, layer=layer, driver="GPKG", append=layer in started)
                started.add(layer)
    return path


def _layer(table: Any) -> np.ndarray:
    names = {"road": "roads", "building": "buildings"}
    return np.array([names.get(name, "areas") for name in table["class"]], object)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sample_data.make", description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--size", type=int, nargs="+", default=[1024], help="rows [columns], px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--looks", nargs="+", default=list(LOOKS), choices=list(LOOKS))
    parser.add_argument("--resolution", type=float, default=1.0, help="metres")
    parser.add_argument("--origin", type=float, nargs=2, default=ORIGIN, metavar=("X", "Y"))
    parser.add_argument("--crs", default="EPSG:32633")
    parser.add_argument("--season", choices=SEASONS, default="summer")
    parser.add_argument("--clouds", type=float, default=0.0, help="share of the sky, 0 to 1")
    parser.add_argument("--haze", type=float, default=0.0, help="0 to 1")
    parser.add_argument("--noise", type=float, default=1.0, help="of the sensor; 0 for none")
    parser.add_argument("--wedge", type=float, default=0.0, help="share that is nodata")
    parser.add_argument("--bands", type=int, default=4, help="of the satellite look")
    parser.add_argument("--sar-looks", type=float, default=4.0, help="fewer speckle more")
    parser.add_argument("--polarisations", nargs="+", default=["VV"])
    parser.add_argument("--no-vectors", dest="vectors", action="store_false")
    chosen = vars(parser.parse_args(arguments))
    size = tuple((chosen.pop("size") * 2)[:2])
    chosen["origin"] = tuple(chosen["origin"])
    try:
        written = write_scene(chosen.pop("out"), size, progress=_steps, **chosen)
    except RSGenError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in written.values()))
    return 0


def _steps(items: Iterable[Any], total: int | None = None, label: str = "") -> Iterator[Any]:
    """Progress as one line on the terminal, rewritten as it goes."""
    start = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        sys.stderr.write(f"\r{label} {done}/{total}, {time.monotonic() - start:.0f} s")
    sys.stderr.write("\n")


if __name__ == "__main__":
    sys.exit(main())
