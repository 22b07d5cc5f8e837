"""rs_gen models in ArcGIS Pro's own deep learning tools: a Python raster function.

This file and the two ``rs_gen_*.py`` beside it are put into every saved model that they can run.
Pro calls it block by block, and needs for it nothing but numpy and torch >= 2.0.

Blocks of any size, in any order, give the raster that ``rs-gen translate --statistics model``
gives: the norms' statistics are those of the training chips, every block is asked for with the
reach of the network around it, and is computed on the phase of the raster.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from . import rs_gen_blocks, rs_gen_model

_DTYPES = {"uint8": "u1", "int8": "i1", "uint16": "u2", "int16": "i2", "uint32": "u4",
           "int32": "i4", "float32": "f4", "float64": "f8"}  # fmt: skip
Array = np.ndarray[Any, np.dtype[Any]]
Place = tuple[slice, slice]


def _beside(name: str) -> Any:
    """A module beside this file. Not by ``import``: another model may have brought another one."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"{__name__}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if not TYPE_CHECKING:
    rs_gen_blocks, rs_gen_model = _beside("rs_gen_blocks"), _beside("rs_gen_model")


class RSGenImageTranslation:
    """What ArcGIS calls: the name of the class is that of the file."""

    def __init__(self) -> None:
        self.name = "rs_gen Image Translation"
        self.description = "Translates a raster with a model of rs_gen, without seams."

    # ---- what Pro asks before the first block -----------------------------------------------

    def initialize(self, **kwargs: Any) -> None:
        """Read the model.

        Args:
            **kwargs: ``model``, an .emd or its text; ``device``: -2 chooses, -1 is the CPU, else
                the number of a GPU.
        """
        if "model" not in kwargs:
            return
        self.emd, folder = rs_gen_model.read_definition(str(kwargs["model"]))
        self.programs = self.emd["rs_gen"]["programs"]
        self.card = self.emd["rs_gen"]["card"]
        self.weights = rs_gen_model.read_weights(os.path.join(folder, self.emd["ModelFile"]))
        self.device = rs_gen_model.device_of(int(kwargs.get("device", -2)))
        self.batch_size, self.tile_size = 4, 512
        self.raster: rs_gen_blocks.Grid | None = None
        self._choose(next(iter(self.programs)))

    def getParameterInfo(self) -> list[dict[str, Any]]:
        """The arguments that the tool shows."""
        asked = [
            _asked("raster", "raster", None, "Raster", "Raster to translate."),
            _asked("model", "string", None, "Model Definition", "The .emd of the model."),
            _asked("device", "numeric", -2, "Device ID", "-2 chooses, -1 is the CPU, else a GPU."),
            _asked("batch_size", "numeric", 4, "Batch Size", "Tiles computed at once."),
            _asked("tile_size", "numeric", 512, "Tile Size", "Side of a tile in pixels; it changes "
                   "speed and memory, not the result."),
        ]  # fmt: skip
        if len(self.programs) > 1:
            way = _asked("direction", "string", "AtoB", "Direction", "Which way to translate.")
            asked.append({**way, "domain": tuple(self.programs)})
        return asked

    def getConfiguration(self, **scalars: Any) -> dict[str, Any]:
        """How blocks should be read, from the arguments that were chosen."""
        self.batch_size = max(1, int(scalars.get("batch_size") or self.batch_size))
        self.tile_size = max(1, int(scalars.get("tile_size") or self.tile_size))
        self._choose(str(scalars.get("direction") or self.direction))
        return {
            "extractBands": tuple(self._bands()),
            "padding": self.look.padding,
            "tx": self.look.tile,
            "ty": self.look.tile,
            "batch_size": self.batch_size,
            "inputMask": True,
            "compositeRasters": False,
            "inheritProperties": 4 | 8,
            "invalidateProperties": 2 | 4 | 8,
        }

    def updateRasterInfo(self, **kwargs: Any) -> dict[str, Any]:
        """What the output is like: the target of the model."""
        info, found = kwargs["output_info"], kwargs.get("raster_info", {})
        count, needed = len(self._bands()), max(self._bands()) + 1
        bands = int(found.get("bandCount") or count)  # of the raster, or those extracted from it
        if bands not in (count, needed) and bands < needed:
            raise ValueError(
                f"the raster has {bands} bands and the model needs {needed}; choose a raster with "
                "the bands that it was trained on"
            )
        self.raster = rs_gen_blocks.Grid.of(found)
        info["bandCount"] = int(self.target["count"])
        info["pixelType"] = _DTYPES.get(str(self.target.get("dtype")), "f4")
        if self.nodata is not None:
            info["noData"] = np.full(info["bandCount"], self.nodata, info["pixelType"])
        info["statistics"] = info["histogram"] = ()
        return kwargs

    def updateKeyMetadata(
        self, names: Sequence[str], bandIndex: int, **keyMetadata: Any
    ) -> dict[str, Any]:
        """What the output says of itself."""
        held = self.target.get("names") or []
        if bandIndex == -1:
            keyMetadata["datatype"] = "Processed"
        else:
            keyMetadata["wavelengthmin"] = keyMetadata["wavelengthmax"] = None
            keyMetadata["bandname"] = held[bandIndex] if bandIndex < len(held) else None
        return keyMetadata

    def isLicensed(self, **productInfo: Any) -> dict[str, bool]:
        """Nothing of it is licensed by Pro."""
        return {"okToRun": True}

    # ---- a block ----------------------------------------------------------------------------

    def updatePixels(
        self, tlc: Sequence[float], shape: Sequence[int], props: Mapping[str, Any],
        **pixelBlocks: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """The output of a block that came with its padding on every side.

        Args:
            tlc: (column, row) of its upper left pixel on the output raster.
            shape: (rows, columns) or (bands, rows, columns) of the output.
            props: Of the output raster.
            **pixelBlocks: ``raster_pixels`` and ``raster_mask``, with padding.
        """
        pixels = self._extracted(pixelBlocks["raster_pixels"])
        known = np.isfinite(pixels) if pixels.dtype.kind == "f" else np.ones(pixels.shape, bool)
        if pixelBlocks.get("raster_mask") is not None:
            known &= self._extracted(pixelBlocks["raster_mask"]).astype(bool)
        rows, cols = int(shape[-2]), int(shape[-1])
        if pixels.shape[1:] != (rows + 2 * self.look.padding, cols + 2 * self.look.padding):
            raise ValueError(
                f"the block is {pixels.shape[1:]}, without the padding of {self.look.padding} px "
                "that the model asks for; leave the tool's padding argument alone"
            )
        encoded = rs_gen_model.encode(pixels, self.source["stretch"], known)
        grid, origin = self._place(tlc, props, (rows, cols))
        every = np.logical_and.reduce(known)
        block = rs_gen_blocks.Block(encoded, every, origin, grid, self.look)
        fake = np.zeros((int(self.target["count"]), rows, cols), np.float32)
        for place, made in self._computed(block, rows, cols):
            fake[:, place[0], place[1]] = made
        stored, mask = self._stored(fake, block.inner(rows, cols), np.dtype(props["pixelType"]))
        return {"output_pixels": stored.reshape(tuple(shape)),
                "output_mask": mask.reshape(tuple(shape))}  # fmt: skip

    def _computed(
        self, block: rs_gen_blocks.Block, rows: int, cols: int
    ) -> Iterator[tuple[Place, Array]]:
        """Tiles of a block, in batches of like ones: where each belongs, and its pixels."""
        waiting: dict[tuple[int, ...], list[tuple[rs_gen_blocks.Tile, Array]]] = {}
        for tile in block.tiles(rows, cols):
            image = block.read(tile)
            batch = waiting.setdefault(image.shape, [])
            batch.append((tile, image))
            if len(batch) == self.batch_size:
                yield from self._run(waiting.pop(image.shape))
        for batch in waiting.values():
            yield from self._run(batch)

    def _run(
        self, batch: Sequence[tuple[rs_gen_blocks.Tile, Array]]
    ) -> Iterator[tuple[Place, Array]]:
        images = torch.from_numpy(np.stack([image for _, image in batch])).to(self.device)
        with torch.no_grad():
            fakes = rs_gen_model.run(self.steps, self.weights, images, self.direction)
        for (tile, _), fake in zip(batch, fakes.float().cpu().numpy(), strict=True):
            yield tile.place, fake[:, tile.keep[0], tile.keep[1]]

    def _stored(self, fake: Array, valid: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """Pixels and mask as the output holds them."""
        stored = rs_gen_model.decode(fake, self.target["stretch"], dtype, self.nodata)
        kept = self.nodata is not None and rs_gen_model.holds(dtype, self.nodata)
        stored[:, ~valid] = self.nodata if kept else 0
        return stored, np.broadcast_to(valid, stored.shape).astype("u1")

    # ---- what follows from the model and the arguments --------------------------------------

    def _choose(self, direction: str) -> None:
        if direction not in self.programs:
            raise ValueError(
                f"direction={direction!r} is not one of this model: {', '.join(self.programs)}"
            )
        program, reach = self.programs[direction], self.card["reach"][direction]
        self.direction, self.steps = direction, program["steps"]
        sides = self.card["source"], self.card["target"]
        self.source, self.target = sides if direction == "AtoB" else sides[::-1]
        nodata = self.target.get("nodata")
        self.nodata = None if nodata is None else float(nodata)
        phase = int(reach["phase"])
        halo = rs_gen_blocks.up(max(int(reach["left"]), int(reach["right"])), phase)
        tile = max(phase, round(self.tile_size / phase) * phase)
        self.look = rs_gen_blocks.Look(phase, halo, int(program["least"]), tile)
        rs_gen_model.check_norms(self.steps, self.weights, direction)

    def _bands(self) -> list[int]:
        """Which bands are read, counted from 0."""
        chosen = self.emd.get("ExtractBands") if self.direction == "AtoB" else None
        return [int(band) for band in chosen or range(int(self.source["count"]))]

    def _extracted(self, block: Any) -> Array:
        """(C, H, W) of the bands that the model reads, also where all came, or one axis less."""
        held = np.asarray(block)
        held = held if held.ndim == 3 else held[None]
        return held if len(held) in (1, int(self.source["count"])) else held[self._bands()]

    def _place(
        self, tlc: Sequence[float], props: Mapping[str, Any], shape: tuple[int, int]
    ) -> tuple[rs_gen_blocks.Grid, tuple[int, int]]:
        """The whole raster, and (row, col) of a block on it, also where Pro makes only a part."""
        row, col = round(float(tlc[1])), round(float(tlc[0]))
        output = rs_gen_blocks.Grid.of(props)
        if output is None:
            height = int(props.get("height", row + shape[0]))
            return rs_gen_blocks.Grid(height, int(props.get("width", col + shape[1]))), (row, col)
        if self.raster is None or not self.raster.alike(output):
            return output, (row, col)
        more = self.raster.offset(output)
        return self.raster, (row + more[0], col + more[1])


def _asked(name: str, kind: str, value: Any, label: str, text: str) -> dict[str, Any]:
    return {"name": name, "dataType": kind, "required": name in ("raster", "model"), "value": value,
            "displayName": label, "description": text}  # fmt: skip
