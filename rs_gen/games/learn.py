"""What a model of arcgis.learn says of itself in its ``.emd``, as far as that format is known.

Its weights are not read: they are a pickle whose layout is not documented, and the networks differ.
What else is in the definition can be told, and used to train the same again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import PackageError
from .archive import SMALL, open_archive

_KINDS = {  # ModelType to what trains the like of it here
    "CycleGAN": "cyclegan",
    "Pix2Pix": "pix2pix",
    "Pix2PixHD": "pix2pix",
}
_METRICS = ("PSNR", "SSIM", "FID", "FID_A", "FID_B")


def is_learns(emd: Any) -> bool:
    """Whether a definition is of arcgis.learn."""
    return isinstance(emd, Mapping) and str(emd.get("Framework", "")).startswith("arcgis.learn")


def read_definition(path: str | Path) -> dict[str, Any] | None:
    """The definition of a model of arcgis.learn; None where it is another's.

    Args:
        path: Its folder, its ``.emd`` or its ``.dlpk``.

    Raises:
        PackageError: There is no definition, or it is broken.
    """
    with open_archive(Path(path)) as archive:
        name = archive.definition()
        try:
            emd = json.loads(archive.read(name, SMALL))
        except (ValueError, RecursionError) as error:
            raise PackageError(f"{path}: {name} is broken: it is not JSON") from error
    return emd if is_learns(emd) else None


def described(emd: Mapping[str, Any]) -> dict[str, Any]:
    """What it says, what of it can be used here, and how."""
    kind = str(emd.get("ModelType") or emd.get("ModelName") or "?")
    sides = {"A": emd.get("NormalizationStats") or emd.get("norm_stats"),
             "B": emd.get("NormalizationStats_b")}  # fmt: skip
    bands = {"A": emd.get("n_channel_rev"), "B": emd.get("n_channel")}
    return {
        "kind": "model of arcgis.learn",
        "model": kind,
        "saved by": f"arcgis.learn {emd.get('ArcGISLearnVersion', '?')}",
        "directions": ["AtoB", "BtoA"] if kind == "CycleGAN" else ["AtoB"],
        "bands": {name: bands[name] or _count(sides[name]) for name in sides},
        "names of bands": emd.get("Bands") or emd.get("bands"),
        "chip size (px)": emd.get("ImageHeight"),
        "values": {name: _range(side) for name, side in sides.items()},
        "cell size": emd.get("MinCellSize"),
        "settings": emd.get("ModelParameters") or emd.get("Kwargs"),
        "metrics": {name: emd[name] for name in _METRICS if name in emd},
        "can be used": False,
        "why": f"the weights ({emd.get('ModelFile')}) are a pickle in a layout that is not "
               "documented; rs_gen does not open it",
        "instead": _remedy(kind, emd),
    }  # fmt: skip


def _remedy(kind: str, emd: Mapping[str, Any]) -> str:
    own = f"in ArcGIS, use it with its own function ({emd.get('InferenceFunction')})"
    twin = _KINDS.get(kind)
    if twin is None:
        return f"{own}; rs_gen has no model of this kind"
    return f"{own}; or train again on the same chips: rs-gen train CHIPS OUT --model {twin}"


def _range(side: Any) -> list[list[float]] | None:
    """Least and greatest stored value of each band, which become the ends of the stretch."""
    if not isinstance(side, Mapping):
        return None
    low, high = side.get("band_min_values"), side.get("band_max_values")
    if not (isinstance(low, list) and isinstance(high, list)):
        return None
    return [[a, b] for a, b in zip(low, high, strict=False)]


def _count(side: Any) -> int | None:
    found = _range(side)
    return len(found) if found else None
