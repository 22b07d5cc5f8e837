import json

import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.metrics.protocol import Score
from rs_gen.reports import downstream
from rs_gen.reports.downstream import Arm, collect, four_arms, judge, table
from rs_gen.training.scenes import Labelled, SceneRecipe
from rs_gen.training.traditional import Traditional

TINY = SceneRecipe(steps=4, batch_size=8, width=8)
ARMS = ["real", "real + traditional", "real + generated", "real + both"]


def chips(seed, n=12):
    dice = torch.Generator().manual_seed(seed)
    return Labelled(torch.rand(n, 1, 8, 8, generator=dice) * 2 - 1, torch.arange(n) % 2)


@pytest.fixture
def trainings(monkeypatch):
    """How often a classifier was trained."""
    seen = []

    def counted(*args, **options):
        seen.append(options)
        return real_fit(*args, **options)

    real_fit = downstream.fit_scenes
    monkeypatch.setattr(downstream, "fit_scenes", counted)
    return seen


def test_four_arms_differ_in_chips_and_augmentation_alone():
    arms = four_arms(chips(2))
    assert list(arms) == ARMS
    assert [(a.extra is not None, a.change is not None) for a in arms.values()] == [
        (False, False), (False, True), (True, False), (True, True)
    ]  # fmt: skip


def test_accuracy_tells_n_numbers_and_interval():
    scores = judge(chips(0), chips(1, 30), four_arms(chips(2, 5)), 2, recipe=TINY, seed=3)
    assert list(scores) == ARMS
    score = scores["real + both"]
    assert score.n == 30
    assert score.low <= score.value <= score.high
    assert "2 classes, 12 real and 5 other chips, 4 steps, seed 3" in score.protocol


def test_finished_arms_are_kept_and_a_sweep_goes_on(tmp_path, trainings):
    arms = four_arms(chips(2))
    setting = {"recipe": TINY, "folder": tmp_path}
    first = judge(chips(0), chips(1), {k: arms[k] for k in ARMS[:2]}, 2, **setting)
    assert len(trainings) == 2
    again = judge(chips(0), chips(1), arms, 2, **setting)
    assert len(trainings) == 4
    assert {k: again[k] for k in first} == first
    judge(chips(0), chips(1), arms, 2, seed=1, **setting)
    assert len(trainings) == 8
    assert {arm: list(seeds) for arm, seeds in collect(tmp_path).items()} == {
        arm: [0, 1] for arm in ARMS
    }


def test_a_kept_arm_of_other_chips_or_numbers_is_not_taken(tmp_path):
    arms = {"real": Arm()}
    judge(chips(0), chips(1), arms, 2, recipe=TINY, folder=tmp_path)
    with pytest.raises(SettingError, match=r"real_0.json was made with another recipe; remove"):
        judge(chips(0), chips(1), arms, 2, recipe=SceneRecipe(steps=5, width=8), folder=tmp_path)
    with pytest.raises(SettingError, match="made with another real and another test"):
        judge(chips(4), chips(5), arms, 2, recipe=TINY, folder=tmp_path)
    with pytest.raises(SettingError, match="made with another change"):
        judge(chips(0), chips(1), {"real": Arm(change=Traditional())}, 2, recipe=TINY,
              folder=tmp_path)  # fmt: skip


def test_other_arms_can_be_a_floor_and_a_ceiling(tmp_path):
    more = Labelled(torch.cat([chips(0).images, chips(7).images]), chips(0, 24).labels)
    arms = {**four_arms(chips(2)), "ceiling: real": Arm(more, Traditional())}
    judge(chips(0), chips(1), arms, 2, recipe=TINY, folder=tmp_path)
    assert list(collect(tmp_path)) == [*ARMS, "ceiling: real"]


def test_the_table_compares_seed_by_seed_with_the_rival():
    def scores(*values):
        return {seed: Score(v, 10, "") for seed, v in enumerate(values)}

    text = table({
        "real": scores(0.2, 0.3, 0.4),
        "real + traditional": scores(0.5, 0.4, 0.6),
        "real + both": scores(0.6, 0.3, 0.7),
        "other": {9: Score(0.1, 10, "")},
    }).splitlines()  # fmt: skip
    assert text[2] == (
        "| real | 3 | 0.300 | 0.200 to 0.400 | 0.200 / 0.300 / 0.400 | -0.200, better in 0 of 3 |"
    )
    assert text[3].endswith("| 0.500 / 0.400 / 0.600 |  |")
    assert text[4].endswith("+0.033, better in 2 of 3 |")
    assert text[5].endswith("| not run |")
    assert len({line.count("|") for line in text}) == 1


def test_testing_on_chips_that_are_trained_on_is_refused():
    with pytest.raises(SettingError, match="12 of 12 test chips are trained on"):
        judge(chips(0), chips(0), {"real": Arm()}, 2, recipe=TINY)


def test_a_folder_without_finished_arms_says_so(tmp_path):
    with pytest.raises(SettingError, match="holds no finished arms"):
        collect(tmp_path)
    (tmp_path / "x.json").write_text(json.dumps({"arm": "real"}))
    with pytest.raises(SettingError, match=r"x.json is not a finished arm \('score'\)"):
        collect(tmp_path)
