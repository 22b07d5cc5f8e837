"""What fit gives, writes, refuses and stops at."""

import csv
import time

import pytest
import torch
from fastai.callback.core import Callback, CancelFitException
from toy_training import ToyData, ToyGame, ToyScorer

from rs_gen.errors import (
    Cancelled,
    MissingPackageError,
    SettingError,
    TrainingError,
    UnknownNameError,
)
from rs_gen.metrics.protocol import Score
from rs_gen.training import learner
from rs_gen.training.checkpoint import Best
from rs_gen.training.loop import _clock
from rs_gen.training.progress import Bar, Board, shown
from rs_gen.training.recipe import Recipe
from rs_gen.training.record import History
from rs_gen.training.resume import read_tensors

RECIPE = Recipe(epochs=3, lr=1e-2, mixed_precision=False)


def fit(*given, preview=False, **options):
    return learner.fit(*given, preview=preview, **options)


class Scripted(ToyScorer):
    """Gives the values it was told to, one a validation."""

    names = ("ssim",)
    monitor = "ssim"

    def __init__(self, values, monitor="ssim"):
        self.values, self.monitor, self.names = list(values), monitor, (monitor,)

    def result(self):
        return {self.monitor: Score(self.values.pop(0), 4, "scripted")}


class TestHistory:
    def test_a_row_an_epoch_with_losses_metrics_and_their_n(self, tmp_path):
        history = fit(ToyGame(), ToyData(), RECIPE, scorer=ToyScorer(), folder=tmp_path)
        assert [row["epoch"] for row in history] == [1, 2, 3]
        assert [row["step"] for row in history] == [4, 8, 12]
        assert {row["n"] for row in history} == {4}
        losses = {"loss_adversarial", "loss_l1", "loss_discriminator"}
        assert losses < set(history.columns)
        assert history[0]["lr"] == 1e-2 > history[2]["lr"]

    def test_the_csv_holds_the_same_rows(self, tmp_path):
        history = fit(ToyGame(), ToyData(), RECIPE, scorer=ToyScorer(), folder=tmp_path)
        assert History.read(tmp_path / "log.csv").rows == history.rows
        with (tmp_path / "log.csv").open(newline="") as lines:
            head = next(csv.reader(lines))
        assert head[:4] == ["epoch", "step", "seconds", "lr"]

    def test_a_terms_mean_is_over_the_steps_of_the_epoch(self):
        seen = []

        class Spy(Callback):
            def after_step(self):
                seen.append(float(self.learn.terms["l1"]))

        history = fit(ToyGame(), ToyData(), RECIPE.but(epochs=1), callbacks=[Spy()])
        assert history[0]["loss_l1"] == pytest.approx(sum(seen) / 4)

    def test_a_preview_an_epoch(self, tmp_path):
        fit(
            ToyGame(),
            ToyData(),
            RECIPE.but(epochs=2),
            scorer=ToyScorer(),
            folder=tmp_path,
            preview=True,
        )
        pictures = sorted((tmp_path / "previews").iterdir())
        assert [p.name for p in pictures] == ["epoch_0001.png", "epoch_0002.png"]
        assert pictures[0].read_bytes()[:4] == b"\x89PNG"

    def test_nothing_is_written_without_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        fit(ToyGame(), ToyData(), RECIPE, scorer=ToyScorer())
        assert not list(tmp_path.iterdir())


class TestNotFinite:
    @pytest.mark.parametrize("term", ["l1", "adversarial"])
    def test_training_stops_with_the_step_and_the_term(self, term):
        with pytest.raises(TrainingError, match=f"step 5: loss term '{term}' is nan; try a lower"):
            fit(ToyGame(blow_up_at=5, term=term), ToyData(), RECIPE)

    def test_the_weights_before_it_stay_finite(self):
        game = ToyGame(blow_up_at=5)
        with pytest.raises(TrainingError):
            fit(game, ToyData(), RECIPE)
        assert all(torch.isfinite(p).all() for p in game.parameters())


