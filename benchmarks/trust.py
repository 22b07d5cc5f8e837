"""Do the trust layers respond? Failures planted in the sample world, and the area under the ROC.

    python -m benchmarks.trust --minutes 3

Trains a small CycleGAN from satellite to map on one place of the sample world (summer), then asks
of another place how well each layer finds: buildings that the translation leaves out or makes up,
clouds, its own worst errors, another season, another sensor stretch. Beside them: what costs
nothing (gradient of the source, distance from the training mean, dice). What is finished is kept.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import torch

from benchmarks.common import CORES, Stopwatch, kept, machine
from benchmarks.seams import NETWORK, TRAINING
from rs_gen import CycleGAN, prepare_data
from rs_gen.chips.export import export_chips
from rs_gen.errors import RSGenWarning
from rs_gen.games.package import load
from rs_gen.metrics.detection import auc_score
from rs_gen.raster.reader import RasterReader
from rs_gen.raster.writer import geotiff
from rs_gen.translate.translator import Translator
from rs_gen.translate.trust import check_drift, write_trust
from sample_data.features import Features
from sample_data.kinds import BUILDING, KINDS
from sample_data.land import Land
from sample_data.make import ORIGIN, write_scene
from sample_data.world import World

SEED = 7
BLOCK, GROUP = 16, 64  # pixels: what is scored, and what the bootstrap draws
ELSEWHERE = (ORIGIN[0] + 9216.0, ORIGIN[1])  # town, fields and woods
_LABEL = np.array([kind.label for kind in KINDS])


class EditedLand(Land):
    """A land with some buildings gone, or some halls and ponds more, in squares of 96 m."""

    def __init__(self, seed: int, edit: str):
        super().__init__(seed)
        self.edit = edit

    def features(self, bounds):
        """As of any land, edited."""
        found = super().features(bounds)
        if self.edit == "deleted":
            x, y = found.number[:, 3], found.number[:, 4]
            chosen = np.array([_square(a, b) for a, b in zip(x, y, strict=True)], bool)
            return found.take(~((_LABEL[found.kind] == BUILDING) & chosen))
        return Features.join([found, _halls(bounds)])


def _square(x: float, y: float) -> bool:
    """Whether the square of a place is one of the third that are edited."""
    return np.random.default_rng([int(x // 96) + 10**6, int(y // 96) + 10**6]).random() < 0.33


def _halls(bounds) -> Features:
    rows = []
    for i in range(int(bounds[0] // 96), int(bounds[2] // 96) + 1):
        for j in range(int(bounds[1] // 96), int(bounds[3] // 96) + 1):
            x, y = i * 96 + 48, j * 96 + 48
            if _square(x, y):
                hall = (i + j) % 2
                shape = shapely.box(x - 22, y - 15, x + 22, y + 15)
                shape = shape if hall else shapely.Point(x, y).buffer(20)
                rows.append((shape, None, "hall" if hall else "water", (0.0, 0.0, 9.0 * hall)))
    return Features.of(rows)


class EditedWorld(World):
    """A world with an edited land."""

    def __init__(self, seed: int, edit: str):
        super().__init__(seed)
        self.land = EditedLand(seed, edit)


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", RSGenWarning)
    out = options.out
    model, half = train(out, options.minutes)
    if options.only == "train":
        return
    scenes = draw(out / f"scenes_{options.size}", options.size)
    out = out / f"size_{options.size}"
    out.mkdir(exist_ok=True)
    report = {
        "machine": machine(),
        "training": [json.loads(path.with_suffix(".json").read_text()) for path in (half, model)],
    }
    found = {}
    for name, part in PARTS.items():
        watch = Stopwatch()
        work: Callable[[], dict[str, Any]] = lambda part=part: part(model, half, scenes, out)  # noqa: E731
        found[name] = kept(out / f"{name}.json", work, options.again)
        print(name, watch.seconds(), json.dumps(found[name], indent=1, default=str))
    report |= found
    (out / "trust.json").write_text(json.dumps(report, indent=1, default=str) + "\n")
    picture(found, scenes, out)


def train(out: Path, minutes: float) -> tuple[Path, Path]:
    """The model, and the same at half of its training: two checkpoints, each kept once done."""
    model, half = out / "model", out / "half"
    for path, before in ((half, None), (model, half)):
        kept(out / f"{path.name}.json", lambda p=path, b=before: _fit(out, p, b, minutes / 2))
    return model, half


def _fit(out: Path, path: Path, before: Path | None, minutes: float) -> dict[str, Any]:
    place = out / "place"
    if not (out / "chips" / "chips.json").exists():
        drawn = write_scene(place, 1536, SEED, ("satellite", "map"), vectors=False)
        export_chips(drawn["satellite"], drawn["map"], out / "chips", 128, overwrite=True)
    data = prepare_data(out / "chips", "CycleGAN", batch_size=1, seed=42, working_dir=out)
    if before is None:
        made = CycleGAN(data, preset="small", **NETWORK, **TRAINING)
    else:
        made = CycleGAN.from_model(before, data)
    watch = Stopwatch()
    made.fit(
        max_minutes=minutes, budget="cpu", preview=False, checkpoint=False, progress=False,
        valid_every=10**6, folder=out / f"fit_{path.name}", mixed_precision=False,
    )  # fmt: skip
    made.save(path, compute_metrics=False)
    return {"steps": made.history[-1]["step"], "chips": len(data.train_ds), **watch.seconds()}


def draw(folder: Path, size: int) -> dict[str, Path]:
    """Satellite pictures of the unseen place, its true map, and the planted failures' masks."""
    looks = {
        "plain": {}, "winter": {"season": "winter"}, "autumn": {"season": "autumn"},
        "clouds": {"clouds": 0.5},
    }  # fmt: skip
    paths = {}
    for name, options in looks.items():
        wanted = ("satellite", "map", "classes") if name == "plain" else ("satellite",)
        where = folder / name
        if not (where / "satellite.tif").exists():
            write_scene(where, size, SEED, wanted, origin=ELSEWHERE, vectors=False, **options)
        paths |= {name: where / "satellite.tif"}
    paths |= {"map": folder / "plain" / "map.tif", "classes": folder / "plain" / "classes.tif"}
    for edit in ("deleted", "added"):
        paths |= {edit: folder / f"{edit}.tif", f"{edit} classes": folder / f"{edit}_classes.tif"}
        if not paths[f"{edit} classes"].exists():
            with RasterReader(paths["plain"]) as reader:
                drawn = EditedWorld(SEED, edit).draw(reader.grid, ("satellite", "classes"))
                _write(paths[edit], drawn["satellite"], reader, names=reader.names, nodata=0)
                _write(paths[f"{edit} classes"], drawn["classes"], reader)
    paths["stretch"] = folder / "stretch.tif"
    with RasterReader(paths["plain"]) as reader:
        pixels = reader.read(reader.grid.window).filled(0).astype(float)
        brighter = np.clip(pixels * 1.35 + 150, 1, 65535).astype("uint16")
        _write(paths["stretch"], brighter, reader, names=reader.names, nodata=0)
    return paths


