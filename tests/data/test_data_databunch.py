import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from matplotlib.figure import Figure

from rs_gen.chips.index import write_card
from rs_gen.data.databunch import ChipLoader, prepare_data, usual_workers
from rs_gen.errors import ChipError, LayoutError, SettingError

IMAGERY = Path(__file__).parents[2] / ".." / "shared" / "data"


def gather(loader):
    return list(loader)


def equal(first, second):
    return len(first) == len(second) and all(
        torch.equal(x, y)
        for one, other in zip(first, second, strict=True)
        for x, y in zip(one, other, strict=True)
    )


def files_below(folder):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(folder.rglob("*"))}


def test_a_databunch_is_fastais_with_the_names_of_arcgis_learn(make, tmp_path):
    data = prepare_data(make(10), batch_size=2, val_split_pct=0.2, working_dir=tmp_path)
    assert isinstance(data, DataLoaders)
    assert isinstance(data.train_dl, DataLoader)
    assert (data.kind, data.dataset_type) == ("Pix2Pix", "Pix2Pix")
    assert (len(data.train_ds), len(data.valid_ds)) == (8, 2)
    assert (data.train_dl, data.valid_dl) == (data.train, data.valid)
    assert (data.chip_size, data.batch_size, data.n_channel, data.c) == (32, 2, 3, 3)
    assert (data.path, data.working_dir) == (tmp_path / "chips", tmp_path)
    assert data.paired_valid
    assert data.classes == []
    assert len(data.train) == 4


def test_a_batch_is_two_tensors_in_range(make):
    a, b = prepare_data(make(10)).one_batch()
    assert a.shape == b.shape == (4, 3, 32, 32)
    assert a.dtype == torch.float32
    assert a.min() >= -1
    assert a.max() <= 1
    assert a.std() > 0.3


def test_pairs_come_in_batches_of_four_and_unpaired_chips_one_by_one(make):
    folder = make(10)
    assert prepare_data(folder).batch_size == 4
    data = prepare_data(folder, "CycleGAN")
    assert data.batch_size == 1
    assert data.paired_valid
    assert not prepare_data(make(5, layout="unaligned", name="u")).paired_valid


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["Pix2Pix", "CycleGAN"])
def test_a_resumed_epoch_gives_the_batches_that_were_left_bit_for_bit(make, kind, workers):
    folder = make(9)
    options = {"batch_size": 2, "jitter": True, "num_workers": workers}
    whole = prepare_data(folder, kind, **options)
    epochs = [gather(whole.train) for _ in range(3)]
    assert not equal(epochs[0], epochs[1])
    torch.manual_seed(77)
    np.random.seed(77)
    resumed = prepare_data(folder, kind, **options)
    resumed.train.set_position(1, 2)
    assert resumed.train.position == (1, 2)
    assert equal(gather(resumed.train), epochs[1][2:])
    assert equal(gather(resumed.train), epochs[2])
    assert len(resumed.train) == len(epochs[0])


def test_the_number_of_workers_and_the_cache_change_nothing(make):
    folder = make(9)
    plain = prepare_data(folder, cache=False, num_workers=0)
    for options in ({"cache": True}, {"cache": False, "num_workers": 2}, {"num_workers": 2}):
        data = prepare_data(folder, **options)
        for _ in range(2):
            plain.train.set_position(*data.train.position)
            assert equal(gather(data.train), gather(plain.train))
        assert equal(gather(data.valid), gather(plain.valid))


@pytest.mark.slow  # a spawned worker imports torch anew
def test_spawned_workers_give_the_same_bits(make):
    folder = make(9)
    plain = prepare_data(folder, num_workers=0)
    spawned = prepare_data(folder, num_workers=1, start_method="spawn")
    assert equal(gather(spawned.train), gather(plain.train))
    assert equal(gather(spawned.train), gather(plain.train))


def test_datasets_can_be_sent_to_another_process(make):
    data = prepare_data(make(4))
    again = pickle.loads(pickle.dumps(data.train_ds))
    assert equal([again[1]], [data.train_ds[1]])


def test_another_seed_gives_other_batches(make):
    folder = make(9)
    one, other = prepare_data(folder, seed=1), prepare_data(folder, seed=2)
    assert not equal(gather(one.train), gather(other.train))
    assert equal(
        gather(prepare_data(folder, seed=1).train), gather(prepare_data(folder, seed=1).train)
    )


def test_looking_at_one_batch_moves_nothing(make):
    data = prepare_data(make(9))
    first = data.one_batch()
    assert data.train.position == (0, 0)
    data.show_batch()
    assert equal([first], gather(data.train)[:1])


def test_an_epoch_that_was_broken_off_is_over(make):
    data = prepare_data(make(9))
    next(iter(data.train))
    assert data.train.position == (1, 0)


def test_validation_is_the_same_every_time(make):
    for kind in ("Pix2Pix", "CycleGAN"):
        data = prepare_data(make(20, name=kind), kind, val_split_pct=0.3)
        assert equal(gather(data.valid), gather(data.valid))


def test_a_position_that_is_none_is_refused(make):
    with pytest.raises(SettingError, match="batch=-1 is not a whole number of at least 0"):
        prepare_data(make(4)).train.set_position(0, -1)


def test_a_loader_can_be_made_anew_over_other_chips(make):
    data = prepare_data(make(9), batch_size=2)
    other = data.train.new(data.valid_ds, bs=1)
    assert isinstance(other, ChipLoader)
    assert len(other) == len(data.valid_ds)
    assert equal(gather(data.train.new()), gather(data.train))


def test_the_last_batch_can_be_dropped_in_training_only(make):
    data = prepare_data(make(10), batch_size=4, drop_last=True, val_split_pct=0.3)
    assert [len(a) for a, _ in data.train] == [4]
    assert [len(a) for a, _ in data.valid] == [3]