class TestBest:
    def test_the_best_epoch_by_the_metric_is_kept_and_left_in_the_game(self, tmp_path):
        averages = []

        class Spy(Callback):
            order = 60

            def after_validate(self):
                averages.append(self.model.generators["AtoB"][0].weight.detach().clone())

        game = ToyGame()
        fit(game, ToyData(), RECIPE, scorer=Scripted([0.1, 0.9, 0.5]), folder=tmp_path,
            callbacks=[Spy()])  # fmt: skip
        assert torch.equal(game.generators["AtoB"][0].weight, averages[1])
        tensors, header = read_tensors(tmp_path / "best.safetensors")
        assert torch.equal(tensors["AtoB.0.weight"], averages[1])
        assert (header["epoch"], header["ssim"]) == (2, 0.9)

    def test_a_lower_l1_is_better_and_nan_never_is(self, tmp_path):
        values = [float("nan"), 3.0, 1.0, 2.0]
        fit(ToyGame(), ToyData(), RECIPE.but(epochs=4), scorer=Scripted(values, "l1"),
            folder=tmp_path)  # fmt: skip
        assert read_tensors(tmp_path / "best.safetensors")[1]["epoch"] == 3

    def test_all_keeps_every_epoch_and_false_none(self, tmp_path):
        fit(ToyGame(), ToyData(), RECIPE, scorer=ToyScorer(), folder=tmp_path / "all",
            checkpoint="all")  # fmt: skip
        assert len(list((tmp_path / "all").glob("epoch_*.safetensors"))) == 3
        fit(ToyGame(), ToyData(), RECIPE, scorer=ToyScorer(), folder=tmp_path / "none",
            checkpoint=False)  # fmt: skip
        assert not list((tmp_path / "none").glob("*.safetensors"))
        assert (tmp_path / "none/log.csv").exists()

    def test_early_stopping_waits_for_patience_validations(self, tmp_path):
        values = [0.1, 0.5, 0.4, 0.5001, 0.3, 0.9]
        history = fit(ToyGame(), ToyData(), RECIPE.but(epochs=6), scorer=Scripted(values),
                      folder=tmp_path, early_stopping=3)  # fmt: skip
        assert len(history) == 5
        part = Best("ssim", None, patience=2)
        assert part.patience == 2

    def test_true_waits_for_five(self):
        values = [0.9] + [0.1] * 9
        recipe = RECIPE.but(epochs=10)
        history = fit(ToyGame(), ToyData(), recipe, scorer=Scripted(values), early_stopping=True)
        assert len(history) == 6

    def test_an_unknown_metric_is_refused_before_training(self):
        with pytest.raises(UnknownNameError, match="no metric to monitor named 'valid_loss'"):
            fit(ToyGame(), ToyData(), RECIPE, scorer=ToyScorer(), monitor="valid_loss")


class Clock:
    """Time that passes when told so."""

    now = 1000.0

    def __call__(self, recipe):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("rs_gen.training.loop._clock", clock)
    return clock


class TestBudget:
    def test_training_ends_when_the_minutes_are_over_with_the_rate_at_its_end(self, clock):
        rates = []

        class Spy(Callback):
            order = 5

            def before_batch(self):
                if self.training:
                    rates.append(self.learn.rate)
                    clock.now += 6

        recipe = Recipe(max_minutes=1, lr=1e-2, mixed_precision=False)
        history = fit(ToyGame(), ToyData(), recipe, scorer=ToyScorer(), callbacks=[Spy()])
        assert rates == pytest.approx([1e-2] * 6 + [0.8e-2, 0.6e-2, 0.4e-2, 0.2e-2])
        assert history[-1]["step"] == 10  # in the middle of an epoch
        assert history[-1]["seconds"] == 60
        assert "l1" in history[-1]  # the last weights are validated

    def test_validation_takes_about_a_tenth_of_a_budget(self, clock):
        class Slow(ToyScorer):
            def update(self, game, batch):
                clock.now += 6  # twice a validation
                return super().update(game, batch)

        class Tick(Callback):
            def after_step(self):
                clock.now += 3  # four times an epoch

        recipe = Recipe(max_minutes=10, mixed_precision=False)
        history = fit(ToyGame(), ToyData(), recipe, scorer=Slow(), callbacks=[Tick()])
        validated = [row["epoch"] for row in history if "l1" in row]
        assert validated[:4] == [1, 10, 19, 28]

    def test_the_processes_own_time_can_be_the_budget(self):
        wall, cpu = _clock(Recipe()), _clock(Recipe(budget="cpu"))
        time.sleep(0.2)
        assert _clock(Recipe()) - wall >= 0.2
        assert _clock(Recipe(budget="cpu")) - cpu < 0.15

    def test_epochs_hold_within_a_budget(self):
        history = fit(ToyGame(), ToyData(), RECIPE.but(max_minutes=5.0))
        assert len(history) == 3

    def test_valid_every_skips_epochs_but_not_the_last(self):
        history = fit(ToyGame(), ToyData(), RECIPE.but(epochs=5, valid_every=2), scorer=ToyScorer())
        assert ["l1" in row for row in history] == [False, True, False, True, True]


