from xml.etree import ElementTree

import pytest

from rs_gen.errors import SettingError
from rs_gen.raster.pseudocolor import Stop, write_style

STOPS = [Stop(0.0, "#1a9850", "fine"), Stop(0.25, "#d73027", '"<bad>" & worse')]


def test_a_style_is_xml_that_names_band_colours_and_labels(tmp_path):
    root = ElementTree.parse(write_style(tmp_path / "x.qml", 3, STOPS)).getroot()
    renderer = root.find("pipe/rasterrenderer")
    assert (root.tag, renderer.get("type")) == ("qgis", "singlebandpseudocolor")
    assert renderer.get("band") == "3"
    items = renderer.findall("rastershader/colorrampshader/item")
    assert [(float(i.get("value")), i.get("color"), i.get("label")) for i in items] == STOPS


def test_stops_must_rise(tmp_path):
    with pytest.raises(SettingError, match=r"\[0.25, 0.0\] do not rise"):
        write_style(tmp_path / "x.qml", 1, STOPS[::-1])
    assert not (tmp_path / "x.qml").exists()
