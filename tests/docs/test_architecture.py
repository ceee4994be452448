"""The picture of the floors is drawn from the table of imports in `test_rooms.py`.

After a change of that table: PYTHONPATH=. python tests/docs/test_architecture.py
"""

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from test_rooms import MAY_IMPORT, TOP

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/images/floors.svg"
PAGE = ROOT / "docs/explanation/architecture.md"
_WIDTH, _BOX, _HIGH, _GAP = 1000, 120, 40, 14  # px


def floors() -> list[list[str]]:
    """The rooms by floor, the lowest first: a room is one floor above the highest that it imports."""
    level: dict[str, int] = {}
    while len(level) < len(MAY_IMPORT):
        for room, below in MAY_IMPORT.items():
            if room not in level and below <= set(level):
                level[room] = 1 + max((level[one] for one in below), default=-1)
    return [[room for room in MAY_IMPORT if level[room] == floor] for floor in range(max(level.values()) + 1)]


def picture() -> str:
    """The floors as SVG, the highest on top."""
    rows = [*reversed(floors()), [", ".join(sorted(TOP - {"app", "__init__", "__main__"}))]]
    rows.insert(0, ["app"])
    parts = []
    for number, rooms in enumerate(rows):
        wide = _WIDTH - 2 * _GAP if len(rooms) == 1 and "," in rooms[0] else _BOX
        left = (_WIDTH - len(rooms) * wide - (len(rooms) - 1) * _GAP) / 2
        top = _GAP + number * (_HIGH + _GAP)
        for place, room in enumerate(rooms):
            x = left + place * (wide + _GAP)
            parts.append(f'<rect x="{x:g}" y="{top}" width="{wide}" height="{_HIGH}" rx="6" fill="#e8f0f8" stroke="#2a6ca8"/>')
            parts.append(f'<text x="{x + wide / 2:g}" y="{top + _HIGH / 2 + 5:g}" text-anchor="middle">{room}</text>')
    high = _GAP + len(rows) * (_HIGH + _GAP)
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {high}" font-family="sans-serif" font-size="15">'
    return "\n".join([start, f'<rect width="{_WIDTH}" height="{high}" fill="white"/>', *parts, "</svg>"]) + "\n"


def test_the_picture_shows_the_table_of_imports() -> None:
    assert picture() == PICTURE.read_text(encoding="utf-8")


def test_the_page_describes_every_room_and_no_other() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)) == set(MAY_IMPORT)


def test_a_floor_holds_rooms_that_import_only_lower_ones() -> None:
    below: set[str] = set()
    for rooms in floors():
        assert all(MAY_IMPORT[room] <= below for room in rooms)
        below |= set(rooms)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