class TestProgress:
    def test_a_wrapper_is_driven_over_the_whole_run(self):
        seen, calls = [], []

        def progress(items, total=None, label=""):
            calls.append((total, label))
            for item in items:
                yield item
                seen.append(item)

        fit(ToyGame(), ToyData(), RECIPE, progress=progress)
        assert calls == [(12, "training")]
        assert seen == list(range(12))

    def test_a_wrapper_may_ask_for_the_losses(self):
        told = []

        def progress(items, total=None, label=""):
            for item in items:
                yield item
                told.append(items.losses())

        history = fit(ToyGame(), ToyData(), RECIPE.but(epochs=1), progress=progress)
        assert set(told[0]) == {"adversarial", "l1", "discriminator"}
        assert told[-1]["l1"] == history[-1]["loss_l1"]
        assert told[0]["l1"] != told[-1]["l1"]

    def test_a_wrapper_may_cancel(self):
        def progress(items, total=None, label=""):
            for item in items:
                if item == 5:
                    raise Cancelled("stopped by hand")
                yield item

        game = ToyGame()
        with pytest.raises(Cancelled, match="stopped by hand"):
            fit(game, ToyData(), RECIPE, progress=progress)
        assert not game.training

    def test_the_bar_shows_where_someone_looks_on(self, monkeypatch, capsys):
        assert shown(True) == []  # pytest is nobody
        assert shown(False) == shown(None) == []
        monkeypatch.setattr("rs_gen.training.progress._someone_looks", lambda: True)
        assert isinstance(shown(True)[0], Bar)
        fit(ToyGame(), ToyData(), RECIPE, scorer=ToyScorer(), progress=True)
        told = capsys.readouterr().err
        assert "epoch 3, step 12" in told
        assert "loss_l1" in told

    def test_tensorboard_gets_a_file(self, tmp_path):
        pytest.importorskip("tensorboard")
        fit(ToyGame(), ToyData(), RECIPE, folder=tmp_path, tensorboard=True)
        assert list((tmp_path / "tensorboard").glob("events*"))

    def test_tensorboard_that_is_missing_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
        with pytest.raises(MissingPackageError, match="pip install tensorboard"):
            Board(tmp_path)


class TestRefusals:
    def test_settings_that_can_not_work(self):
        for options, text in (
            ({"lr": 0}, "lr=0 is not a learning rate; try 2e-4"),
            ({"epochs": 0}, "epochs=0 leaves nothing to train"),
            ({"max_minutes": -1}, "max_minutes=-1 leaves nothing to train"),
            ({"budget": "gpu"}, "budget='gpu'; there are 'wall' and 'cpu'"),
            ({"valid_every": 0}, "valid_every=0; 1 validates every epoch"),
            ({"ema_rampup": 0}, "ema_rampup=0; a half-life is"),
        ):
            with pytest.raises(SettingError, match=text):
                Recipe(**options)
        with pytest.raises(UnknownNameError, match="no optimizer named 'sgd'"):
            Recipe(optimizer="sgd")

    def test_checkpoint_and_folder(self):
        with pytest.raises(SettingError, match="checkpoint='best'; there are True, False and 'al"):
            fit(ToyGame(), ToyData(), RECIPE, checkpoint="best")
        with pytest.raises(SettingError, match="need a folder to write into"):
            fit(ToyGame(), ToyData(), RECIPE, resume=True)

    def test_data_without_a_batch(self):
        with pytest.raises(SettingError, match="an epoch has no batch: fewer training chips"):
            fit(ToyGame(), ToyData(count=2, batch_size=3), RECIPE)


def test_a_callback_of_the_user_may_end_training():
    class Enough(Callback):
        order = 99

        def after_epoch(self):
            if self.epoch == 1:
                raise CancelFitException

    assert len(fit(ToyGame(), ToyData(), RECIPE, callbacks=[Enough()])) == 2


@pytest.mark.parametrize("name", ["Step", "Batch", "Progress"])
def test_a_callback_that_would_hide_the_learners_own_is_refused(name):
    hiding = type(name, (Callback,), {})
    with pytest.raises(SettingError, match=f"class {name} would hide learn.{name.lower()}; rename"):
        fit(ToyGame(), ToyData(), RECIPE, callbacks=[hiding()])


def test_a_recipe_is_ten_epochs_unless_it_is_given_time():
    assert Recipe().last_epoch == 10
    assert Recipe(epochs=3).last_epoch == 3
    assert Recipe(max_minutes=1).last_epoch > 1000
    assert Recipe(**{**Recipe().to_dict(), "betas": (0.5, 0.999)}) == Recipe()


@pytest.mark.cuda
def test_training_on_cuda_learns_and_keeps_count():
    game = ToyGame()
    history = fit(game, ToyData(), RECIPE.but(mixed_precision="auto"), scorer=ToyScorer(),
                  device="cuda")  # fmt: skip
    assert history[-1]["step"] == 12
    assert next(game.parameters()).is_cuda
