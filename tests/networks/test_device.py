"""The device and the precision are decided in one place, and refusals say why."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.networks import device


def test_auto_takes_cuda_when_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert device.pick_device().type == expected
    assert device.pick_device("auto").type == expected
    assert device.pick_device("cpu") == torch.device("cpu")


def test_an_unknown_device_is_refused():
    with pytest.raises(SettingError, match="device='gpu7' is not a device; try 'auto'"):
        device.pick_device("gpu7")


def test_a_missing_cuda_device_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SettingError, match="sees 0 CUDA devices; use device='cpu'"):
        device.pick_device("cuda")


def test_auto_precision_on_a_cpu_follows_its_units(monkeypatch):
    monkeypatch.setattr(device, "cpu_has_bfloat16", lambda: True)
    assert device.autocast_dtype("cpu") is torch.bfloat16
    monkeypatch.setattr(device, "cpu_has_bfloat16", lambda: False)
    assert device.autocast_dtype("cpu") is None
    assert device.autocast_dtype("cpu", True) is torch.bfloat16
    assert device.autocast_dtype("cpu", False) is None


def test_an_old_cuda_device_trains_in_float32_and_says_so_when_asked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert device.autocast_dtype("cuda", "auto") is None
    with pytest.raises(SettingError, match="cuda has no bfloat16 units; use 'auto' or False"):
        device.autocast_dtype("cuda", True)


def test_an_unknown_precision_is_refused():
    with pytest.raises(SettingError, match="mixed_precision='half'; there are 'auto'"):
        device.autocast_dtype("cpu", "half")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is on Linux")
def test_memory_of_large_tensors_is_used_again_and_given_back_at_the_end():
    resource = pytest.importorskip("resource")

    def faults() -> int:
        torch.zeros(1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            torch.zeros(2**24).add_(1)  # 64 MB
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    usual = faults()
    with device.reused_memory():
        faults()
        assert faults() < usual / 4
    assert faults() > usual / 4


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is on Linux")
def test_what_lies_between_two_arrays_in_use_is_given_back():
    def held() -> float:
        """MB that stay after every other one of 16 arrays of 16 MB is freed."""
        status = Path("/proc/self/status")

        def resident() -> int:
            line = next(x for x in status.read_text().splitlines() if x.startswith("VmRSS"))
            return int(line.split()[1]) // 1024

        before = resident()
        arrays = [np.ones(2**21) for _ in range(16)]
        del arrays[::2]
        return resident() - before

    with device.reused_memory():
        held()  # as long runs do
    usual = held()
    with device.returned_memory():
        returned = held()
    assert usual > 200
    assert returned < 150  # those in use alone
