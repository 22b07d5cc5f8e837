from affine import Affine

from rs_gen.chips.index import write_index
from rs_gen.chips.overlaps import overlapping
from rs_gen.raster.grid import Grid


def test_chips_that_share_ground_are_found_and_neighbours_are_not(raster):
    def at(col, name):
        place = Affine(10, 0, 5e5 + 10 * col, 0, -10, 5e6)
        return raster(name, (16, 16), transform=place)

    first, neighbour, half, far = (at(c, f"{c}.tif") for c in (0, 16, 24, 99))
    found = overlapping(first.parent, [first, neighbour, far], [half])
    assert found.tolist() == [False, True, False]
    assert overlapping(first.parent, [half], [first, neighbour]).tolist() == [True]


def test_chips_of_two_zones_meet_on_the_ground(raster):
    here = Grid((16, 16), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32633")
    x, y = here.at(0, 0)
    assert (x, y) == (5e5, 5e6)
    lon = Affine(0.0002, 0, 15.0, 0, -0.0002, 45.1536)  # the same place, in degrees
    degrees = raster("deg.tif", (16, 16), transform=lon, crs="EPSG:4326")
    utm = raster("utm.tif", (16, 16), transform=here.transform)
    away = raster("away.tif", (16, 16), transform=Affine(10, 0, 6e5, 0, -10, 5e6))
    assert overlapping(utm.parent, [degrees, away], [utm]).tolist() == [True, False]


def test_the_index_tells_footprints_and_chips_without_place_overlap_none(raster, tmp_path):
    one, two = (raster(name, (16, 16), crs=None) for name in ("1.tif", "2.tif"))
    assert not overlapping(tmp_path, [one], [two]).any()
    square = Grid((16, 16), Affine(10, 0, 0, 0, -10, 0), "EPSG:32633").polygon
    rows = [{"stem": p.stem, "a": p.name, "split": "train", "geometry": square} for p in (one, two)]
    write_index(tmp_path, rows, "EPSG:32633")
    assert overlapping(tmp_path, [one], [two]).all()
