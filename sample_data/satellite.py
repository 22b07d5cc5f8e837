"""The satellite look: reflectance of what grows and stands, under the sun of a season."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sample_data import spectra
from sample_data.block import Block
from sample_data.kinds import BUILDING, FIELD, INDEX, KINDS, SEASONS, WATER
from sample_data.light import Sun, clouds, shade
from sample_data.noise import Noise, gaussian
from sample_data.options import Options
from sample_data.trees import Crowns, crowns

SCALE = 10000  # stored value of reflectance 1
_LABEL = np.array([kind.label for kind in KINDS])
_ROUGH = np.array([kind.rough for kind in KINDS], np.float32)
_ROWS = np.array([kind.rows for kind in KINDS])
_PITCHED = np.isin(np.arange(len(KINDS)), [INDEX["house"], INDEX["barn"]])
_LEAVES = {  # broadleaved trees by season: two materials that a tree's tone chooses between
    "spring": ("broadleaf", "grass"),
    "summer": ("broadleaf", "broadleaf"),
    "autumn": ("broadleaf", "autumn"),
    "winter": ("branches", "litter"),
}


def satellite(block: Block, options: Options) -> np.ndarray:
    """(bands, side, side) uint16: reflectance x 10,000 of a block; 0 where nothing was measured.

    A measured pixel is at least 1.
    """
    return _View(block, options).picture()


class _View:
    """One block under one sky. Arrays have the block's size and one pixel around it."""

    def __init__(self, block: Block, options: Options):
        self.block, self.options = block, options
        self.sun = Sun.of(options.season)
        self.season = SEASONS.index(options.season)
        edge = block.margin - 1
        self.inner = (slice(edge, edge + block.side + 2),) * 2
        self.ids = block.ids[self.inner]
        self.kinds = block.kinds[self.inner]
        self.x, self.y = block.x[self.inner[1]], block.y[self.inner[0]]
        self.cols, self.rows = block.cols[self.inner[1]], block.rows[self.inner[0]]
        self.seed = block.land.seed
        self.bands = spectra.wavelengths(options.bands)
        self.spectra = spectra.reflectance(self.bands)

    def picture(self) -> np.ndarray:
        share, light = self._share(), self._light()
        ground, plants = self._colours()
        leaves, glint = self._leaves(), self._glint()
        sky = spectra.scattered(self.bands)
        veil = self._veil()
        out = np.empty((len(self.bands), self.block.side, self.block.side), np.uint16)
        for band in range(len(self.bands)):
            low, high = ground[:, band][self.ids], plants[:, band][self.ids]
            seen = low + (high - low) * share
            _cover(seen, leaves, band)
            seen *= light * (1 - sky[band]) + sky[band]
            seen += glint
            out[band] = self._stored(self._through_air(seen, veil, band), band)
        return self._with_hole(out)

    def _share(self) -> np.ndarray:
        """How much of the ground plants (or the second material) hide, 0 to 1."""
        kind = self.block.features.kind
        tone = self.block.features.number[:, 0]
        usual = np.array([k.share[self.season] for k in KINDS], np.float32)[kind]
        usual += np.where(_LABEL[kind] == FIELD, 0.1 * tone, 0).astype(np.float32)
        roof = np.clip(0.5 + 1.6 * tone, 0, 1)
        usual = np.where(_LABEL[kind] == BUILDING, roof, usual).astype(np.float32)
        texture = self._texture
        share = usual[self.ids] + _ROUGH[self.kinds] * texture
        share += self._crop_rows()
        return np.clip(share, 0, 1)

    @cached_property
    def _texture(self) -> np.ndarray:
        """Patches of all sizes, from a few pixels to a village, deviation about 1."""
        fine, _ = gaussian(self.cols[None], self.rows[:, None], self.seed * 23 + 1)
        patches = Noise(self.seed * 23 + 2, 90, 6, 0.75).grid(self.x, self.y)
        return 0.85 * patches + 0.35 * fine

    def _crop_rows(self) -> np.ndarray:
        """Rows of crops, and the two wheel tracks of tractors every 24 m."""
        rows = np.zeros(self.ids.shape, np.float32)
        at = np.nonzero(_ROWS[self.kinds] > 0)
        if not len(at[0]):
            return rows
        ids = self.ids[at]
        angle = self.block.features.number[ids, 1]
        x0, y0 = self.block.features.number[ids, 3:].T
        across = (self.y[at[0]] - y0) * np.cos(angle) - (self.x[at[1]] - x0) * np.sin(angle)
        period = _ROWS[self.kinds[at]]
        step = self.block.resolution
        fade = np.clip((period / step - 1.6) / 1.5, 0, 1)  # rows finer than pixels can't be seen
        wave = 0.11 * fade * np.sin(2 * np.pi * across / period)
        track = np.abs(np.mod(across, 24.0) - 12) - 0.9
        wheel = np.clip(1 - np.abs(track) / max(0.4, step / 2), 0, 1) * min(1.0, 0.8 / step)
        rows[at] = wave - 0.22 * wheel
        return rows

    def _colours(self) -> tuple[np.ndarray, np.ndarray]:
        """(features, bands) reflectance of the ground, and of what lies over it."""
        feature = self.block.features
        index = spectra.MATERIALS
        low = np.array([index[k.ground] for k in KINDS])[feature.kind]
        high = np.array([index[k.plants[self.season]] for k in KINDS])[feature.kind]
        tone = (1 + 0.12 * feature.number[:, :1]).astype(np.float32)
        soil = self.block.land.fields.soil.points(feature.number[:, 3], feature.number[:, 4])
        soil = np.where(low == index["soil"], 1 + 0.24 * soil, 1)[:, None]
        return self.spectra[low] * (tone * np.clip(soil, 0.5, 1.6)), self.spectra[high] * tone

    def _light(self) -> np.ndarray:
        """Sunlight on each pixel against flat open land: slopes, roofs, crowns and shadows."""
        block, step = self.block, self.block.resolution
        ground = block.land.fields.height(self.x, self.y)
        light = np.clip(self.sun.slopes(ground, step), 0.2, 2).astype(np.float32)
        light[_LABEL[self.kinds] == WATER] = 1
        tops = np.maximum(block.buildings, self._crowns.top)
        reach = block.margin - 2
        over = shade(tops, self.sun.towards, self.sun.climb, reach, step) - tops
        light *= 1 - np.clip(over[self.inner] / 1.2, 0, 1)
        light *= self._roofs()
        crown = self._crowns.top
        east, north = (round(part) for part in self.sun.towards)
        sunward = np.roll(crown, (north, -east), (0, 1))
        bulge = np.clip(1 + 0.13 * (crown - sunward) / step, 0.55, 1.5)
        return light * np.where(crown > 0, bulge, 1)[self.inner]

    @cached_property
    def _crowns(self) -> Crowns:
        canopy = crowns(self.block)
        roof = self.block.buildings > 0
        for field in canopy:
            field[roof] = 0
        return canopy

    def _roofs(self) -> np.ndarray:
        """Light on the two sides of a pitched roof; 1 elsewhere."""
        light = np.ones(self.ids.shape, np.float32)
        at = np.nonzero(_LABEL[self.kinds] == BUILDING)
        ids = self.ids[at]
        angle = self.block.features.number[ids, 1]
        x0, y0 = self.block.features.number[ids, 3:].T
        side = (self.y[at[0]] - y0) * np.cos(angle) - (self.x[at[1]] - x0) * np.sin(angle)
        east, north = self.sun.towards
        facing = np.sign(side) * (north * np.cos(angle) - east * np.sin(angle))
        light[at] = 1 + np.where(_PITCHED[self.kinds[at]], 0.3, 0.03) * facing
        return light

    def _leaves(self) -> tuple[np.ndarray, np.ndarray]:
        """Where trees are, and (n, bands) what their leaves reflect."""
        crown = Crowns(*(field[self.inner] for field in self._crowns))
        at = np.nonzero(crown.top > 0)
        tone = crown.tone[at][:, None]
        green, other = (self.spectra[spectra.MATERIALS[n]] for n in _LEAVES[self.options.season])
        broad = green + (other - green) * np.clip(0.5 + 0.9 * tone, 0, 1)
        needles = self.spectra[spectra.MATERIALS["conifer"]]
        colour = np.where(crown.conifer[at][:, None] > 0, needles, broad)
        return at, (colour * (1 + 0.22 * tone)).astype(np.float32)

    def _glint(self) -> np.ndarray:
        """Sun mirrored by waves: patches of wind, and the waves themselves."""
        water = _LABEL[self.kinds] == WATER
        if not water.any():
            return np.float32(0)
        wind = Noise(self.seed * 23 + 3, 420, 3).grid(self.x, self.y)
        waves = Noise(self.seed * 23 + 4, 9, 2, 0.7).grid(self.x * 0.6, self.y)
        return np.where(water, np.clip(0.006 + 0.006 * wind, 0, 1) * np.clip(1 + waves, 0, 4), 0)

    def _veil(self) -> tuple[np.ndarray, np.ndarray] | None:
        if not self.options.clouds:
            return None
        return clouds(self.seed, self.options.clouds, self.x, self.y, self.sun)

    def _through_air(self, seen: np.ndarray, veil: tuple | None, band: int) -> np.ndarray:
        """Cloud shadows, haze and clouds over what the ground reflects."""
        length, sky = self.bands[band], float(spectra.scattered(self.bands)[band])
        if veil is not None:
            seen = seen * (1 - veil[1] * (1 - sky) * 0.85)
        haze = self.options.haze
        seen = seen * (1 - 0.35 * haze) + np.float32(haze * 0.16 * (490 / length) ** 1.2)
        if veil is not None:
            cloud = self.spectra[spectra.MATERIALS["cloud"], band]
            bright = cloud * (0.55 + 0.45 * veil[0])
            seen = seen + (bright - seen) * veil[0]
        return seen

    def _stored(self, seen: np.ndarray, band: int) -> np.ndarray:
        """(side, side) stored values: blurred by the optics, with the sensor's noise."""
        rows = seen[:-2] * 0.17 + seen[1:-1] * 0.66 + seen[2:] * 0.17
        sharp = rows[:, :-2] * 0.17 + rows[:, 1:-1] * 0.66 + rows[:, 2:] * 0.17
        if self.options.noise:
            cols, rows = self.cols[None, 1:-1], self.rows[1:-1, None]
            grain = gaussian(cols, rows, self.seed * 29 + 64 + band // 2)[band % 2]
            sharp = sharp + grain * self.options.noise * (0.0012 + 0.009 * sharp)
        return np.clip(np.rint(sharp * SCALE), 1, 65535).astype(np.uint16)

    def _with_hole(self, out: np.ndarray) -> np.ndarray:
        hole = self.block.unmeasured(self.options.wedge)
        if hole is not None:
            out[:, hole] = 0
        return out


def _cover(seen: np.ndarray, leaves: tuple[np.ndarray, np.ndarray], band: int) -> None:
    at, colour = leaves
    seen[at] = 0.08 * seen[at] + 0.92 * colour[:, band]
