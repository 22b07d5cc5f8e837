"""Where to compute, and how finely: decided in this one place."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from ..errors import SettingError

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them
_CPU_PROBES = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_amx_bf16_supported")


def pick_device(wanted: str | torch.device | None = None) -> torch.device:
    """The device to compute on.

    Args:
        wanted: None or ``"auto"`` takes the first CUDA device if there is one, else the CPU;
            any other torch device name (``"cpu"``, ``"cuda:1"``, ``"mps"``) is taken at its word.

    Raises:
        SettingError: The name is no device, or this machine does not have it.
    """
    if wanted is None or wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise SettingError(
            f"device={str(wanted)!r} is not a device; try 'auto', 'cpu' or 'cuda'"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise SettingError(
            f"device='{device}' is asked for but torch {torch.__version__} sees {found} CUDA "
            f"devices; use device='cpu', or install a torch built for CUDA"
        )
    return device


def autocast_dtype(device: torch.device | str, mode: bool | str = "auto") -> torch.dtype | None:
    """The dtype that convolutions run in under autocast, or None for plain float32.

    Args:
        device: Where the networks are.
        mode: ``"auto"`` is bfloat16 where it is faster and safe: CUDA devices of compute
            capability 8.0 and newer, CPUs with AVX512-BF16 or AMX. True asks for it anywhere it
            runs at all, False never.

    Raises:
        SettingError: ``mode`` is something else, or True on a device that has no bfloat16.
    """
    if mode not in (True, False, "auto"):
        raise SettingError(f"mixed_precision={mode!r}; there are 'auto', True and False")
    if mode is False:
        return None
    device = torch.device(device)
    if device.type == "cpu":
        return torch.bfloat16 if mode is True or cpu_has_bfloat16() else None
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    if mode is True:
        raise SettingError(
            f"mixed_precision=True, but {device} has no bfloat16 units; use 'auto' or False"
        )
    return None


@cache
def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    for name in _CPU_PROBES:
        probe = getattr(torch.cpu, name, None)
        if probe is not None and probe():
            return True
    cpuinfo = Path("/proc/cpuinfo")  # torch 2.0 to 2.4 have no probe
    if not cpuinfo.exists():
        return False
    with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
        flags = next((line for line in lines if line.startswith("flags")), "")
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags.split())


@contextmanager
def reused_memory() -> Iterator[None]:
    """Keep what tensors free for the next ones, on Linux with glibc; elsewhere nothing changes.

    By itself glibc hands each large tensor back to the system, which clears every page of the
    next one. Training steps ask for the same sizes over and over.
    """
    with _malloc(mmap=2**31 - 1, trim=2**31 - 1):
        yield


@contextmanager
def returned_memory() -> Iterator[None]:
    """Give back at once what large arrays free, on Linux with glibc; elsewhere nothing changes.

    By itself glibc soon keeps arrays of up to 32 MB in heaps, one for each thread, and between the
    arrays that threads hand on to each other gaps are left: the longer a run, the more of them.
    """
    with _malloc(mmap=2**22, trim=2**22):
        yield


@contextmanager
def _malloc(*, mmap: int, trim: int) -> Iterator[None]:
    """Bytes from which glibc maps memory apart, and how many it keeps of what was freed."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, mmap)
    libc.mallopt(_TRIM_THRESHOLD, trim)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, 2**25)  # as far as glibc goes by itself
        libc.mallopt(_TRIM_THRESHOLD, 2**26)
        libc.malloc_trim(0)
