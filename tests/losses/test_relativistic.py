import math

import pytest
import torch

from rs_gen.losses.relativistic import rpgan_d, rpgan_g


def test_alike_logits_cost_log_2_on_both_sides():
    x = torch.randn(5)
    assert rpgan_d(x, x).item() == pytest.approx(math.log(2))
    assert rpgan_g(x, x).item() == pytest.approx(math.log(2))


def test_values_worked_out_by_hand():
    real, fake = torch.tensor([2.0]), torch.tensor([0.0])
    assert rpgan_d(real, fake).item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert rpgan_g(real, fake).item() == pytest.approx(math.log(1 + math.exp(2)))


def test_one_player_is_the_other_turned_round_and_a_common_shift_is_not_seen():
    real, fake = torch.randn(6), torch.randn(6)
    assert torch.equal(rpgan_d(real, fake), rpgan_g(fake, real))
    torch.testing.assert_close(rpgan_d(real + 9, fake + 9), rpgan_d(real, fake))


def test_half_precision_is_averaged_in_float32():
    assert rpgan_d(torch.ones(4).bfloat16(), torch.zeros(4).bfloat16()).dtype == torch.float32
