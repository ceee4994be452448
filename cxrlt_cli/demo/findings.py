"""The 14 findings of ChestX-ray14, drawn where real ones occur. Each function draws its own size and side at random."""

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from cxrlt_cli.demo.anatomy import Anatomy, Chest, blob, disc, draw_chest, expose, soft_step

Rng = np.random.Generator


def draw(findings: Collection[str], patient: Anatomy, rng: Rng, size: int) -> np.ndarray:
    """Draws a radiograph.

    Args:
        findings: names of ChestX-ray14.
        patient: anatomy, positioned for this image.
        rng: random generator of size, side and position of the findings, exposure and noise.
        size: side, px.

    Returns:
        (size, size) uint8, 0 black.
    """
    return expose(paint(findings, patient, rng, size), rng)


def paint(findings: Collection[str], patient: Anatomy, rng: Rng, size: int) -> Chest:
    """The chest before exposure. Two chests from the same `rng` differ only where a finding is."""
    for name, change in _SHAPE.items():  # findings that change the shape of heart and lungs come before those are drawn
        if name in findings:
            patient = change(patient, rng)
    chest = draw_chest(patient, size)
    for name, brush in _PAINT.items():
        if name in findings:
            brush(chest, rng)
    return chest


def _side(rng: Rng) -> int:
    return int(rng.integers(2))


def _centre(chest: Chest, side: int) -> float:
    """x of the middle of a lung."""
    return (-1, 1)[side] * 0.50 * chest.anatomy.width


def _fill(chest: Chest, where: np.ndarray, density: float) -> None:
    """Raises lower densities towards `density`."""
    chest.density += where * np.clip(density - chest.density, 0, None)


def _cardiomegaly(patient: Anatomy, rng: Rng) -> Anatomy:
    return replace(patient, heart=patient.heart * rng.uniform(1.40, 1.75))


def _overinflated(patient: Anatomy, rng: Rng) -> Anatomy:
    lower = rng.uniform(0.14, 0.20)
    domes = (patient.domes[0] + lower, patient.domes[1] + lower)
    return replace(patient, domes=domes, curve=0.03, heart=patient.heart * 0.72, lung=patient.lung - rng.uniform(0.09, 0.12))


def _collapsed_base(patient: Anatomy, rng: Rng) -> Anatomy:
    """Loss of volume draws one dome up."""
    domes = list(patient.domes)
    domes[_side(rng)] -= rng.uniform(0.10, 0.18)
    return replace(patient, domes=(domes[0], domes[1]))


def _atelectasis(chest: Chest, rng: Rng) -> None:
    """Plates: straight bright bands above the higher dome."""
    side = int(np.argmin(chest.anatomy.domes))
    for _ in range(int(rng.integers(2, 4))):
        height = chest.anatomy.domes[side] - rng.uniform(0.16, 0.42)
        slope = rng.uniform(-0.35, 0.35)
        off = chest.y - height - slope * (chest.x - _centre(chest, side))
        chest.density += rng.uniform(0.26, 0.36) * np.exp(-((off / 0.028) ** 2)) * chest.lung(side)


def _effusion(chest: Chest, rng: Rng) -> None:
    """Fluid with a meniscus that climbs along the chest wall."""
    side = _side(rng)
    outward = np.abs(chest.x) / chest.anatomy.width
    level = chest.anatomy.domes[side] - rng.uniform(0.10, 0.34) - 0.30 * outward**4
    below = soft_step(chest.y - level, 0.04) * soft_step(chest.x * (-1, 1)[side] - 0.06, 0.06)
    _fill(chest, below * soft_step(chest.anatomy.width - np.abs(chest.x), 0.03) * soft_step(0.85 - chest.y, 0.1), 0.74)


def _infiltration(chest: Chest, rng: Rng) -> None:
    """Many faint patches in one lung."""
    side = _side(rng)
    middle = rng.uniform(-0.35, 0.20)
    for _ in range(int(rng.integers(9, 15))):
        centre = (_centre(chest, side) + rng.normal(0, 0.12), middle + rng.normal(0, 0.20))
        chest.density += rng.uniform(0.10, 0.18) * blob(chest.x, chest.y, centre, (0.055, 0.055)) * chest.lung(side)


def _consolidation(chest: Chest, rng: Rng) -> None:
    """A dense lobe with a straight border (the fissure) and dark bronchi in it."""
    side = _side(rng)
    centre = (_centre(chest, side), rng.uniform(-0.45, 0.10))
    lobe = disc(chest.x, chest.y, centre, (rng.uniform(0.22, 0.28), rng.uniform(0.16, 0.22)), 0.05)
    lobe = lobe * soft_step(centre[1] + 0.08 - chest.y, 0.02) * chest.lung(side)
    bronchi = np.cos(40 * (chest.x + 0.6 * chest.y)).clip(0, None) ** 8
    _fill(chest, lobe, 0.66)
    chest.density -= 0.14 * bronchi * lobe


def _pneumonia(chest: Chest, rng: Rng) -> None:
    """One large cloud, denser in the middle, in a lower or middle field."""
    side = _side(rng)
    centre = (_centre(chest, side) + rng.normal(0, 0.04), rng.uniform(0.0, 0.28))
    cloud = blob(chest.x, chest.y, centre, (rng.uniform(0.18, 0.24), rng.uniform(0.18, 0.26)))
    uneven = 0.8 + 0.2 * np.cos(14 * chest.x + rng.uniform(0, 6)) * np.cos(12 * chest.y + rng.uniform(0, 6))
    chest.density += rng.uniform(0.30, 0.40) * cloud * uneven * chest.lung(side)


