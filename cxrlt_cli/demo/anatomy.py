"""Draws a synthetic frontal chest radiograph without findings, with variation between patients.

Images are computed as densities of 0 (air, black) to 1 (bone, white). Coordinates run from -1 to 1, x to the right of the
picture (the patient's left), y down.
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Anatomy:
    """Anatomy of one patient. Lengths are in units of half the image side.

    Attributes:
        width: half the width of the chest.
        lung_top: y of the lungs' apices.
        domes: y of the right and the left dome of the diaphragm (the picture's left side first).
        curve: how far the domes bulge.
        heart: half the width of the heart.
        lung: density of the lungs.
        tilt: rotation of the patient, radians.
        ribs: phase of the ribs.
        spacing: relative number of ribs, about 1.
        vessels: phases of the vessels' fans.
        soft: density of the soft tissue.
        centre: position of the chest, x and y.
        zoom: relative size, about 1.
    """

    width: float
    lung_top: float
    domes: tuple[float, float]
    curve: float
    heart: float
    lung: float
    tilt: float
    ribs: float
    spacing: float
    vessels: tuple[float, float]
    soft: float
    centre: tuple[float, float]
    zoom: float


@dataclass
class Chest:
    """An unfinished image with the positions that findings need. All arrays are (S, S) float32."""

    density: np.ndarray
    x: np.ndarray
    y: np.ndarray
    lungs: tuple[np.ndarray, np.ndarray]
    anatomy: Anatomy

    def lung(self, side: int) -> np.ndarray:
        """Mask of a lung, 0..1; side 0 is the left of the image."""
        return self.lungs[side]


def new_patient(rng: np.random.Generator) -> Anatomy:
    """Draws a random patient."""
    dome = rng.uniform(0.48, 0.60)
    return Anatomy(
        width=rng.uniform(0.70, 0.82),
        lung_top=rng.uniform(-0.86, -0.74),
        domes=(dome - rng.uniform(0.0, 0.06), dome),
        curve=rng.uniform(0.16, 0.24),
        heart=rng.uniform(0.25, 0.30),
        lung=rng.uniform(0.16, 0.22),
        tilt=rng.normal(0, 0.02),
        ribs=rng.uniform(0, 2 * np.pi),
        spacing=rng.uniform(0.85, 1.15),
        vessels=(rng.uniform(0, np.pi), rng.uniform(0, np.pi)),
        soft=rng.uniform(0.50, 0.60),
        centre=(rng.normal(0, 0.03), rng.normal(0, 0.03)),
        zoom=rng.uniform(0.90, 1.08),
    )


def new_position(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """The same patient in another image: breathing, tilt, position and exposure differ slightly."""
    breath = rng.normal(0, 0.02)
    centre = (anatomy.centre[0] + rng.normal(0, 0.01), anatomy.centre[1] + rng.normal(0, 0.01))
    return replace(
        anatomy,
        domes=(anatomy.domes[0] + breath, anatomy.domes[1] + breath),
        tilt=anatomy.tilt + rng.normal(0, 0.015),
        lung=anatomy.lung + rng.normal(0, 0.012),
        centre=centre,
    )


def soft_step(value: np.ndarray, edge: float) -> np.ndarray:
    """1 where `value` is above 0, 0 below, with a smooth transition of width `edge`."""
    return 1 / (1 + np.exp(np.clip(-4 * value / edge, -30, 30)))


def blob(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], radius: tuple[float, float]) -> np.ndarray:
    """A Gaussian spot of height 1."""
    return np.asarray(np.exp(-(((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2)))


def disc(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], radius: tuple[float, float], edge: float) -> np.ndarray:
    """An ellipse of height 1 with a smooth border of width `edge`."""
    distance = np.sqrt(((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2)
    return soft_step((1 - distance) * min(radius), edge)


def draw_chest(anatomy: Anatomy, size: int) -> Chest:
    """Draws a chest without findings or noise."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    across, down = np.meshgrid(line, line)
    across, down = (across - anatomy.centre[0]) / anatomy.zoom, (down - anatomy.centre[1]) / anatomy.zoom
    x = across * np.cos(anatomy.tilt) - down * np.sin(anatomy.tilt)
    y = across * np.sin(anatomy.tilt) + down * np.cos(anatomy.tilt)
    body = soft_step(anatomy.width + 0.10 * soft_step(y + 0.3, 1.0) - np.abs(x), 0.04) * soft_step(
        y + 1.15 - 0.35 * np.abs(x), 0.1
    )
    lungs = (_lung(x, y, anatomy, 0), _lung(x, y, anatomy, 1))
    both = np.maximum(*lungs)
    density = 0.02 + body * anatomy.soft
    density += body * 0.18 * soft_step(y - 0.55, 0.2)  # the abdomen
    density -= both * (density - anatomy.lung)
    density += both * _vessels(x, y, anatomy)
    density += 0.30 * blob(x, y, (0, 0), (0.10, 5)) * body  # spine and mediastinum
    density += 0.10 * np.cos(22 * y) * blob(x, y, (0, 0), (0.06, 5)) * body  # vertebrae
    density += 0.26 * blob(x, y, (0.09, -0.34), (0.07, 0.08))  # aortic knob
    heart = disc(x, y, (0.10, anatomy.domes[1] - 0.20), (anatomy.heart, 0.25), 0.06)
    density += heart * (0.66 - density) * (density < 0.66)
    density += _bones(x, y, anatomy) * body
    return Chest(density, x, y, lungs, anatomy)


def _lung(x: np.ndarray, y: np.ndarray, anatomy: Anatomy, side: int) -> np.ndarray:
    sign = (-1, 1)[side]
    centre, half = sign * 0.50 * anatomy.width, 0.42 * anatomy.width
    dome = anatomy.domes[side] - anatomy.curve * (1 - ((x - centre * 0.9) / half) ** 2)
    middle = (anatomy.lung_top + anatomy.domes[side]) / 2
    length = (anatomy.domes[side] - anatomy.lung_top) / 2 + 0.22
    outline = disc(x, y, (centre, middle + 0.22), (half, length), 0.04)
    return np.asarray(outline * soft_step(dome + 0.16 - y, 0.03))


def _vessels(x: np.ndarray, y: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Vessels: brighter towards the hila, with streaks fanning out from them."""
    away = np.hypot(np.abs(x) - 0.14, y + 0.05)
    angle = np.arctan2(y + 0.05, np.abs(x) - 0.14)
    phase = np.where(x < 0, *anatomy.vessels)
    return np.asarray((0.16 + 0.10 * np.cos(17 * angle + 9 * away + phase) ** 4) * np.exp(-3.2 * away))


def _bones(x: np.ndarray, y: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    arch = 13 * anatomy.spacing * y - 7 * (np.abs(x) - 0.2) ** 2 + 2.5 * np.abs(x)
    ribs = 0.075 * np.cos(arch + anatomy.ribs).clip(0, None) ** 3 * soft_step(np.abs(x) - 0.12, 0.1) * soft_step(0.5 - y, 0.3)
    clavicles = 0.14 * np.exp(-(((y + 0.74 + 0.18 * np.abs(x)) / 0.028) ** 2)) * soft_step(np.abs(x) - 0.08, 0.05)
    return np.asarray(ribs + clavicles)


def expose(chest: Chest, rng: np.random.Generator, grains: np.random.Generator | None = None) -> np.ndarray:
    """(S, S) uint8 image after exposure, noise and clipping.

    Args:
        chest: the densities.
        rng: random generator of the exposure, and of the noise if `grains` is None.
        grains: random generator of the noise; with it, the exposure is the same at every size.
    """
    grain = (grains or rng).standard_normal(chest.density.shape, dtype=np.float32)
    picture = (chest.density * rng.uniform(0.92, 1.08) + rng.normal(0, 0.015)) + 0.022 * grain
    return np.asarray(255 * np.clip(picture, 0, 1) ** rng.uniform(0.85, 1.05), dtype=np.uint8)
