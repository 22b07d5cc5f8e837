import multiprocessing
import pickle

import numpy as np
import pytest

from rs_gen.data import cache
from rs_gen.data.cache import ChipCache, budget
from rs_gen.errors import SettingError


def masked(seed, hole=True):
    pixels = np.random.default_rng(seed).integers(0, 99, (2, 4, 5)).astype("uint16")
    mask = np.zeros(pixels.shape, bool)
    mask[:, 0, 0] = hole
    return np.ma.MaskedArray(pixels, mask)


def test_what_is_put_in_comes_out_with_its_mask():
    held = ChipCache(3, (2, 4, 5), "uint16")
    assert held.get(1) is None
    held.put(1, masked(1))
    held.put(2, masked(2, hole=False))
    assert (held.get(1).data == masked(1).data).all()
    assert (np.ma.getmaskarray(held.get(1)) == masked(1).mask).all()
    assert np.ma.getmask(held.get(2)) is np.ma.nomask
    assert len(held) == 2


def test_a_chip_that_there_is_no_room_for_is_not_kept():
    held = ChipCache(1, (2, 4, 4), "uint16")
    held.put(0, masked(0))
    assert len(held) == 0


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_forked_workers_share_it():
    held = ChipCache(2, (2, 4, 5), "uint16")
    child = multiprocessing.get_context("fork").Process(target=held.put, args=(0, masked(5)))
    child.start()
    child.join()
    assert (held.get(0).data == masked(5).data).all()


def test_a_pickled_cache_is_empty_but_works():
    held = ChipCache(1, (2, 4, 5), "uint16")
    held.put(0, masked(0))
    again = pickle.loads(pickle.dumps(held))
    assert again.get(0) is None
    again.put(0, masked(0))
    assert again.get(0) is not None


def test_the_budget_is_what_was_asked_for(monkeypatch):
    monkeypatch.setattr(cache, "_memory", lambda: 4 * 1024**3)
    assert budget("auto") == 1024**3
    monkeypatch.setattr(cache, "_memory", lambda: 64 * 1024**3)
    assert budget("auto") == 2 * 1024**3
    assert budget(False) == budget(None) == 0
    assert budget(0.5) == 1024**3 // 2
    assert budget(True) > 2**60


def test_a_budget_that_makes_no_sense_is_refused():
    with pytest.raises(SettingError, match="cache='big' is neither 'auto', True, False nor a num"):
        budget("big")
    with pytest.raises(SettingError, match="cache=-1 is neither"):
        budget(-1)
