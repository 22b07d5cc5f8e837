"""Parcels, roads, buildings and outlines: the vectors."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from sample_data import buildings as built
from sample_data import parcels
from sample_data.features import Features
from sample_data.kinds import CLASSES, INDEX, KINDS, SEASONS
from sample_data.land import CELL, Land
from sample_data.network import REACH, SPACING, Network
from sample_data.parcels import Cut, Parcel
from sample_data.spectra import MATERIALS

SQUARE = np.array([[0, 0], [100, 0], [100, 60], [0, 60]], float)


@pytest.fixture(scope="module")
def land():
    return Land(2)


@given(turn=st.floats(0, 6.28), share=st.floats(0.05, 0.95))
def test_the_two_sides_of_a_cut_make_the_whole(turn, share):
    normal = np.array([np.cos(turn), np.sin(turn)])
    low, high = (SQUARE @ normal).min(), (SQUARE @ normal).max()
    above, below, line = parcels.split(SQUARE, normal, low + share * (high - low))
    assert parcels.area(above) + parcels.area(below) == pytest.approx(6000)
    assert line is not None
    assert np.allclose(line @ normal, low + share * (high - low))


def test_a_cut_beside_the_ring_leaves_it_whole():
    above, below, line = parcels.split(SQUARE, np.array([1.0, 0.0]), 200.0)
    assert line is None
    assert len(above) == 0
    assert len(below) == 4
    assert parcels.area(above) == 0


def test_parcels_cover_their_face_once():
    random = np.random.default_rng(1)
    ring = Network(3).ring(4, 5)
    found = list(parcels.divide(ring, 0.1, lambda at: 20000.0, random.random))
    pieces = [p for p in found if isinstance(p, Parcel)]
    assert len(pieces) == len([p for p in found if isinstance(p, Cut)]) + 1
    assert sum(parcels.area(p.ring) for p in pieces) == pytest.approx(parcels.area(ring))
    assert max(parcels.area(p.ring) for p in pieces) < 20000 * 2 / 0.9


@settings(deadline=None)
@given(x=st.floats(-50, 150), y=st.floats(-50, 150))
def test_clearance_is_the_distance_to_the_edge_and_negative_outside(x, y):
    ring = np.array([[0, 0], [100, 0], [100, 100], [50, 30], [0, 100]], float)
    shape, point = shapely.Polygon(ring), shapely.Point(x, y)
    expected = shape.exterior.distance(point) * (1 if shape.contains(point) else -1)
    assert parcels.clearance(ring, np.array([x, y])) == pytest.approx(expected, abs=1e-6)


def test_neighbouring_faces_share_their_curve():
    network = Network(7)
    corners = [{tuple(p) for p in network.ring(*face)} for face in ((2, 2), (3, 2), (2, 3))]
    assert {tuple(p) for p in network.curve(1, 3, 2)} <= corners[0] & corners[1]
    assert {tuple(p) for p in network.curve(0, 2, 3)} <= corners[0] & corners[2]


@pytest.mark.parametrize("seed", range(4))
def test_faces_are_sound_and_keep_within_reach_of_their_lattice_cell(seed):
    network = Network(seed)
    for i in range(-6, 6):
        for j in range(-6, 6):
            ring = network.ring(i, j)
            assert shapely.Polygon(ring).is_valid
            assert parcels.area(ring) > 0
            low, high = ring.min(0), ring.max(0)
            assert (low >= np.array([i, j]) * SPACING - REACH).all()
            assert (high <= np.array([i + 1, j + 1]) * SPACING + REACH).all()


def test_one_lattice_line_in_six_is_a_highway_all_along():
    network = Network(1)
    rows = [{network.rank(0, i, j) == "highway" for i in range(8)} for j in range(-6, 6)]
    assert all(len(row) == 1 for row in rows)
    assert sum(row == {True} for row in rows) == 2


@pytest.mark.parametrize(
    "style", [built.HOUSES, built.TERRACES, built.CITY], ids=lambda style: style.name
)
def test_buildings_along_edges_stand_inside_and_apart(style):
    ring = np.array([[0, 0], [180, 10], [170, 120], [-10, 110]], float)
    found = built.along_edges(ring, style, np.random.default_rng(3))
    shapes = [shapely.Polygon(b.ring) for b in found]
    assert len(found) > 10
    assert all(shape.is_valid for shape in shapes)
    assert all(shapely.Polygon(ring).contains(shape) for shape in shapes)
    assert all(style.height[0] <= b.height <= style.height[1] for b in found)
    tree = shapely.STRtree(shapes)
    assert all(len(tree.query(shape, "intersects")) == 1 for shape in shapes)
    if style.wings:
        assert {len(b.ring) for b in found} == {4, 6}


def test_scattered_buildings_follow_the_angle_they_are_given():
    found = built.scattered(SQUARE * 3, 0.4, built.HALLS, 30, np.random.default_rng(0))
    assert found
    assert [b.angle for b in found] == pytest.approx([0.4] * len(found))


def test_a_parcel_too_small_for_a_building_has_none():
    tiny = SQUARE / 20
    assert built.along_edges(tiny, built.HOUSES, np.random.default_rng(0)) == []


def test_water_and_forest_never_overlap_and_fit_across_squares(land):
    bounds = (490 * CELL + 1, 5260 * CELL + 1, 492 * CELL - 1, 5262 * CELL - 1)
    cover = land.cover(bounds)
    water, forest = (shapely.union_all(cover.named(name)) for name in ("water", "forest"))
    assert shapely.area(shapely.intersection(water, forest)) < 1e-3 * forest.area
    whole = shapely.union_all(shapely.buffer(cover.shape, 0.01))
    parts = sum(shape.area for shape in cover.shape)
    assert whole.area == pytest.approx(parts, rel=2e-3)


def test_no_building_stands_in_water_wood_or_road(land):
    found = [land.face(489, j) for j in range(5270, 5273)]
    for face in found:
        label = np.array([CLASSES[KINDS[k].label][0] for k in face.kind])
        houses = face.shape[label == "building"]
        roads = shapely.STRtree(face.shape[label == "road"])
        assert roads.query(houses, "intersects").size == 0
    assert sum((face.kind == INDEX["house"]).sum() for face in found) > 50


def test_a_face_is_the_same_whatever_was_made_before(land):
    again = Land(2).face(489, 5271)
    first = land.face(489, 5271)
    assert (again.kind == first.kind).all()
    assert (again.number == first.number).all()
    assert all(a.equals_exact(b, 0) for a, b in zip(again.shape, first.shape, strict=True))


def test_features_come_in_painting_order(land):
    found = land.features((501500, 5398000, 502200, 5398700))
    layers = np.array([KINDS[k].layer for k in found.kind])
    assert (np.diff(layers) >= 0).all()
    assert set(layers) >= {0, 3, 4}


def test_a_table_without_rows_is_a_table():
    empty = Features.join([])
    assert len(empty.shape) == 0
    assert empty.number.shape == (0, 5)
    assert len(empty.within((0, 0, 1, 1)).kind) == 0


def test_every_kind_is_made_of_known_materials_and_classes():
    for kind in KINDS:
        assert kind.ground in MATERIALS
        assert set(kind.plants) <= set(MATERIALS)
        assert len(kind.plants) == len(kind.share) == len(SEASONS)
        assert kind.label in CLASSES
    assert len(INDEX) == len(KINDS)