def omissions(model: Path, half: Path, scenes: dict[str, Path], out: Path) -> dict[str, Any]:
    """Buildings left out: the translation is of a world without them."""
    return _edited("deleted", model, scenes, out)


def inventions(model: Path, half: Path, scenes: dict[str, Path], out: Path) -> dict[str, Any]:
    """Halls and ponds made up: the translation is of a world that has them."""
    return _edited("added", model, scenes, out)


def _edited(edit: str, model: Path, scenes: dict[str, Path], out: Path) -> dict[str, Any]:
    translate = Translator.of(model, device="cpu")
    judged = translate(scenes[edit], out / f"{edit}_map.tif")
    wanted = _changed(scenes["classes"], scenes[f"{edit} classes"])
    held = _layers(model, scenes["plain"], out / f"{edit}_trust.tif", "all", translation=judged)
    bare = _layers(model, scenes["plain"], out / f"{edit}_bare.tif", "cycle", translation=judged,
                   noise=0.0)  # fmt: skip
    held["cycle without noise"] = bare["cycle"]
    return _scores(held | _baselines(model, scenes["plain"]), wanted, f"{edit} objects")


def clouds(model: Path, half: Path, scenes: dict[str, Path], out: Path) -> dict[str, Any]:
    """Clouds, which training never showed."""
    plain, cloudy = _pixels(scenes["plain"]), _pixels(scenes["clouds"])
    wanted = _blocks((np.abs(cloudy - plain) / plain).mean(axis=0) > 0.25) > 0.25
    held = _all_layers(model, half, scenes["clouds"], out / "clouds_trust.tif")
    return _scores(held | _baselines(model, scenes["clouds"]), wanted, "clouds and their shadows")


