from __future__ import annotations

import json
import subprocess
import sys

from rs_gen import listing, tools


def described(name: str) -> dict:
    return next(tool for tool in listing.tool_list()["tools"] if tool["name"] == name)


def test_the_list_has_every_tool_and_parameter_and_is_json():
    told = json.loads(json.dumps(listing.tool_list()))
    assert [tool["name"] for tool in told["tools"]] == list(tools.TOOLS)
    for tool in told["tools"]:
        known = tools.parameters(tools.TOOLS[tool["name"]])
        assert [p["name"] for p in tool["parameters"]] == [p.name for p in known]
        assert [p["help"] for p in tool["parameters"]] == [p.input.help for p in known]


def test_a_parameter_is_told_by_its_place_or_by_its_flag():
    asked = {p["name"]: p for p in described("translate")["parameters"]}
    assert asked["raster"]["flag"] is None
    assert asked["tile_size"]["flag"] == "--tile-size"
    assert asked["area"]["many"]
    assert asked["area"]["type"] == "path"
    assert asked["batch_size"] == {
        "name": "batch_size", "flag": "--batch-size", "label": "Batch size", "first": False,
        "type": "int", "many": False, "default": 1, "help": "Tiles computed at once.",
        "kind": "value", "choices": (), "several": (), "ending": "", "low": 1, "high": None,
    }  # fmt: skip


def test_the_trust_layers_can_be_ticked():
    from rs_gen.translate.trust import LAYERS

    trust = next(p for p in described("translate")["parameters"] if p["name"] == "trust")
    assert trust["several"] == ("all", *LAYERS)


def test_what_the_list_names_exists():
    asked = {name: {p.name for p in tools.parameters(tool)} for name, tool in tools.TOOLS.items()}
    for name, first in listing.FIRST.items():
        assert set(first) <= asked[name]
    for name, derived in listing.DERIVED.items():
        assert {d.beside for d in derived} <= asked[name]


def test_a_tool_without_a_label_is_named_after_its_function():
    assert listing.label_of("count_trees") == ("Count Trees", "Utilities")
    assert listing.label_of("doctor") == ("Check Installation", "Utilities")


def test_labels_are_words_and_an_output_says_what_it_is():
    assert listing.word_for("translate", "tile_size") == "Tile size"
    assert listing.word_for("translate", "out") == "Translated raster"
    assert listing.word_for("count_trees", "out") == "Output"
    known = {
        f"{name}.{p.name}" for name, tool in tools.TOOLS.items() for p in tools.parameters(tool)
    }
    names = known | {name.split(".")[1] for name in known}
    assert set(listing.WORDS) <= names


def test_the_list_needs_the_standard_library_only():
    code = (
        "import sys, rs_gen.listing as l; l.tool_list(); "
        "print([m for m in ('torch', 'rasterio', 'numpy', 'click') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
