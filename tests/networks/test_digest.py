from __future__ import annotations

import torch
from torch import nn

from rs_gen.networks.digest import digest


def test_any_weight_changes_the_digest_and_a_copy_does_not():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    first = digest(net)
    assert len(first) == 16
    copy = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    copy.load_state_dict(net.state_dict())
    assert digest(copy.to(memory_format=torch.channels_last)) == first
    with torch.no_grad():
        copy[0].weight[1, 0, 2, 2] += 1e-6
    assert digest(copy) != first
    net[1].running_mean += 1
    assert digest(net) != first
