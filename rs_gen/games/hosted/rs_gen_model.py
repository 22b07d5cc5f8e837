"""A saved model without rs_gen: its definition, its weights, its values and its network.

Part of a saved model, beside ``RSGenImageTranslation.py``; needs numpy and torch >= 2.0. The
generator comes as steps in the definition, its weights as plain numbers; nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

_STORED = {"F32": "<f4", "I64": "<i8", "U8": "u1", "BOOL": "?"}
_MOST = 16 * 2**20  # bytes of JSON that are read
Array = np.ndarray[Any, np.dtype[Any]]


def read_definition(model: str) -> tuple[dict[str, Any], str]:
    """The definition of a model, and the folder that its weights lie in.

    Raises:
        ValueError: It is not a model that this function can run; the text says what to do.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    if os.path.isfile(model):
        folder = os.path.dirname(os.path.abspath(model))
        with open(model, encoding="utf-8") as file:
            model = file.read(_MOST)
    try:
        emd = json.loads(model)
    except ValueError as error:
        raise ValueError("the model definition is neither a file nor JSON") from error
    held = emd.get("rs_gen") if isinstance(emd, dict) else None
    if not isinstance(held, dict):
        raise ValueError(foreign(emd if isinstance(emd, dict) else {}))
    if not held.get("programs"):
        why = held.get("no_program") or "save it again with this version of rs_gen"
        raise ValueError(f"this model can't run inside ArcGIS: {why}; use the rs_gen toolbox")
    return emd, folder


def foreign(emd: Mapping[str, Any]) -> str:
    """What a definition of another program says, and why this function can't run it."""
    if not str(emd.get("Framework", "")).startswith("arcgis.learn"):
        return f"this is not a model of rs_gen (Framework={emd.get('Framework')!r})"
    bands = emd.get("n_channel_rev"), emd.get("n_channel")
    return (
        f"this is a {emd.get('ModelType')} that arcgis.learn {emd.get('ArcGISLearnVersion', '')} "
        f"saved, for {bands[0]} to {bands[1]} bands and chips of {emd.get('ImageHeight')} px. Its "
        f"weights ({emd.get('ModelFile')}) are a pickle in a layout that is not documented, so "
        f"rs_gen does not read them. Use it with its own function "
        f"({emd.get('InferenceFunction')}), or train again on the same chips with rs_gen"
    )


