import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.games.reference import Reference

GOOD = {
    "bands": torch.ones(3, 256), "spread": torch.zeros(3), "mean": torch.zeros(4),
    "axes": torch.eye(2, 4), "variances": torch.ones(2), "rest": torch.tensor(0.5),
    "limit": torch.tensor(3.0), "block": torch.tensor(32.0), "count": torch.tensor(90.0),
    "real": torch.tensor([0.1, 0.5, 0.9]),
}  # fmt: skip


def test_what_is_kept_comes_back():
    reference = Reference.of(GOOD)
    assert reference.has_features
    assert Reference.of(reference.tensors()).tensors().keys() == GOOD.keys()


def test_a_reference_without_features_or_judge_is_fine():
    empty = {"mean": torch.zeros(0), "axes": torch.zeros(0, 0), "variances": torch.zeros(0),
             "rest": torch.tensor(0.0), "limit": torch.tensor(0.0), "block": torch.tensor(0.0),
             "real": torch.zeros(0)}  # fmt: skip
    assert not Reference.of(GOOD | empty).has_features


@pytest.mark.parametrize(
    ("part", "value", "why"),
    [
        ("bands", torch.ones(3, 7), r"bands is \(3, 7\); it must be \(bands, 256\)"),
        ("spread", torch.zeros(2), r"spread is \(2,\); it must be \(3,\)"),
        ("axes", torch.eye(2, 5), r"axes is \(2, 5\); it must be \(2, 4\)"),
        ("real", torch.zeros(2), r"real is \(2,\)"),
        ("mean", torch.tensor([0, 0, 0, float("nan")]), "mean is not finite"),
        ("variances", torch.tensor([1.0, 0.0]), "variances must be above 0"),
        ("block", torch.tensor(0.5), "block is 0.5 px; it must be 1 to 4096"),
        ("luck", torch.zeros(1), "luck is unknown"),
    ],
)
def test_what_a_stranger_may_have_written_is_refused(part, value, why):
    with pytest.raises(SettingError, match=f"reference of the training chips is broken: {why}"):
        Reference.of(GOOD | {part: value})


def test_a_missing_part_is_named():
    with pytest.raises(SettingError, match="limit is missing"):
        Reference.of({k: v for k, v in GOOD.items() if k != "limit"})


def test_sizes_are_bounded():
    wide = {"mean": torch.zeros(9000), "axes": torch.zeros(2, 9000)}
    with pytest.raises(SettingError, match="2 x 9000; at most 64 x 8192"):
        Reference.of(GOOD | wide)
