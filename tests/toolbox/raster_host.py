"""A stand-in for the part of ArcGIS Pro that runs Python raster functions, stricter than Pro.

It unpacks a ``.dlpk``, loads the function that its definition names, and asks for the output block
by block, each read with the padding that the function wants: pixels outside of the raster come as
a fill value with a mask of 0.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

PIXELS = {"t1", "t2", "t4", "i1", "i2", "i4", "u1", "u2", "u4", "f4", "f8"}
KINDS = {"numeric", "string", "raster", "rasters", "boolean"}
ASKED = {"name", "dataType", "value", "required", "displayName", "domain", "description"}
CONFIGURED = {
    "extractBands", "compositeRasters", "inheritProperties", "invalidateProperties", "padding",
    "inputMask", "resampling", "resamplingType", "samplingFactor", "supportsBandSelection",
    "keyMetadata", "tx", "ty", "fixedTileSize", "batch_size", "dataRange",
}  # fmt: skip
INFO = {
    "bandCount", "pixelType", "noData", "cellSize", "nativeExtent", "nativeSpatialReference",
    "geodataXform", "extent", "spatialReference", "colormap", "rasterAttributeTable",
    "levelOfDetails", "origin", "bandSelection", "histogram", "statistics", "resampling",
    "resamplingType", "maximumCellSize", "dimensions",
}  # fmt: skip
OUTSIDE = 77  # what the host puts where there is no raster


class RasterHost:
    """One model on one raster.

    Args:
        model: ``.dlpk``, or ``.emd``.
        raster: GeoTIFF.
        folder: To unpack into.
        part: Window of the raster that is made, as an extent environment asks for.
        pixel_type: That the person wants, instead of the function's.
        arguments: Of the tool.
    """

    def __init__(
        self, model: Path, raster: Path, folder: Path, *, part: Window | None = None,
        pixel_type: str | None = None, **arguments: Any,
    ):  # fmt: skip
        if model.suffix == ".dlpk":
            with zipfile.ZipFile(model) as held:
                held.extractall(folder)
            (model,) = folder.glob("*.emd")
        self.dataset = rasterio.open(raster)
        self.part = part or Window(0, 0, self.dataset.width, self.dataset.height)
        self.function = self._loaded(model)
        assert self.function.isLicensed(productName="Desktop", version="3.3")["okToRun"]
        self.function.initialize(model=str(model), device=-1)
        self._check_asked(arguments)
        self.config = self.function.getConfiguration(**arguments)
        assert set(self.config) <= CONFIGURED
        self.bands = [int(b) for b in self.config["extractBands"]]
        told = {"raster_info": self._info(Window(0, 0, self.dataset.width, self.dataset.height)),
                "output_info": self._info(self.part), **arguments}  # fmt: skip
        self.info = self.function.updateRasterInfo(**told)["output_info"]
        assert set(self.info) <= INFO
        assert self.info["pixelType"] in PIXELS
        self.info["pixelType"] = pixel_type or self.info["pixelType"]
        assert self.function.updateKeyMetadata((), -1)["datatype"] == "Processed"

    def run(self, blocks: Iterable[Window]) -> tuple[np.ndarray, np.ndarray]:
        """(C, H, W) pixels and mask of the output, put together from blocks."""
        height, width = int(self.part.height), int(self.part.width)
        shape = (self.info["bandCount"], height, width)
        pixels, mask = np.zeros(shape, self.info["pixelType"]), np.full(shape, 2, "u1")
        for block in blocks:
            at = (slice(None), *block.toslices())
            pixels[at], mask[at] = self._block(block)
        assert (mask < 2).all(), "a block is missing"
        return pixels, mask

    def _block(self, block: Window) -> tuple[np.ndarray, np.ndarray]:
        rows, cols, bands = int(block.height), int(block.width), self.info["bandCount"]
        shape = (rows, cols) if bands == 1 else (bands, rows, cols)
        given = self._read(block, self.config["padding"])
        made = self.function.updatePixels(
            (float(block.col_off), float(block.row_off)), shape, self._props(), **given
        )
        assert set(made) <= {"output_pixels", "output_mask", *given}
        assert made["output_pixels"].shape == made["output_mask"].shape == shape
        assert made["output_pixels"].dtype == np.dtype(self.info["pixelType"])
        assert made["output_mask"].dtype == np.uint8
        return (made[name].reshape(bands, rows, cols) for name in ("output_pixels", "output_mask"))

    def _read(self, block: Window, padding: int) -> dict[str, np.ndarray]:
        """A block with its padding; what is not the raster is masked."""
        top = int(self.part.row_off + block.row_off) - padding
        left = int(self.part.col_off + block.col_off) - padding
        size = int(block.height) + 2 * padding, int(block.width) + 2 * padding
        pixels = np.full((len(self.bands), *size), OUTSIDE, self.dataset.dtypes[0])
        mask = np.zeros(pixels.shape, "u1")
        rows = max(top, 0), min(top + size[0], self.dataset.height)
        cols = max(left, 0), min(left + size[1], self.dataset.width)
        held = self.dataset.read([b + 1 for b in self.bands], window=(rows, cols), masked=True)
        at = (slice(None), slice(rows[0] - top, rows[1] - top),
              slice(cols[0] - left, cols[1] - left))  # fmt: skip
        pixels[at], mask[at] = held.filled(OUTSIDE), ~np.ma.getmaskarray(held)
        if len(self.bands) == 1:
            pixels, mask = pixels[0], mask[0]
        return {"raster_pixels": pixels, "raster_mask": mask}

    def _info(self, window: Window) -> dict[str, Any]:
        left, bottom, right, top = self.dataset.window_bounds(window)
        return {
            "bandCount": self.dataset.count,
            "pixelType": np.dtype(self.dataset.dtypes[0]).str[1:], "noData": None,
            "cellSize": self.dataset.res, "extent": (left, bottom, right, top),
            "spatialReference": self.dataset.crs.to_epsg(), "statistics": (), "histogram": (),
        }  # fmt: skip

    def _props(self) -> dict[str, Any]:
        held = self._info(self.part)
        names = ("extent", "cellSize", "spatialReference")
        return {**{name: held[name] for name in names}, "pixelType": self.info["pixelType"],
                "width": int(self.part.width), "height": int(self.part.height),
                "noData": self.info.get("noData")}  # fmt: skip

    def _loaded(self, model: Path) -> Any:
        """The class in the file that the definition names; it is called as the file."""
        file = model.parent / json.loads(model.read_text())["InferenceFunction"]
        spec = importlib.util.spec_from_file_location(f"hosted_{id(self)}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, file.stem)()

    def _check_asked(self, arguments: dict[str, Any]) -> None:
        asked = self.function.getParameterInfo()
        names = [p["name"] for p in asked]
        assert names[:2] == ["raster", "model"]
        for p in asked:
            assert set(p) <= ASKED
            assert {"name", "dataType", "required", "displayName"} <= set(p)
            assert p["dataType"] in KINDS
            assert "domain" not in p or p["value"] in p["domain"]
        assert set(arguments) <= set(names), "the tool has no such argument"


def in_blocks(part: Window, height: int, width: int) -> Iterator[Window]:
    """Blocks of one size, smaller ones at the end."""
    for row in range(0, int(part.height), height):
        for col in range(0, int(part.width), width):
            yield Window(col, row, min(width, int(part.width) - col),
                         min(height, int(part.height) - row))  # fmt: skip
