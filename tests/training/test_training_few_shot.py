import torch
from fastai.callback.core import CancelBackwardException

from rs_gen.games.dagan import DAGANGame
from rs_gen.training.few_shot import Progressing, Share, Turns, drawn_figure


class Learner:
    """As much of one as the parts look at."""

    def __init__(self, step=0, progress=0.0, model=None):
        self.step, self.done, self.model = step, progress, model
        self.learn = self

    def progress(self):
        return self.done


def at(part, learner):
    """The part, as fastai would give it its learner."""
    part.learn = learner
    return part


def game():
    torch.manual_seed(0)
    return DAGANGame(1, 16, width=4, latent=8, adversarial="hinge").eval()


def test_the_generator_learns_from_every_nth_batch():
    turns, learnt = Turns(3), []
    for step in range(7):
        try:
            at(turns, Learner(step)).before_backward()
        except CancelBackwardException:
            continue
        learnt.append(step)
    assert learnt == [2, 5]


def test_a_game_knows_how_much_of_its_training_is_over():
    played = game()
    part = at(Share(), Learner(progress=0.25, model=played))
    part.before_batch()
    assert played.share == 0.25
    part.close()
    assert played.share == 1.0


def test_pictures_come_after_equal_shares_of_the_training(tmp_path):
    supports = torch.rand(2, 2, 1, 16, 16)
    part = Progressing(tmp_path / "previews", supports, None, share=0.25)
    for step in range(1, 11):
        at(part, Learner(step, step / 10, game())).after_batch()
    written = sorted(p.name for p in (tmp_path / "previews").iterdir())
    assert written == ["step_000003.png", "step_000006.png", "step_000009.png"]


def test_the_figure_has_a_row_a_class_and_depends_on_the_seed_alone():
    played, supports = game(), torch.rand(3, 2, 1, 16, 16)
    torch.manual_seed(1)
    figure = drawn_figure(played, supports, None, seed=4, drawn=2)
    assert len(figure.axes) == 3 * (2 + 2)
    torch.manual_seed(2)
    again = drawn_figure(played, supports, None, seed=4, drawn=2)
    one, two = (f.axes[2].images[0].get_array() for f in (figure, again))
    assert (one == two).all()
