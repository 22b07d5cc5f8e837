"""Light, trees, spectra, options and what each look promises."""

import numpy as np
import pytest

from rs_gen.errors import SettingError, UnknownNameError
from sample_data import spectra
from sample_data.kinds import BUILDING, FIELD, FOREST, ROAD, WATER
from sample_data.light import Sun, clouds, shade
from sample_data.options import Options
from sample_data.world import World

RIVER = (500640.0, 5400064.0 - 512, 500640.0 + 512, 5400064.0)  # of seed 1
TOWN = (501504.0, 5398656.0 - 512, 501504.0 + 512, 5398656.0)  # of seed 2


@pytest.fixture(scope="module")
def river():
    return World(1).draw(RIVER, resolution=1.0)


@pytest.fixture(scope="module")
def town():
    return World(2).draw(TOWN, resolution=1.0)


def test_a_tower_throws_the_shadow_that_geometry_says():
    tops = np.zeros((40, 40), np.float32)
    tops[20, 20] = 10
    high = shade(tops, (1.0, 0.0), 0.5, 32, 1.0)  # light from the east, 10 m fall over 20 px
    expected = np.zeros(40)
    expected[:20] = np.clip(10 - 0.5 * (20 - np.arange(20)), 0, None)
    assert np.allclose(np.clip(high[20], 0, None), expected)
    assert (high[:20] <= 0).all()


def test_a_shadow_goes_away_from_a_sun_in_the_south():
    tops = np.zeros((40, 40), np.float32)
    tops[20, 20] = 10
    high = shade(tops, (0.0, -1.0), 1.0, 16, 1.0)
    assert (high[10:20, 20] >= 0).all()
    assert (high[21:, 20] < 0).all()


def test_flat_land_is_lit_evenly_and_slopes_towards_the_sun_more():
    sun = Sun.of("spring")
    assert (sun.slopes(np.full((5, 5), 100.0), 1.0) == 1).all()
    falls_to_the_south = -np.arange(5.0)[:, None] * np.ones(5)
    assert (sun.slopes(falls_to_the_south, 10.0) > 1).all()
    assert (sun.slopes(-falls_to_the_south, 10.0) < 1).all()


def test_the_winter_sun_stands_lowest():
    heights = [Sun.of(season).elevation for season in ("winter", "autumn", "spring", "summer")]
    assert heights == sorted(heights)


@pytest.mark.parametrize("cover", [0.1, 0.3, 0.6])
def test_clouds_cover_about_the_share_asked_for(cover):
    at = np.arange(0, 25000, 50.0)
    above, below = clouds(4, cover, at, -at, Sun.of("summer"))
    assert above.mean() == pytest.approx(cover, abs=0.12)
    assert below.mean() == pytest.approx(cover, abs=0.12)
    assert above.min() == 0
    assert above.max() == 1


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 7, 10, 13])
def test_any_band_count_is_drawn(bands):
    picture = World(1).draw((500640, 5399552, 500704, 5399616), ["satellite"], bands=bands)
    assert picture["satellite"].shape == (bands, 64, 64)
    assert picture["satellite"].min() >= 1
    assert len(spectra.names(spectra.wavelengths(bands))) == bands


def test_bands_by_wavelength_are_those_bands():
    place = (500640, 5399552, 500704, 5399616)
    four = World(1).draw(place, ["satellite"], noise=0)["satellite"]
    two = World(1).draw(place, ["satellite"], noise=0, bands=(842, 560))["satellite"]
    assert (two == four[[3, 1]]).all()
    assert spectra.names((842.0, 1000.5)) == ("nir", "1000.5 nm")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"season": "monsoon"}, UnknownNameError, "no season named 'monsoon'; there are autumn"),
        ({"clouds": 1.5}, SettingError, "clouds=1.5 is a share, from 0 to 1"),
        ({"haze": -1}, SettingError, "haze=-1 is a share"),
        ({"noise": -1}, SettingError, "noise=-1 must be from 0"),
        ({"sar_looks": 0}, SettingError, "sar_looks=0 must be from 0.5 to 1000"),
        ({"bands": 0}, SettingError, "bands=0: a picture needs at least 1 band"),
        ({"bands": (842, 10)}, SettingError, "wavelengths are in nm, from 400 to 2500"),
        ({"polarisations": ("HH",)}, UnknownNameError, "no polarisation named 'HH'"),
        ({"polarisations": ()}, SettingError, "polarisations is empty; choose of VV, VH"),
    ],
)
def test_an_option_that_cannot_work_says_so(options, error, text):
    with pytest.raises(error, match=text):
        Options(**options)


def test_looks_have_their_dtypes_and_one_grid(river):
    dtypes = {look: (str(p.dtype), p.shape[0]) for look, p in river.items()}
    assert dtypes == {
        "satellite": ("uint16", 4),
        "map": ("uint8", 3),
        "sar": ("float32", 1),
        "classes": ("uint8", 1),
    }
    assert {picture.shape[1:] for picture in river.values()} == {(512, 512)}


