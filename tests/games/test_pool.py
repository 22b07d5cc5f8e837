from __future__ import annotations

import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.games.pool import ImagePool


def numbered(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)


def feed(pool: ImagePool, numbers) -> list[int]:
    return [int(pool(numbered(n)).item()) for n in numbers]


def test_until_it_is_full_everything_comes_back():
    assert feed(ImagePool(5), range(5)) == [0, 1, 2, 3, 4]


def test_a_pool_of_none_hands_everything_back():
    pool = ImagePool(0)
    assert feed(pool, range(9)) == list(range(9))
    assert not pool.images


def test_about_half_of_what_comes_back_is_older():
    pool = ImagePool(10)
    back = feed(pool, range(1010))[10:]
    older = [n != i for i, n in enumerate(back, start=10)]
    assert 0.45 < sum(older) / len(older) < 0.55
    assert len(pool.images) == 10


def test_no_image_comes_back_twice_as_an_older_one():
    back = feed(ImagePool(10), range(500))
    older = [n for i, n in enumerate(back) if n != i]
    assert len(older) == len(set(older))


def test_the_same_seed_draws_the_same_whatever_the_batches():
    one = feed(ImagePool(4, seed=7), range(40))
    pool = ImagePool(4, seed=7)
    many = [int(v) for i in range(0, 40, 8) for v in pool(numbered(*range(i, i + 8))).flatten()]
    assert one == many
    assert one != feed(ImagePool(4, seed=8), range(40))


def test_a_restored_pool_goes_on_as_the_first_would_have(tmp_path):
    pool = ImagePool(6, seed=3)
    feed(pool, range(20))
    torch.save(pool.state(), tmp_path / "pool.pt")
    ahead = feed(pool, range(20, 60))
    again = ImagePool(6)
    again.load(torch.load(tmp_path / "pool.pt", weights_only=True))
    assert feed(again, range(20, 60)) == ahead


def test_a_state_is_a_copy():
    pool = ImagePool(2)
    feed(pool, range(2))
    state = pool.state()
    pool.images[0].fill_(9)
    assert state["images"][0].item() == 0


def test_what_comes_back_carries_no_gradient_and_is_its_own():
    pool = ImagePool(2)
    images = numbered(1).requires_grad_()
    back = pool(images * 2)
    assert not back.requires_grad
    back.fill_(7)
    assert pool.images[0].item() == 2


def test_half_precision_is_kept_as_float32():
    pool = ImagePool(2)
    assert pool(numbered(1).bfloat16()).dtype == torch.float32


def test_chips_of_another_size_do_not_break_the_batch():
    pool = ImagePool(1)
    pool(torch.zeros(1, 1, 2, 2))
    for _ in range(8):
        assert pool(torch.ones(2, 1, 4, 4)).shape == (2, 1, 4, 4)


def test_a_pool_of_another_size_is_refused():
    with pytest.raises(SettingError, match="the image pool holds 50 and the saved one 6; resume"):
        ImagePool(50).load(ImagePool(6).state())
