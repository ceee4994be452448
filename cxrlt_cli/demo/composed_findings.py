"""Findings that are composed of a kind and a place: a third of the compositions is held out of the training.

Each kind and each place is in the training, so that a classifier whose weights come from the label's text can carry "nodule in
the right upper lung field" over from other nodules and from other findings of the right upper lung field.
"""

from cxrlt_cli.demo.hard_findings import HardFinding

#: Strength of the findings: higher than that of the hard ones, because the question is not whether seen findings are learned.
COMPOSED_CONTRAST = 2.5
#: All compositions are equally frequent.
COMPOSED_TAIL = 1.0

_KINDS = {"nodule": "Nodule", "patch": "Patch", "band": "Band", "net": "Reticulation", "ring": "Cavity"}
_FIELDS = ("upper", "middle", "lower")

COMPOSED_FINDINGS = tuple(
    HardFinding(f"{name} {('right', 'left')[side]} {field}", kind, side, field)
    for kind, name in _KINDS.items()
    for side in (0, 1)
    for field in _FIELDS
)


def held_out() -> list[str]:
    """The names of the compositions that are held out: of each kind one on the right and one on the left, at other heights."""
    names = []
    for number, name in enumerate(_KINDS.values()):
        names += [f"{name} right {_FIELDS[number % 3]}", f"{name} left {_FIELDS[(number + 2) % 3]}"]
    return names
