"""Networks that several tests share."""

import pytest
from torch import nn
from translating import make_net


@pytest.fixture(scope="session")
def nets():
    """Networks by name, made once."""
    made: dict[str, nn.Module] = {}

    def get(kind: str) -> nn.Module:
        if kind not in made:
            made[kind] = make_net(kind)
        return made[kind]

    return get