def _round(chest: Chest, rng: Rng, radius: float) -> None:
    side = _side(rng)
    centre = (_centre(chest, side) + rng.uniform(-0.12, 0.12), rng.uniform(-0.45, 0.25))
    _fill(chest, disc(chest.x, chest.y, centre, (radius, radius * rng.uniform(0.9, 1.1)), 0.02), rng.uniform(0.56, 0.68))


def _mass(chest: Chest, rng: Rng) -> None:
    _round(chest, rng, rng.uniform(0.12, 0.17))


def _nodule(chest: Chest, rng: Rng) -> None:
    for _ in range(int(rng.integers(1, 4))):
        _round(chest, rng, rng.uniform(0.045, 0.065))


def _pneumothorax(chest: Chest, rng: Rng) -> None:
    """Black space without vessels around a lung that has fallen in, and its thin bright edge."""
    side = _side(rng)
    inner = (-1, 1)[side] * 0.36 * chest.anatomy.width
    shrunk = (rng.uniform(0.19, 0.25), rng.uniform(0.42, 0.52))
    left = disc(chest.x, chest.y, (inner, 0.06), shrunk, 0.02)
    empty = chest.lung(side) * (1 - left)
    chest.density += empty * (0.06 - chest.density) * 0.85
    edge = np.abs(np.hypot((chest.x - inner) / shrunk[0], (chest.y - 0.06) / shrunk[1]) - 1) * shrunk[0]
    chest.density += 0.26 * np.exp(-((edge / 0.014) ** 2)) * chest.lung(side)


def _edema(chest: Chest, rng: Rng) -> None:
    """Wings of haze from both hila, and short lines at both bases."""
    amount = rng.uniform(0.26, 0.36)
    for side, sign in enumerate((-1, 1)):
        chest.density += amount * blob(chest.x, chest.y, (sign * 0.24, 0.02), (0.20, 0.30)) * chest.lung(side)
        lines = (
            np.cos(75 * chest.y).clip(0, None) ** 6 * soft_step(np.abs(chest.x) - 0.48, 0.08) * soft_step(chest.y - 0.05, 0.1)
        )
        chest.density += 0.18 * lines * chest.lung(side)


def _bullae(chest: Chest, rng: Rng) -> None:
    """Round thin-walled spaces in the upper fields of overinflated lungs."""
    for side in (0, 1):
        centre = (_centre(chest, side) + rng.uniform(-0.08, 0.08), rng.uniform(-0.60, -0.35))
        chest.density -= 0.06 * disc(chest.x, chest.y, centre, (0.13, 0.13), 0.03) * chest.lung(side)


def _fibrosis(chest: Chest, rng: Rng) -> None:
    """A coarse net at both bases and along the walls."""
    u, v = chest.x + 0.02 * np.sin(19 * chest.y), chest.y + 0.02 * np.sin(23 * chest.x)
    net = np.maximum(np.cos(62 * (u + v)).clip(0, None), np.cos(62 * (u - v)).clip(0, None)) ** 4
    place = soft_step(chest.y - rng.uniform(-0.15, 0.05), 0.25) + soft_step(np.abs(chest.x) - 0.55, 0.08)
    for side in (0, 1):
        chest.density += rng.uniform(0.22, 0.30) * net * np.clip(place, 0, 1) * chest.lung(side)


def _pleural_thickening(chest: Chest, rng: Rng) -> None:
    """A bright rind inside one lateral wall and over its apex."""
    side = _side(rng)
    centre, half = _centre(chest, side), 0.42 * chest.anatomy.width
    outward = (chest.x - centre) * (-1, 1)[side] / half
    height = (chest.y - 0.08) / (0.08 - chest.anatomy.lung_top)
    rim = soft_step(np.hypot(outward, height) - rng.uniform(0.72, 0.80), 0.06) * soft_step(outward + 0.15, 0.2)
    _fill(chest, rim * soft_step(0.25 - chest.y, 0.1) * chest.lung(side), 0.58)


def _hernia(chest: Chest, rng: Rng) -> None:
    """A large bubble behind the heart: a bright wall, air above a level of fluid."""
    centre, radius = (rng.uniform(0.0, 0.10), chest.anatomy.domes[1] - rng.uniform(0.20, 0.26)), rng.uniform(0.16, 0.22)
    inside = disc(chest.x, chest.y, centre, (radius, radius), 0.02)
    level = centre[1] + rng.uniform(-0.02, 0.06)
    air = soft_step(level - chest.y, 0.015)
    chest.density += inside * (air * (0.26 - chest.density) + (1 - air) * (0.86 - chest.density))
    wall = np.abs(np.hypot(chest.x - centre[0], chest.y - centre[1]) - radius)
    chest.density += 0.22 * np.exp(-((wall / 0.018) ** 2))


_SHAPE: dict[str, Callable[[Anatomy, Rng], Anatomy]] = {
    "Cardiomegaly": _cardiomegaly,
    "Emphysema": _overinflated,
    "Atelectasis": _collapsed_base,
}
_PAINT: dict[str, Callable[[Chest, Rng], None]] = {
    "Emphysema": _bullae,
    "Fibrosis": _fibrosis,
    "Infiltration": _infiltration,
    "Edema": _edema,
    "Pneumonia": _pneumonia,
    "Consolidation": _consolidation,
    "Atelectasis": _atelectasis,
    "Mass": _mass,
    "Nodule": _nodule,
    "Pneumothorax": _pneumothorax,
    "Pleural_Thickening": _pleural_thickening,
    "Effusion": _effusion,
    "Hernia": _hernia,
}
