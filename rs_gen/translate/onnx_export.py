"""A generator as an ONNX file: stored values in, stored values out, for people without rs_gen.

Everything is in the graph: the stretches, the frozen statistics of norms, the network. The metadata
are those that the QGIS plugin Deepness reads, which shows each output as a layer; so there is one
output for each band, unless they are asked for together.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import MissingPackageError, SettingError, TranslationError
from ..networks.blocks import smallest_side
from ..networks.digest import digest
from ..networks.norm import freeze, norm_layers
from ..networks.onnx_graph import IR_VERSION, OPSET, Graph, add_program
from ..networks.program import program_of
from ..raster.files import whole_or_not
from ..raster.pixels import is_integer, limits
from ..raster.values import Stretch
from .plan import halo_of
from .statistics import Statistics, recorded_kind, stored_statistics
from .translator import Translator

MOST = 1e-3  # of the range [-1, 1] that the file may differ from the network
_TILES = (256, 512, 1024, 2048, 4096)


class Tiles(NamedTuple):
    """How a program that cuts tiles should cut them.

    Attributes:
        size: Side in pixels.
        overlap: Percent of the side that neighbours share; half of it at each end is thrown away.
        exact: Whether that covers what the network looks at, on its phase.
    """

    size: int
    overlap: int
    exact: bool


def export_onnx(
    model: Translator,
    out: str | Path,
    *,
    raster: str | Path | None = None,
    joined: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a model's generator as ONNX, once it is known to give what torch gives.

    Args:
        model: One direction of a model.
        out: The file.
        raster: Whose sampled statistics the norms divide by; None: those of the training chips.
        joined: One output (B, C, H, W) instead of one (B, 1, H, W) for each band.
        overwrite: Replace an existing file.

    Returns:
        What was written and how far it is from torch, for a person.

    Raises:
        MissingPackageError: onnx or onnxruntime is not installed.
        TranslationError: The file is there, the model has no statistics, or ONNX gives other
            values than torch.
        SettingError: The network has a layer that can't be written down.
    """
    out = Path(out)
    if out.suffix.lower() != ".onnx":
        raise SettingError(f"{out.name} should end in .onnx")
    if out.exists() and not overwrite:
        raise TranslationError(f"{out} is there already; choose another name or overwrite=True")
    statistics = _statistics(model, raster)
    kind = recorded_kind(model.generator, "model" if raster is None else "sampled")
    proto = _proto(model, statistics, kind, joined)
    found = _apart(model, statistics, proto.SerializeToString())
    if found > MOST:
        raise TranslationError(
            f"ONNX gives values that differ from torch's by up to {found:.2g} of [-1, 1]; nothing "
            "was written, please report this model"
        )
    _put(proto, rs_gen={**_about(model, kind), "max_difference": found})
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_not(out) as part:
        part.write_bytes(proto.SerializeToString())
    return _report(model, out, kind, found)