def errors(model: Path, half: Path, scenes: dict[str, Path], out: Path) -> dict[str, Any]:
    """The model's own errors on the unseen place: the worst tenth of all blocks."""
    made = Translator.of(model, device="cpu")(scenes["plain"], out / "plain_map.tif")
    error = _blocks(np.abs(_pixels(made) - _pixels(scenes["map"])).mean(axis=0))
    held = _all_layers(model, half, scenes["plain"], out / "plain_trust.tif")
    wanted = error > np.quantile(error, 0.9)
    found = _scores(held | _baselines(model, scenes["plain"]), wanted, "worst tenth of blocks")
    kinds = {
        "stored, with noise": held["cycle"].mean(),
        "network to network": _direct(model, scenes),
    }
    return found | {"mean cycle error": {k: float(v) for k, v in kinds.items()},
                    "mean error of the translation, levels": float(error.mean())}  # fmt: skip


def _direct(model: Path, scenes: dict[str, Path]) -> float:
    """Mean cycle error with nothing stored in between: what CycleGAN trains for."""
    package = load(model)
    there = Translator.of(package, device="cpu")
    with RasterReader(scenes["plain"]) as reader:
        stored = reader.read(reader.grid.window)
    x = torch.from_numpy(there.source.stretch.encode(stored))[None]
    with torch.inference_mode():
        back = package.game.translate(package.game.translate(x), "BtoA")
    return float((back - x).abs().mean() / 2)


def another_season(model: Path, half: Path, scenes: dict[str, Path], out: Path) -> dict[str, Any]:
    """Winter against summer, of the same unseen place."""
    return _scene_against_plain("winter", model, half, scenes, out)


def another_stretch(model: Path, half: Path, scenes: dict[str, Path], out: Path) -> dict[str, Any]:
    """The same picture, 1.35 times as bright and 150 more."""
    return _scene_against_plain("stretch", model, half, scenes, out)


def _scene_against_plain(
    name: str, model: Path, half: Path, scenes: dict[str, Path], out: Path
) -> dict[str, Any]:
    each = [
        _all_layers(model, half, scenes[n], out / f"{n}_trust.tif") | _baselines(model, scenes[n])
        for n in ("plain", name)
    ]
    both = {key: np.concatenate([each[0][key], each[1][key]]) for key in each[0]}
    wanted = np.concatenate([np.zeros_like(each[0]["drift"], bool),
                             np.ones_like(each[1]["drift"], bool)])  # fmt: skip
    return _scores(both, wanted, f"{name} against summer")


def gate(model: Path, half: Path, scenes: dict[str, Path], out: Path) -> dict[str, Any]:
    """What is known of the bands before the job."""
    return {
        name: [band._asdict() for band in check_drift(model, scenes[name], "warn")]
        for name in ("plain", "deleted", "added", "autumn", "winter", "clouds", "stretch")
    }


PARTS = {
    "omissions": omissions, "inventions": inventions, "clouds": clouds, "errors": errors,
    "another_season": another_season, "another_stretch": another_stretch, "gate": gate,
}  # fmt: skip


def _all_layers(model: Path, half: Path, raster: Path, out: Path) -> dict[str, np.ndarray]:
    """The four layers, and disagreement over two checkpoints."""
    held = _layers(model, raster, out, "all")
    two = _layers(model, raster, out.with_stem(f"{out.stem}_two"), "disagreement", models=[half])
    return held | {"disagreement of checkpoints": two["disagreement"]}


def _layers(model: Path, raster: Path, out: Path, names: str, **options: Any) -> dict[str, Any]:
    """Block means of the layers; realness turned round, so that more is worse everywhere."""
    if not out.exists():
        write_trust(model, raster, out, names, device="cpu", **options)
    with RasterReader(out) as reader:
        bands = reader.read(reader.grid.window).filled(np.nan)
        heads = [name.split()[0] for name in reader.names]
    held = {head: _blocks(band) for head, band in zip(heads, bands, strict=True)}
    if "realness" in held:
        held["realness"] = -held["realness"]
    return held


def _baselines(model: Path, raster: Path) -> dict[str, np.ndarray]:
    """What costs nothing: gradient of the source, distance from the training mean, dice."""
    card, pixels = load(model, discriminators=False).card, _pixels(raster)
    mean, std = (np.array(card.source[key])[:, None, None] for key in ("mean", "std"))
    normed = (pixels - mean) / std
    rows, cols = np.gradient(normed, axis=(1, 2))
    return {
        "gradient of the source": _blocks(np.hypot(rows, cols).mean(axis=0)),
        "distance from the training mean": _blocks(np.abs(normed).mean(axis=0)),
        "dice": np.random.default_rng(0).random(_blocks(normed[0]).shape),
    }


