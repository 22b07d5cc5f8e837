"""Make docs/pictures/qgis.png from what ``make demo`` left: python -m scripts.qgis_picture [DEMO].

Needs QGIS and Xvfb (on Debian: apt-get install qgis python3-qgis xvfb xauth).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from rasterio.windows import Window

from rs_gen.raster.grid import Grid
from rs_gen.raster.reader import RasterReader
from rs_gen.raster.writer import geotiff
from scripts.qgis_host import Qgis
from scripts.qgis_plugin import ROOT

OUT = ROOT / "docs" / "pictures" / "qgis.png"
PLACE = Window(1000, 1000, 720, 620)  # of the demo's raster, in pixels
COLOURS = 192  # of the picture, which keeps it small


def main(demo: Path) -> None:
    """Take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = cut(demo / "test" / "satellite.tif", folder / "satellite.tif")
        shot = folder / "shot.png"
        Qgis(folder / "qgis").picture(
            demo / "satellite_to_map", scene, shot, {"TRUST": ["disagreement"]}
        )
        Image.open(shot).convert("RGB").quantize(COLOURS).save(OUT, optimize=True)
    print(OUT)


def cut(path: Path, out: Path) -> Path:
    """A piece of the demo's satellite picture."""
    with RasterReader(path) as reader:
        grid: Grid = reader.grid.crop(PLACE)
        with geotiff(out, grid, count=reader.count, dtype=reader.dtype, nodata=reader.nodata,
                     names=reader.names) as writer:  # fmt: skip
            writer.write(reader.read(PLACE))
    return out


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo")
