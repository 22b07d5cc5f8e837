"""Set-up that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
torch.set_num_threads(int(os.environ.get("RS_GEN_TEST_THREADS", "2")))

SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine has no means for, and say why."""
    no_data = pytest.mark.skip(reason="the real imagery (../shared/data) is not on this machine")
    no_cuda = pytest.mark.skip(reason="no CUDA device on this machine")
    for item in items:
        if item.get_closest_marker("data") and not SHARED.is_dir():
            item.add_marker(no_data)
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(no_cuda)


@pytest.fixture(scope="session")
def imagery() -> Path:
    """The folder of real imagery."""
    if not SHARED.is_dir():
        pytest.skip("the real imagery (../shared/data) is not on this machine")
    return SHARED