def _scores(held: dict[str, np.ndarray], wanted: np.ndarray, what: str) -> dict[str, Any]:
    rows, cols = np.indices(wanted.shape) // (GROUP // BLOCK)
    groups = (rows * 10_000 + cols).ravel()
    protocol = f"{what}, blocks of {BLOCK} px, groups of {GROUP} px"
    return {name: auc_score(values.ravel(), wanted.ravel(), groups, protocol)._asdict()
            for name, values in held.items()}  # fmt: skip


def _changed(one: Path, other: Path) -> np.ndarray:
    """Blocks of which at least a tenth has another class."""
    return _blocks(_pixels(one)[0] != _pixels(other)[0]) >= 0.1


def _blocks(values: np.ndarray) -> np.ndarray:
    """(H, W) to the mean of each block."""
    rows, cols = (n // BLOCK for n in values.shape)
    return values.astype(float).reshape(rows, BLOCK, cols, BLOCK).mean(axis=(1, 3))


def _pixels(path: Path) -> np.ndarray:
    with RasterReader(path, palette="ids") as reader:
        return reader.read(reader.grid.window).filled(0).astype(float)


def _write(path: Path, pixels: np.ndarray, like: RasterReader, **options: Any) -> None:
    dtype = str(pixels.dtype)
    with geotiff(path, like.grid, count=len(pixels), dtype=dtype, **options) as writer:
        writer.write(pixels)


def picture(found: dict[str, Any], scenes: dict[str, Path], out: Path) -> Path:
    """Three failures with the layer that answers, and all areas under the curve."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 11), layout="constrained")
    axes = figure.subplots(3, 4)
    part = slice(0, 384)
    band = {"cycle": 0, "disagreement": 1, "drift": 2}
    rows = [
        ("Buildings left out", scenes["plain"], out / "deleted_map.tif", "deleted_trust", "cycle"),
        ("Halls and ponds made up", scenes["plain"], out / "added_map.tif", "added_trust", "cycle"),
        ("Clouds", scenes["clouds"], None, "clouds_trust", "drift"),
    ]
    for axis, (title, source, made, trust, layer) in zip(axes, rows, strict=True):
        axis[0].imshow(_look(_pixels(source)[:, part, part]))
        axis[0].set_title("source" if made else "source with clouds")
        shown = made or out / "clouds_map.tif"
        if not shown.exists():
            Translator.of(out.parent / "model", device="cpu")(source, shown)
        axis[1].imshow(_pixels(shown)[:3, part, part].transpose(1, 2, 0).astype("uint8"))
        axis[1].set_title("translation that is judged")
        values = _pixels(out / f"{trust}.tif")[band[layer]][part, part]
        axis[2].imshow(values, cmap="RdYlGn_r", vmin=0, vmax=np.quantile(values, 0.99))
        axis[2].set_title(layer)
        axis[0].set_ylabel(title, fontsize=13)
    for axis, name in zip(axes[:, 3], ("omissions", "inventions", "clouds"), strict=True):
        scores = {k: v for k, v in found[name].items() if isinstance(v, dict) and "value" in v}
        at, values = np.arange(len(scores)), [s["value"] for s in scores.values()]
        ends = [[s[end] if s[end] is not None else s["value"] for s in scores.values()]
                for end in ("low", "high")]  # fmt: skip
        axis.hlines(at, *ends, color="#888888")
        axis.plot(values, at, "o", color="#1f4e79")
        axis.axvline(0.5, color="#cccccc", zorder=0)
        axis.set_yticks(at, scores, fontsize=8)
        axis.set_xlim(0, 1)
        axis.invert_yaxis()
        axis.set_title(f"area under the curve, {name}", fontsize=10)
    for axis in axes[:, :3].ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(out / "trust.png", dpi=70)
    return out / "trust.png"


def _look(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) of the first three bands, stretched."""
    low, high = np.percentile(pixels[:3], (1, 99))
    return np.clip((pixels[:3] - low) / (high - low), 0, 1).transpose(1, 2, 0) ** 0.7


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/trust"))
    parser.add_argument("--minutes", type=float, default=3, help="of training, CPU minutes")
    parser.add_argument("--size", type=int, default=768, help="side of the unseen place, px")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--only", choices=("train", "all"), default="all")
    parser.add_argument("--again", action="store_true", help="also what was measured before")
    return parser.parse_args()


if __name__ == "__main__":
    main()
