"""A card in the words of an Esri model definition (EMD), so that a GIS can list the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .card import Card

# How arcgis.learn calls the same model.
_TYPES = {"pix2pix": "Pix2Pix", "cyclegan": "CycleGAN"}
# Metrics that have a key of their own at the top of an EMD.
_METRICS = {"psnr": "PSNR", "ssim": "SSIM", "fid": "FID", "fid_a": "FID_A", "fid_b": "FID_B"}


def definition(card: Card, weights: str, function: str | None = None) -> dict[str, Any]:
    """The keys of a saved arcgis.learn translation model, filled from a card.

    Args:
        card: The card.
        weights: File of the weights, beside the EMD.
        function: File of the Python raster function beside the EMD, if the folder has one.
    """
    kind = _TYPES.get(card.model, card.model)
    source = card.source or card.target  # a generator from noise is told by what it makes
    bands_a, bands_b = source["count"], card.target["count"]
    emd = {
        "Framework": "rs_gen",
        "ModelConfiguration": "rs_gen",
        "InferenceFunction": function,
        "ModelType": kind,
        "ModelName": kind,
        "ModelFile": weights,
        "ModelFormat": "NCHW",
        "Description": f"{kind} trained with rs_gen {card.version}",
        "Version": card.version,
        "ImageHeight": card.size,
        "ImageWidth": card.size,
        "resize_to": card.size,
        "ImageSpaceUsed": "MAP_SPACE",
        "SupportsVariableTileSize": True,
        "IsMultispectral": bands_a != 3,
        "IsImageNetNormalization": False,
        "ExtractBands": list(range(bands_a)),
        "Bands": source.get("names") or None,
        "n_intput_channel": max(bands_a, bands_b),  # the format's own spelling
        "n_channel": bands_b,
        "n_channel_rev": bands_a,
        "NormalizationStats": _normalization(source),
        "NormalizationStats_b": _normalization(card.target),
        "MinCellSize": _cell_size(source),
        "MaxCellSize": _cell_size(source),
        "backend": "pytorch",
        "LearningRate": _rate(card.training.get("lr")),
        "monitored_valid_loss": card.training.get("valid_loss"),
        "ModelParameters": {**card.settings, "backend": "pytorch"},
    }
    if card.model == "pix2pix":
        emd |= {"backbone": card.settings.get("backbone"), "perceptual_loss": False}
    if card.model == "cyclegan":
        emd["ModelParameters"] |= {
            "gen_blocks": card.settings.get("blocks"),
            "lsgan": card.settings.get("adversarial") == "lsgan",
        }
    for name, score in card.metrics.items():
        if name.lower() in _METRICS:
            value = score.get("value") if isinstance(score, Mapping) else score
            emd[_METRICS[name.lower()]] = f"{value:.1e}" if "fid" in name.lower() else value
    return emd


def _normalization(side: Mapping[str, Any]) -> dict[str, list[float] | None]:
    """The eight keys; the scaled ones are those values after (x - min) / (max - min)."""
    stretch = side["stretch"]
    low, high = stretch["low"], stretch["high"]
    mean: Any = side.get("mean") or None
    std: Any = side.get("std") or None
    linear = stretch.get("scale", "linear") == "linear"  # in dB a stored mean has no scaled twin
    span = list(zip(low, high, strict=True))
    scaled_mean = scaled_std = None
    if linear and _one_a_band(mean, low):
        scaled_mean = [(m - a) / (b - a) for m, (a, b) in zip(mean, span, strict=True)]
    if linear and _one_a_band(std, low):
        scaled_std = [s / (b - a) for s, (a, b) in zip(std, span, strict=True)]
    return {
        "band_min_values": low,
        "band_max_values": high,
        "band_mean_values": mean,
        "band_std_values": std,
        "scaled_min_values": [0.0] * len(low),
        "scaled_max_values": [1.0] * len(low),
        "scaled_mean_values": scaled_mean,
        "scaled_std_values": scaled_std,
    }


def _one_a_band(values: Any, bands: list[float]) -> bool:
    return (
        isinstance(values, list)
        and len(values) == len(bands)
        and all(isinstance(v, int | float) for v in values)
    )


def _cell_size(side: Mapping[str, Any]) -> dict[str, Any] | None:
    """Size of a pixel in the unit of its CRS, where the metres on the card can tell it.

    They can't for degrees, nor for Mercator maps, whose metres are longer than those on the ground.
    """
    resolution = side.get("resolution")
    values = resolution if isinstance(resolution, list) else [resolution] * 2
    known = [v for v in values if isinstance(v, int | float)]
    unit, code = _unit(side.get("crs"))
    if unit is None or len(known) != 2:
        return None
    reference = {"wkid": code, "latestWkid": code}
    return {"x": known[0] / unit, "y": known[1] / unit, "spatialReference": reference}


def _unit(crs: Any) -> tuple[float | None, int | None]:
    """Metres in a CRS's unit, and its EPSG code; None for either where there is none."""
    from rasterio.crs import CRS  # only when a model is saved: applying one needs no CRS here
    from rasterio.errors import CRSError

    try:
        known = CRS.from_string(str(crs))
        code = known.to_epsg()
        mercator = known.to_dict().get("proj") in ("merc", "webmerc")
        if not known.is_projected or mercator or code is None:
            return None, None
        return float(known.linear_units_factor[1]), int(code)
    except CRSError:
        return None, None


def _rate(rate: Any) -> str | None:
    return f"{rate:.4e}" if isinstance(rate, int | float) else None