def test_reflectance_tells_water_from_wood_from_field(river):
    label, picture = river["classes"][0], river["satellite"].astype(float)
    red, nir = picture[0], picture[3]
    ndvi = (nir - red) / (nir + red)
    assert np.median(nir[label == WATER]) < 600
    assert np.median(ndvi[label == FOREST]) > 0.6
    assert np.median(ndvi[label == ROAD]) < 0.2
    assert ndvi[label == FIELD].std() > 0.15  # some are green, some are bare


def test_radar_sees_water_dark_and_buildings_bright(river, town):
    dark = np.median(river["sar"][0][river["classes"][0] == WATER])
    wood = np.median(river["sar"][0][river["classes"][0] == FOREST])
    house = np.median(town["sar"][0][town["classes"][0] == BUILDING])
    assert dark < wood - 8
    assert house > wood + 2
    assert np.isfinite(town["sar"]).all()


def test_more_radar_looks_speckle_less():
    place = (500640, 5399552, 500768, 5399680)
    rough, even = (World(1).draw(place, ["sar"], sar_looks=n)["sar"] for n in (1, 100))
    roughness = [np.abs(np.diff(picture)).mean() for picture in (rough, even)]
    assert roughness[0] > 4 * roughness[1]


def test_the_second_polarisation_is_weaker_over_fields():
    place = (500640, 5399552, 500768, 5399680)
    both = World(1).draw(place, ["sar"], polarisations=("VV", "VH"))["sar"]
    assert both.shape[0] == 2
    assert np.median(both[0] - both[1]) > 3


def test_the_map_follows_from_the_classes(river, town):
    for drawn in (river, town):
        label, colours = drawn["classes"][0], drawn["map"].transpose(1, 2, 0)
        for value in set(np.unique(label)) & {WATER, FOREST, BUILDING, FIELD}:
            seen, times = np.unique(colours[label == value], axis=0, return_counts=True)
            known = times[np.argsort(times)[-2:]].sum() / times.sum()
            assert known > (0.5 if value in (BUILDING, FOREST) else 0.7), (value, seen[:3])


def test_a_map_is_flat_with_soft_edges(town):
    pixels = town["map"].reshape(3, -1).T
    _, times = np.unique(pixels, axis=0, return_counts=True)
    times = np.sort(times)[::-1]
    assert times[:8].sum() > 0.7 * len(pixels)  # a few colours fill it
    assert len(times) > 30  # and edges blend them


def test_shadows_lie_on_the_far_side_of_buildings(town):
    label, red = town["classes"][0], town["satellite"][0].astype(float)
    house = label == BUILDING
    ground = ~house & ~np.roll(house, (8, -8), (0, 1))
    north_west = ground & np.roll(house, (-5, -3), (0, 1))
    south_east = ground & np.roll(house, (5, 3), (0, 1))
    assert np.median(red[north_west]) < 0.8 * np.median(red[south_east])


def test_seasons_look_different_and_keep_the_classes():
    place = (500640, 5399552, 500896, 5399808)
    drawn = [
        World(1).draw(place, ["satellite", "classes"], season=season, noise=0)
        for season in ("spring", "summer", "autumn", "winter")
    ]
    for other in drawn[1:]:
        assert (other["classes"] == drawn[0]["classes"]).all()
        assert np.abs(other["satellite"].astype(int) - drawn[0]["satellite"]).mean() > 40
    ndvi = []
    for one in drawn:
        red, nir = one["satellite"][[0, 3]].astype(float)
        ndvi.append(((nir - red) / (nir + red)).mean())
    assert ndvi[3] == min(ndvi)


def test_clouds_haze_and_noise_change_the_satellite_alone():
    place = (500640, 5399552, 500896, 5399808)
    clear = World(1).draw(place, noise=0)
    hazy = World(1).draw(place, noise=0, haze=0.5)
    noisy = World(1).draw(place, noise=3)
    covered = World(1).draw(place, noise=0, clouds=0.95)
    for other in (hazy, noisy, covered):
        for look in ("map", "sar", "classes"):
            assert (other[look] == clear[look]).all()
    assert hazy["satellite"][2].min() > clear["satellite"][2].min() + 300  # blue is veiled
    assert covered["satellite"].mean() > 1.5 * clear["satellite"].mean()
    grain = noisy["satellite"].astype(float) - clear["satellite"]
    assert abs(grain.mean()) < 2
    assert 20 < grain.std() < 300


def test_beyond_the_wedge_nothing_was_measured():
    place = (500640, 5399552, 500896, 5399808)
    drawn = World(1).draw(place, wedge=(1.0, 0.0, 500768.0))
    assert (drawn["satellite"][:, :, 128:] == 0).all()
    assert (drawn["satellite"][:, :, :128] > 0).all()
    assert np.isnan(drawn["sar"][0, :, 128:]).all()
    assert np.isfinite(drawn["sar"][0, :, :128]).all()
    assert (drawn["classes"] > 0).all()