def read_weights(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors file: a header of JSON, then plain numbers.

    Raises:
        ValueError: The file is broken.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = os.path.getsize(path)
        if not 0 < length <= min(_MOST, size - 8):
            raise ValueError(f"{path} is not safetensors; copy the model again")
        header, data = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        if name.startswith(("discriminators.", "reference.")):
            continue
        dtype, (begin, end) = np.dtype(_STORED[entry["dtype"]]), entry["data_offsets"]
        count = math.prod(entry["shape"])
        if not 0 <= begin <= end <= len(data) or end - begin != count * dtype.itemsize:
            raise ValueError(f"{path} is broken at {name}; copy the model again")
        values = np.frombuffer(data, dtype, count, begin).reshape(entry["shape"])
        found[name] = torch.from_numpy(values.astype(dtype.newbyteorder("=")))
    return found


def encode(pixels: Array, stretch: Mapping[str, Any], known: Array) -> Array:
    """(C, H, W) of stored values to float32 in [-1, 1]; 0 where a band was not measured."""
    centre, half = _columns(stretch)
    values = pixels.astype(np.float64)
    if stretch.get("scale") == "db":
        values = 10 * np.log10(np.maximum(values, np.finfo("f4").tiny))
    values = np.clip((values - centre) / half, -1, 1)
    return np.where(known, values, 0).astype(np.float32)


def decode(
    encoded: Array, stretch: Mapping[str, Any], dtype: np.dtype[Any], nodata: float | None
) -> Array:
    """[-1, 1] to stored values; a pixel that lands on nodata moves one step to the middle."""
    centre, half = _columns(stretch)
    values = encoded * half + centre
    middle = centre[:, 0, 0]
    if stretch.get("scale") == "db":
        values, middle = 10 ** (values / 10), 10 ** (middle / 10)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    stored: Array = values.astype(dtype)
    if nodata is not None and holds(dtype, nodata):
        for band, centre_of in zip(stored, middle, strict=True):
            _leave(band, nodata, float(centre_of))
    return stored


def _leave(band: Array, nodata: float, middle: float) -> None:
    hit = np.isnan(band) if math.isnan(nodata) else band == band.dtype.type(nodata)
    if not hit.any():
        return
    limits = np.iinfo(band.dtype) if band.dtype.kind in "iu" else np.finfo(band.dtype)
    up = (nodata < middle and nodata < limits.max) or nodata <= limits.min
    if band.dtype.kind in "iu":
        band[hit] = int(nodata) + (1 if up else -1)
    else:
        band[hit] = np.nextafter(
            band.dtype.type(nodata), band.dtype.type(np.inf if up else -np.inf)
        )


def _columns(stretch: Mapping[str, Any]) -> tuple[Array, Array]:
    low, high = np.array(stretch["low"], np.float64), np.array(stretch["high"], np.float64)
    return ((low + high) / 2)[:, None, None], ((high - low) / 2)[:, None, None]


def holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a dtype has a value."""
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return math.isfinite(value) and value == int(value) and limits.min <= value <= limits.max


def run(
    steps: Sequence[Mapping[str, Any]], weights: Mapping[str, torch.Tensor], images: torch.Tensor,
    direction: str,
) -> torch.Tensor:  # fmt: skip
    """A generator, step by step: (B, C_in, H, W) to (B, C_out, H, W), both in [-1, 1]."""
    last = {source: number for number, step in enumerate(steps, 1) for source in step["in"]}
    values: dict[int, torch.Tensor] = {0: images}
    for number, step in enumerate(steps, 1):
        values[number] = _taken(step, [values[i] for i in step["in"]], weights, direction)
        for source in step["in"]:
            if last[source] == number:
                values.pop(source, None)  # nobody reads it any more
    return values[len(steps)]


def _taken(
    step: Mapping[str, Any], inputs: list[torch.Tensor], weights: Mapping[str, torch.Tensor],
    direction: str,
) -> torch.Tensor:  # fmt: skip
    op, x = step["op"], inputs[0]

    def held(name: str) -> torch.Tensor | None:
        return weights[step[name]].to(x.device) if name in step else None

    if op in ("conv", "transposed"):
        weight = held("weight")
        assert weight is not None
        if op == "conv":
            return F.conv2d(x, weight, held("bias"), step["stride"], step["padding"],
                            step["dilation"], step["groups"])  # fmt: skip
        return F.conv_transpose2d(x, weight, held("bias"), step["stride"], step["padding"],
                                  step["more"], step["groups"], step["dilation"])  # fmt: skip
    if op in ("instance_norm", "batch_norm"):
        mean, var = _statistics(step, direction)
        return F.batch_norm(x, weights[mean].flatten().to(x.device),
                            weights[var].flatten().to(x.device), held("weight"), held("bias"),
                            False, 0.0, step["eps"])  # fmt: skip
    if op == "channel_norm":
        last = F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), held("weight"), held("bias"),
                            step["eps"])  # fmt: skip
        return last.permute(0, 3, 1, 2)
    return _plain(op, step, inputs)


def _plain(op: str, step: Mapping[str, Any], inputs: list[torch.Tensor]) -> torch.Tensor:
    """Steps without weights."""
    x = inputs[0]
    if op == "blur":
        row = torch.tensor([1.0, 2.0, 1.0], device=x.device) / 4
        kernel = torch.outer(row, row).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])
    if op == "upsample":
        return F.interpolate(x, scale_factor=step["factor"], mode=step["mode"])
    simple = {
        "add": lambda: inputs[0] + inputs[1],
        "cat": lambda: torch.cat(inputs, 1),
        "mirror": lambda: F.pad(x, step["pad"], mode="reflect"),
        "repeat": lambda: F.pad(x, step["pad"], mode="replicate"),
        "pad": lambda: F.pad(x, step["pad"], value=step["value"]),
        "shuffle": lambda: F.pixel_shuffle(x, step["factor"]),
        "unshuffle": lambda: F.pixel_unshuffle(x, step["factor"]),
        "leaky": lambda: F.leaky_relu(x, step["slope"]),
        "clamp": lambda: x.clamp(step["low"], step["high"]),
        "relu": lambda: F.relu(x),
        "tanh": lambda: torch.tanh(x),
        "sigmoid": lambda: torch.sigmoid(x),
        "silu": lambda: F.silu(x),
        "same": lambda: x,
    }
    if op not in simple:
        raise ValueError(f"the model has a step {op!r} of a newer rs_gen; use its toolbox")
    return simple[op]()


def _statistics(step: Mapping[str, Any], direction: str) -> tuple[str, str]:
    """Names of the mean and the variance that a norm divides by."""
    if step["op"] == "batch_norm":
        return step["running_mean"], step["running_var"]
    name = f"statistics.{direction}.{step['layer']}"
    return f"{name}.mean", f"{name}.var"


def check_norms(
    steps: Sequence[Mapping[str, Any]], weights: Mapping[str, torch.Tensor], direction: str
) -> None:
    """Refuse a program whose norms have no statistics.

    Raises:
        ValueError: The text says what to do.
    """
    for step in steps:
        if step["op"] == "instance_norm" and _statistics(step, direction)[0] not in weights:
            raise ValueError(
                "the model was saved without the statistics of its training chips, and a block "
                "can't stand for the raster; save it again with its data, or use the rs_gen "
                "toolbox, which takes them from the raster"
            )


def device_of(number: int) -> torch.device:
    """As Pro names it: -2 chooses, -1 is the CPU, else a GPU by its number."""
    if number == -1 or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", max(number, 0))