def tiles_for(halo: int, phase: int) -> Tiles:
    """The tile and the overlap that cost least, so that tiles agree.

    Half of the overlap must reach as far as the network looks, and the step from tile to tile must
    be whole steps of its phase. Deepness takes whole percents.
    """
    best: tuple[float, Tiles] | None = None
    for size in _TILES:
        for percent in range(0, 81):
            overlap = size * percent // 100
            step = size - overlap
            if size % phase or step % phase or overlap // 2 < halo:
                continue
            cost = (size / step) ** 2 * (1 + size / 8192)  # large tiles take memory
            if best is None or cost < best[0]:
                best = cost, Tiles(size, percent, True)
    if best is not None:
        return best[1]
    return Tiles(max(2048 // phase * phase, phase), 50, False)


def _statistics(model: Translator, raster: str | Path | None) -> Statistics:
    if not norm_layers(model.generator):
        return {}
    if raster is None:
        return stored_statistics(model.generator, model.norms)
    found = model.statistics_of(raster, "sampled")
    if not isinstance(found, dict) or not found:
        raise TranslationError(f"{Path(raster).name} has no valid pixel to take statistics of")
    return found


def _proto(model: Translator, statistics: Statistics, kind: str, joined: bool) -> Any:
    """The model as ONNX has it."""
    graph = Graph()
    helper, float32 = graph.onnx.helper, graph.onnx.TensorProto.FLOAT
    encoded = _encoded(graph, model.source.stretch)
    made = add_program(
        graph, program_of(model.generator), _weights(model, statistics), encoded,
        model.source.count,
    )  # fmt: skip
    stored = _decoded(graph, made, model.target.stretch, model.target.dtype or "float32")
    count, names = model.target.count, _names(model)
    # Both sides have one name, since Deepness wants square tiles; any multiples of the phase do.
    shape = ["batch", model.source.count, "side", "side"]
    if joined or count == 1:
        names = ["pixels_out"]
        graph.nodes.append(helper.make_node("Identity", [stored], names, "pixels_out"))
    else:
        graph.nodes.append(helper.make_node("Split", [stored], names, "bands", axis=1))
    wide = count // len(names)
    outputs = [
        helper.make_tensor_value_info(name, float32, ["batch", wide, "side", "side"])
        for name in names
    ]
    held = helper.make_graph(
        graph.nodes, "rs_gen", [helper.make_tensor_value_info("pixels", float32, shape)], outputs,
        graph.initializers(),
    )  # fmt: skip
    proto = helper.make_model(
        held, ir_version=IR_VERSION, producer_name="rs_gen",
        opset_imports=[helper.make_opsetid("", OPSET)],
    )  # fmt: skip
    _put(proto, **_deepness(model, _names(model), joined))
    graph.onnx.checker.check_model(proto)
    return proto


def _deepness(model: Translator, names: list[str], joined: bool) -> dict[str, Any]:
    """What the plugin reads, under its names. It divides values by 255, which is undone here."""
    tiles, count = tiles_for(halo_of(model.reach), model.reach.phase), model.source.count
    classes = [{"0": name} for name in names]
    held: dict[str, Any] = {
        "model_type": "Regressor",
        "class_names": [dict(enumerate(names))] if joined else classes,
        "standardization_mean": [0.0] * count,
        "standardization_std": [1 / 255] * count,
        "reg_output_scaling": 1.0,
        "tile_size": tiles.size,
        "tiles_overlap": tiles.overlap,
    }
    metres = model.source.resolution
    return held | ({"resolution": 100 * metres} if metres and math.isfinite(metres) else {})


def _about(model: Translator, kind: str) -> dict[str, Any]:
    from .. import __version__

    tiles = tiles_for(halo_of(model.reach), model.reach.phase)
    return {
        "version": __version__, "model": model.name, "model_digest": digest(model.generator),
        "direction": model.direction, "statistics": kind, "synthetic": True,
        "bands": list(model.source.names), "target_bands": list(model.target.names),
        "stretch": model.source.stretch.to_dict(),
        "target_stretch": model.target.stretch.to_dict(), "target_dtype": model.target.dtype,
        "phase": model.reach.phase, "halo": halo_of(model.reach), "seam_free_tiles": tiles.exact,
    }  # fmt: skip


def _put(proto: Any, **values: Any) -> None:
    for key, value in values.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)


def _encoded(graph: Graph, stretch: Stretch) -> str:
    """Stored values to [-1, 1], as ``Stretch.encode``; what is no number becomes 0."""
    x = "pixels"
    if stretch.scale == "db":
        least = graph.constant(np.finfo("float32").tiny)
        logs = graph.add("Log", graph.add("Max", x, least))
        x = graph.add("Mul", logs, graph.constant(10 / math.log(10)))
    centre, half = _columns(stretch)
    x = graph.add("Div", graph.add("Sub", x, graph.column(centre)), graph.column(half))
    x = graph.add("Clip", x, graph.constant(-1.0), graph.constant(1.0))
    return graph.add("Where", graph.add("IsNaN", "pixels"), graph.constant(0.0), x)


def _decoded(graph: Graph, x: str, stretch: Stretch, dtype: str) -> str:
    """[-1, 1] to stored values, held inside an integer dtype but not rounded."""
    centre, half = _columns(stretch)
    x = graph.add("Add", graph.add("Mul", x, graph.column(half)), graph.column(centre))
    if stretch.scale == "db":
        x = graph.add("Exp", graph.add("Mul", x, graph.constant(math.log(10) / 10)))
    if is_integer(dtype):
        low, high = limits(dtype)
        x = graph.add("Clip", x, graph.constant(low), graph.constant(high))
    return x


def _columns(stretch: Stretch) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.array(stretch.low), np.array(stretch.high)
    return (low + high) / 2, (high - low) / 2


def _weights(model: Translator, statistics: Statistics) -> dict[str, np.ndarray]:
    held = {name: _plain(tensor) for name, tensor in model.generator.state_dict().items()}
    for layer, (mean, var) in statistics.items():
        held |= {f"{layer}.mean": _plain(mean), f"{layer}.var": _plain(var)}
    return held


def _plain(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _names(model: Translator) -> list[str]:
    """Of the output's bands, all different."""
    names = list(model.target.names) or [f"band_{i + 1}" for i in range(model.target.count)]
    if len({*names, "pixels"}) <= len(names):
        names = [f"band_{i + 1}" for i in range(model.target.count)]
    return names


@torch.inference_mode()
def _apart(model: Translator, statistics: Statistics, content: bytes) -> float:
    """The largest difference between ONNX and torch on images of two sizes, in [-1, 1]."""
    import copy

    session = _session(content)
    net = copy.deepcopy(model.generator).cpu().float()
    if statistics:
        freeze(net, statistics)
    dice, worst = np.random.default_rng(0), 0.0
    side = smallest_side(net, model.reach.phase)
    for number in (1, 2):
        encoded = dice.uniform(-1, 1, (number, model.source.count, number * side, number * side))
        stored = np.stack([_stored(model.source.stretch, image) for image in encoded])
        told = np.stack([model.source.stretch.encode(image) for image in stored])
        wanted = net(torch.from_numpy(told)).numpy()
        given = session.run(None, {"pixels": stored})
        made = np.concatenate(given, axis=1)
        again = np.stack([_again(model.target.stretch, image) for image in made])
        worst = max(worst, float(np.abs(again - _held(model, wanted)).max()))
    return worst


def _stored(stretch: Stretch, image: np.ndarray) -> np.ndarray:
    return np.asarray(stretch.decode(image.astype("float32"), "float32"), "float32")


def _again(stretch: Stretch, image: np.ndarray) -> np.ndarray:
    """Stored values to [-1, 1], in float64 and without an end."""
    centre, half = (column[:, None, None] for column in _columns(stretch))
    values = image.astype("float64")
    values = 10 * np.log10(np.maximum(values, 1e-38)) if stretch.scale == "db" else values
    return np.asarray((values - centre) / half)


def _held(model: Translator, encoded: np.ndarray) -> np.ndarray:
    """What of the network's answer an integer dtype can hold."""
    dtype, stretch = model.target.dtype or "float32", model.target.stretch
    if not is_integer(dtype) or stretch.scale == "db":
        return encoded
    centre, half = (column[:, None, None] for column in _columns(stretch))
    low, high = limits(dtype)
    return np.clip(encoded, (low - centre) / half, (high - centre) / half)


def _session(content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            "an ONNX file is checked with the package onnxruntime: pip install 'rs_gen[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _report(model: Translator, out: Path, kind: str, found: float) -> dict[str, Any]:
    tiles = tiles_for(halo_of(model.reach), model.reach.phase)
    span = max(h - low for low, h in zip(model.target.stretch.low, model.target.stretch.high,
                                         strict=True))  # fmt: skip
    return {
        "path": str(out),
        "megabytes": round(out.stat().st_size / 1e6, 1),
        "max difference from torch": f"{found:.2g} of [-1, 1]"
        + (f", {found * span / 2:.2g} of stored values" if model.target.stretch.scale == "linear"
           else ""),
        "statistics": kind,
        "sides": f"multiples of {model.reach.phase} px, from "
                 f"{smallest_side(model.generator, model.reach.phase)} px",
        "tiles": f"{tiles.size} px with {tiles.overlap} % overlap"
                 + ("" if tiles.exact else ", which is less than the network looks: they may show"),
    }  # fmt: skip
