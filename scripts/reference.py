"""Write docs/reference from the docstrings: ``make docs``.

The code is read, not imported (``ast``), so this takes a moment, needs no torch and gives the same
pages on every machine. Tools and presets are the exception: they are data and import nothing heavy.
With ``--check`` nothing is written, and a page that is not up to date is an error.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT))

from scripts.docstrings import markdown  # noqa: E402 - found once the root is on the path

NOTE = "<!-- Written by scripts/reference.py: change the docstrings, then run `make docs`. -->"
BACK = "[All of the reference](index.md)"
WIDE = 88  # columns that a signature may take on one line


class Page(NamedTuple):
    """A page: its title, what it is about, and the names on it by module."""

    title: str
    about: str
    modules: dict[str, str]


PAGES = {
    "chips": Page(
        "Chips",
        "From rasters to training chips, and the layouts of chip datasets that are understood.",
        {
            "chips.export": "export_chips Export",
            "chips.classes": "export_class_chips",
            "chips.layouts": "find_layout Layout",
            "chips.index": "read_card read_index",
            "chips.split": "split_by_place",
        },
    ),
    "data": Page(
        "Data",
        "From a folder of chips to batches that a model is trained with.",
        {
            "data.databunch": "prepare_data DataBunch",
            "data.imagebunch": "ImageBunch",
            "data.image_options": "ImageOptions",
            "data.images": "Images",
            "data.few_shot_bunch": "FewShotBunch",
            "data.few_shot_options": "FewShotOptions",
            "data.episodes": "Episodes",
            "data.bunch": "Bunch usual_workers",
            "data.side": "Side",
            "data.transforms": "Augment Jitter",
            "data.show": "grid_figure",
        },
    ),
    "models": Page(
        "Models",
        "What an analyst holds: train, look, translate, save. Pix2Pix and CycleGAN share the "
        "methods of Model.",
        {
            "models.pix2pix": "Pix2Pix",
            "models.cyclegan": "CycleGAN",
            "models.regularized_gan": "RegularizedGAN",
            "models.base": "load_model Model",
            "models.translation": "TranslationModel",
            "models.generation": "GenerationModel",
            "models.recipes": "train",
            "models.f2gan": "F2GAN",
            "models.relatives": "MatchingGAN DAGAN GMN FIGR DAWSON",
            "models.few_shot": "FewShotModel",
            "models.preset": "Preset",
            "models.presets": "find_preset preset_for",
        },
    ),
    "training": Page(
        "Training",
        "How a model is trained: the numbers, the schedules, the alarms, the record.",
        {
            "training.recipe": "Recipe",
            "training.scenes": "fit_scenes right SceneRecipe Labelled",
            "training.traditional": "Traditional",
            "training.schedule": "linear warmup_flat_linear one_cycle constant",
            "training.learner": "fit",
            "training.record": "History",
            "training.alarms": "Alarms",
            "training.lr_find": "lr_find LrCurve",
            "training.evaluate": "PairScores UnpairedScores",
            "training.generation": "GenerationScores GenerationAlarms",
            "training.information": "feature_information effective_rank",
        },
    ),
    "translate": Page(
        "Translate",
        "A trained generator on rasters of any size.",
        {
            "translate.generated": "export_tiles Tiles",
            "translate.translator": "Translator",
            "translate.statistics": "sampled_statistics stored_statistics",
            "translate.plan": "Plan make_plan",
            "translate.verify": "Verification verify",
            "translate.trust": "write_trust check_drift chosen beside",
            "translate.drift": "BandDrift band_drift judge_drift FeatureDrift",
            "translate.cycle": "Stored CycleError",
            "translate.disagreement": "Turned Several spread",
            "translate.realness": "Judge Realness",
            "translate.features": "Encoder block_vectors",
            "translate.noise": "ground_noise",
            "translate.measure": "measure",
            "translate.storage": "Storage",
            "translate.classes": "Classes classes_of",
        },
    ),
    "jobs": Page(
        "Jobs",
        "Many rasters, or a huge one, in blocks: stopped or killed, they go on.",
        {
            "translate.batch": "translate_batch Batch",
            "translate.status": "status",
            "translate.estimate": "estimate",
            "translate.sources": "find_sources output_names",
            "translate.manifest": "Manifest Source Block",
            "translate.engines": "JobEngine Here Local",
            "translate.engine_dask": "Cluster",
        },
    ),
    "rasters": Page(
        "Rasters",
        "Grids, tiles, values, files and areas.",
        {
            "raster.grid": "Grid",
            "raster.tiles": "Tile walk count inside",
            "raster.values": "Stretch",
            "raster.presets": "auto percentile minmax meanstd db reflectance dtype_range",
            "raster.reader": "Reader RasterReader ArrayReader",
            "raster.writer": "geotiff RasterWriter optimise",
            "raster.overviews": "levels build",
            "raster.vector": "read_area read_areas read_polygons attributes window_of rasterize "
            "write_gpkg read_layer",
            "raster.polygons": "Drawn write_polygons",
            "raster.stac": "beside write_item read_item item_of own_tags",
            "raster.identity": "digest_of",
            "raster.cache": "block_cache",
            "raster.pseudocolor": "Stop write_style",
        },
    ),
    "metrics": Page(
        "Metrics",
        "Numbers about images. Each keeps the n that it is of.",
        {
            "metrics.protocol": "Score mean_score bootstrap",
            "metrics.image": "psnr ssim l1 within spectral_angle copy_ratio each_band score "
            "ImageScores",
            "metrics.palette": "Palette palette_of_map confusion class_iou mean_iou",
            "metrics.shift": "shift_of",
            "metrics.distance": "kernel_distance frechet_distance",
            "metrics.few_shot": "category_hit diversity support_distance few_shot_scores",
            "metrics.features": "Extractor ImageNetFeatures PixelFeatures features_of",
            "metrics.backbones": "BackboneFeatures InceptionFeatures",
            "metrics.generation": "generation_scores GenerationScorer",
            "reports.downstream": "four_arms judge collect table Arm",
            "metrics.nearest": "precision recall density coverage nearest_ratio nearest",
            "metrics.seams": "Seams seam_ratio",
            "metrics.drift": "psi ks Gaussian",
            "metrics.detection": "auc auc_score",
        },
    ),
    "games": Page(
        "Games",
        "The mathematics of a model, on tensors alone, and a game on disk.",
        {
            "games.base": "Game",
            "games.generative": "GenerativeGame",
            "games.pix2pix": "Pix2PixGame",
            "games.cyclegan": "CycleGANGame",
            "games.regularized_gan": "RegularizedGANGame",
            "games.few_shot": "FewShotGame views nudges",
            "games.f2gan": "F2GANGame",
            "games.matchinggan": "MatchingGANGame",
            "games.dagan": "DAGANGame",
            "games.gmn": "GMNGame",
            "games.figr": "FIGRGame",
            "games.dawson": "DAWSONGame",
            "games.pool": "ImagePool",
            "games.registry": "register create_game list_games game_class",
            "games.card": "Card",
            "games.reference": "Reference",
            "games.package": "save load read_card read_item Package",
            "losses.adversarial": "Adversarial adversarial",
            "losses.relativistic": "rpgan_d rpgan_g",
            "losses.regularizers": "uniformity entropy",
            "losses.penalties": "r1 gradient_penalty",
            "losses.reconstruction": "l1 ssim_loss",
            "losses.few_shot": "weighted_l1 mode_ratio mode_seeking interpolation_l1 matching_l1 "
            "normal_kl bernoulli_nats laplace_nats",
        },
    ),
    "networks": Page(
        "Networks",
        "Generators and discriminators, their normalisation, and how far they look.",
        {
            "networks.unet": "unet_generator",
            "networks.resnet": "resnet_generator",
            "networks.efficient": "efficient_unet",
            "networks.patchgan": "patchgan",
            "networks.r3gan": "R3Generator R3Discriminator",
            "networks.dcgan": "PlainGenerator PlainDiscriminator",
            "networks.pyramid": "Encoder Decoder",
            "networks.attention": "NonLocalFusion Borrowed",
            "networks.critic": "Critic CoefficientReader",
            "networks.norm": "InstanceNorm norm_layers gathering freeze unfreeze",
            "networks.reach": "Reach reach",
            "networks.folding": "fold",
            "networks.trimming": "trim",
            "networks.device": "pick_device autocast_dtype",
        },
    ),
    "errors": Page("Errors and warnings", "Everything that is raised on purpose.", {"errors": "*"}),
}  # fmt: skip


def main() -> int:
    pages, check = reference(), "--check" in sys.argv[1:]
    stale = [name for name, text in pages.items() if _text(OUT / name) != text]
    gone = sorted({p.name for p in OUT.glob("*.md")} - set(pages))
    if check:
        sys.stderr.writelines(f"docs/reference/{name} is not up to date\n" for name in stale + gone)
        return 1 if stale or gone else 0
    OUT.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (OUT / name).write_text(pages[name], encoding="utf-8")
    for name in gone:
        (OUT / name).unlink()
    print(f"docs/reference: {len(pages)} pages, {len(stale)} written, {len(gone)} removed")
    return 0


def reference() -> dict[str, str]:
    """File name to text of every page."""
    pages = {f"{name}.md": page(*held) for name, held in PAGES.items()}
    pages["models.md"] += presets()
    pages["tools.md"] = tools()
    return {"index.md": index(), **pages}


def index() -> str:
    """The page that lists the others."""
    lines = [NOTE, "# Reference", "", "Taken from the docstrings of the code.", ""]
    lines += ["- [Tools and the command line](tools.md)"]
    for name, (title, _, modules) in PAGES.items():
        names = [n for module in modules for n in _chosen(module, modules[module])]
        links = ", ".join(f"[{n}]({name}.md#{n.lower()})" for n in names)
        lines.append(f"- [{title}]({name}.md): {links}")
    return "\n".join(lines) + "\n"


def page(title: str, about: str, modules: dict[str, str]) -> str:
    """One page of names from the code."""
    lines = [NOTE, f"# {title}", "", about, "", BACK]
    for module, names in modules.items():
        tree = _tree(module)
        lines += ["", f"## rs_gen.{module}", "", *markdown(ast.get_docstring(tree) or "")]
        for name in _chosen(module, names):
            lines += ["", *_entry(_find(tree, module, name))]
    return "\n".join(lines) + "\n"


def _entry(node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    """A class with its documented public methods, or a function."""
    yield from (f"### {node.name}", "", "```python")
    yield from (class_lines(node) if isinstance(node, ast.ClassDef) else signature(node))
    yield from ("```", "", *markdown(ast.get_docstring(node) or ""))
    if not isinstance(node, ast.ClassDef):
        return
    for method in node.body:
        if not isinstance(method, ast.FunctionDef) or not ast.get_docstring(method):
            continue
        if method.name.startswith("_") and method.name != "__call__":
            continue
        yield from ("", f"#### {node.name}.{method.name}", "", "```python")
        yield from (*signature(method, bound=True), "```", "")
        yield from markdown(ast.get_docstring(method) or "")


def class_lines(node: ast.ClassDef) -> Iterator[str]:
    """How a class is made: its fields, or its ``__init__``."""
    yield from (f"@{_code(d)}" for d in node.decorator_list)
    bases = ", ".join(_code(base) for base in node.bases)
    yield f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    init = next((n for n in node.body if getattr(n, "name", "") == "__init__"), None)
    fields = [
        _code(n) for n in node.body
        if isinstance(n, ast.AnnAssign) and not _code(n.target).startswith("_")
        and "init=False" not in _code(n)
    ]  # fmt: skip
    if isinstance(init, ast.FunctionDef):
        yield from (f"    {line}" for line in signature(init, bound=True))
    else:
        yield from (f"    {field}" for field in fields or ["..."])


def signature(node: ast.FunctionDef, *, bound: bool = False) -> list[str]:
    """``def name(...) -> type: ...`` on one line, or on a line a parameter."""
    given = node.args
    plain = [*given.posonlyargs, *given.args]
    blank: list[ast.expr | None] = [None] * (len(plain) - len(given.defaults))
    taken = [_parameter(a, d) for a, d in zip(plain, [*blank, *given.defaults], strict=True)]
    if bound and not any(_code(d) == "staticmethod" for d in node.decorator_list):
        taken = taken[1:]
    if given.vararg:
        taken.append("*" + _parameter(given.vararg, None))
    elif given.kwonlyargs:
        taken.append("*")
    kept = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    taken += [_parameter(a, d) for a, d in kept]
    if given.kwarg:
        taken.append("**" + _parameter(given.kwarg, None))
    end = f") -> {_code(node.returns)}: ..." if node.returns else "): ..."
    above = [f"@{_code(d)}" for d in node.decorator_list if _telling(d)]
    line = f"def {node.name}({', '.join(taken)}{end}"
    if len(line) <= WIDE:
        return [*above, line]
    return [*above, f"def {node.name}(", *(f"    {one}," for one in taken), end]


def _telling(decorator: ast.expr) -> bool:
    return _code(decorator) in ("property", "classmethod", "staticmethod", "contextmanager")


def _parameter(node: ast.arg, default: ast.expr | None) -> str:
    kind = f": {_code(node.annotation)}" if node.annotation else ""
    if default is None:
        return node.arg + kind
    return f"{node.arg}{kind}{' = ' if kind else '='}{_code(default)}"


def _code(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if '"' in text else text.replace("'", '"')


def tools() -> str:
    """The page of tools, from the same parameters that the command line is made of."""
    from rs_gen.tools import TOOLS, parameters

    about = (
        "Each tool is a command, `rs-gen NAME`, a geoprocessing tool in ArcGIS Pro, and a function "
        "of `rs_gen.tools` that takes and gives paths. Every command also takes `--help`, and "
        "`--json` for one JSON object a line instead of text."
    )
    lines = [NOTE, "# Tools and the command line", "", about, "", BACK]
    for name, tool in TOOLS.items():
        asked = parameters(tool)
        places = " ".join(p.name.upper() for p in asked if p.required)
        usage = f"rs-gen {name.replace('_', '-')} [OPTIONS] {places}".rstrip()
        lines += ["", f"## {name}", "", *markdown(inspect.getdoc(tool) or "")]
        lines += ["", "```text", usage, "```", "", *table("parameter", "what it is", "default")]
        lines += [_row(p) for p in asked]
    return "\n".join(lines) + "\n"


def _row(p) -> str:
    shown = f"`{p.name.upper()}`" if p.required else f"`--{p.name.replace('_', '-')}`"
    about = p.input.help
    if p.input.choices:
        about += f" One of {', '.join(f'`{c}`' for c in p.input.choices)}."
    default = {None: "", "": ""}.get(p.default, p.default) if not p.required else "needed"
    return f"| {shown} | {about} | {'off' if default is False else default} |"


def presets() -> str:
    """What the presets set, as a part of the page on models."""
    from rs_gen.models.presets import PRESETS

    heads = table("model", "preset", "for", "settings", "batch size")
    lines = ["", "## Presets", "", *heads]
    for model, named in PRESETS.items():
        for name, preset in named.items():
            settings = {**preset.game, **preset.recipe}
            shown = ", ".join(f"`{k}={v!r}`" for k, v in settings.items())
            lines.append(f"| {model} | `{name}` | {preset.about} | {shown} | {preset.batch_size} |")
    return "\n".join(lines) + "\n"


def table(*heads: str) -> list[str]:
    """The first two lines of a table."""
    return [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]


def _tree(module: str) -> ast.Module:
    path = ROOT / "rs_gen" / (module.replace(".", "/") + ".py")
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _chosen(module: str, names: str) -> list[str]:
    if names != "*":
        return names.split()
    return [node.name for node in _tree(module).body if isinstance(node, ast.ClassDef)]


def _find(tree: ast.Module, module: str, name: str) -> ast.ClassDef | ast.FunctionDef:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    raise SystemExit(f"rs_gen.{module} has no {name} any more; mend PAGES in scripts/reference.py")


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
