"""torch's Adam in fastai's dress: fused where this torch can."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from fastai.optimizer import OptimWrapper
from torch import Tensor, nn

from .recipe import Recipe

_ADAMS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def make_optimizer(params: Iterable[nn.Parameter], recipe: Recipe, lr: float) -> OptimWrapper:
    """Adam or AdamW over ``params``, fused if this torch has it for their device.

    Momenta are set once and no schedule touches them, so beta1 stays what the recipe says.
    """
    params = [p for p in params if p.requires_grad]
    adam = _ADAMS[recipe.optimizer]
    options = {"lr": lr, "betas": tuple(recipe.betas), "weight_decay": recipe.weight_decay}
    try:
        built = adam(params, fused=True, **options)
    except (RuntimeError, TypeError):  # torch 2.0 to 2.3 fuse on CUDA alone
        built = adam(params, **options)
    return OptimWrapper(opt=built)


def keep_optimizer(optimizer: OptimWrapper) -> dict[str, Tensor]:
    """The optimiser's memory as named tensors: ``<parameter number>.<name>``."""
    state = optimizer.opt.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: OptimWrapper, kept: dict[str, Tensor]) -> None:
    """Give an optimiser the memory that ``keep_optimizer`` took from its twin."""
    held = optimizer.opt.state_dict()
    params = [p for group in optimizer.opt.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in kept.items():
        number, name = key.split(".", 1)
        like = params[int(number)]
        if value.shape == like.shape:  # the fused step walks memory: same strides as the weight
            value = torch.empty_like(like, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[name] = value
    optimizer.opt.load_state_dict({"state": state, "param_groups": held["param_groups"]})