def test_the_dataset_is_only_read(make, tmp_path):
    folder = make(8)
    before = files_below(folder)
    data = prepare_data(folder, "CycleGAN", balance=True, min_size=4)
    gather(data.train)
    data.show_batch().savefig(tmp_path / "shown.png")
    assert files_below(folder) == before


def test_models_go_beside_our_own_chips_and_never_into_others(make, monkeypatch, tmp_path):
    folder = make(8)
    monkeypatch.chdir(tmp_path)
    data = prepare_data(folder)
    assert data.working_dir == tmp_path
    write_card(folder, {"a": data.a.to_dict(), "b": data.b.to_dict()})
    assert prepare_data(folder).working_dir == folder


def test_a_network_that_needs_a_multiple_says_which_size_would_do(make):
    data = prepare_data(make(4, size=50))
    data.check_size(2)
    with pytest.raises(
        ChipError, match="chips are 50 px but this generator needs a multiple of 4; try 48"
    ):
        data.check_size(4)
    with pytest.raises(ChipError, match="needs a multiple of 256; export chips of 256 px"):
        data.check_size(256)


def test_the_repr_tells_an_analyst_what_was_found(make):
    folder = make(10, bands=(5, 3), dtypes=("uint16", "uint8"), suffix=".tif", size=40)
    told = repr(prepare_data(folder, chip_size=32, jitter=True))
    for part in (
        "DataBunch for Pix2Pix: 9 pairs to train on, 1 pair to validate with",
        f"{folder} (layout rs_gen, pairs)",
        "0.1 of the chips, drawn with seed 42",
        "40 x 40 px, cut to 32 px at random places",
        "source A    5 bands (band_1, band_2, band_3, band_4, band_5), uint16, 10 m, EPSG:32633",
        "target B    3 bands (red, green, blue), uint8",
        "stretch 0..255",
        "3 of 4 an epoch, with flips and quarter turns, jitter on the source",
        "chips kept in memory",
    ):
        assert part in told


def test_show_batch_draws_source_beside_target(make, tmp_path):
    data = prepare_data(make(10, bands=(1, 3)))
    figure = data.show_batch(rows=3)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 6
    assert figure.axes[0].get_title() == "source (A)"
    assert figure.axes[0].get_ylabel() in {f"{i:03d}" for i in range(10)}
    assert len(data.show_batch(rows=99, valid=True).axes) == 2
    unpaired = prepare_data(make(5, 4, layout="unaligned", name="u"))
    assert " / " in unpaired.show_batch(rows=3, rgb_bands=[2, 1, 0]).axes[0].get_ylabel()


def test_the_usual_number_of_workers_leaves_the_trainer_its_cores(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr("sys.platform", "linux")
    assert usual_workers(True, cpu, cores=64) == 0
    assert [usual_workers(False, cpu, cores=n) for n in (1, 2, 3, 16)] == [0, 0, 1, 2]
    assert [usual_workers(True, cuda, cores=n) for n in (1, 2, 16)] == [0, 1, 4]
    monkeypatch.setattr("sys.platform", "win32")
    assert usual_workers(False, cuda, cores=16) == 0


def test_settings_are_refused_before_anything_is_read(tmp_path):
    nowhere = tmp_path / "nowhere"
    for wrong, text in (
        ({"dataset_type": "pixpix"}, "dataset_type='pixpix' is unknown"),
        ({"chip_size": 0}, "chip_size=0 is not a whole number of at least 1"),
        ({"jiter": 1}, "did you mean jitter"),
        ({"transforms": 3}, "transforms=3 is neither"),
        ({"cache": "all"}, "cache='all' is neither"),
        ({"device": "gpu"}, "device='gpu' is not a device"),
        ({"batch_size": 0}, "batch_size=0 is not a whole number"),
        ({"seed": "x"}, "seed='x' is not a whole number"),
    ):
        with pytest.raises(SettingError, match=text):
            prepare_data(nowhere, **wrong)
    with pytest.raises(LayoutError, match="there is no folder"):
        prepare_data(nowhere)
    with pytest.raises(LayoutError, match=r"path=\['a', 'b'\] is not one folder"):
        prepare_data(["a", "b"])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_chip_is_named_when_it_is_met(make, workers):
    folder = make(30)
    data = prepare_data(folder, sample=1, num_workers=workers)
    broken = data.train_ds.b.files.paths[7]
    broken.write_bytes(b"not a picture")
    with pytest.raises(ChipError, match=broken.name):
        gather(data.train)


def test_fastais_learner_trains_on_it(make):
    from fastai.learner import Learner

    data = prepare_data(make(9), batch_size=2)
    seen = []

    class Net(torch.nn.Conv2d):
        def forward(self, x):
            seen.append(x.shape)
            return super().forward(x)

    learner = Learner(data, Net(3, 3, 1), loss_func=torch.nn.L1Loss(), path=data.working_dir)
    learner.fit(2, 0.01)
    assert len(seen) == 2 * (len(data.train) + len(data.valid))
    assert data.train.position == (2, 0)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "kind", "sizes"),
    [
        ("maps256", "Pix2Pix", (1000, 96)),
        ("maps256", "CycleGAN", (1000, 96)),
        ("maps600", "Pix2Pix", (36, 4)),
    ],
)
def test_real_imagery_is_read(name, kind, sizes):
    if not (IMAGERY / name).is_dir():
        pytest.skip("the real imagery is not beside the project")
    data = prepare_data(IMAGERY / name, kind, chip_size=256, sample=8)
    assert (len(data.train_ds), len(data.valid_ds)) == sizes
    a, b = data.one_batch()
    assert a.shape[1:] == b.shape[1:] == (3, 256, 256)
