"""NIH's boxes as published: all are read, all findings are classes of ChestX-ray14, and all lie in their image."""

from pathlib import Path

from cxrlt_cli.artifacts.boxes import read_boxes
from cxrlt_cli.explain.boxes import findings_of, known_boxes, refuse_outside
from cxrlt_cli.labels.spaces import read_space
from cxrlt_cli.preprocess.settings import PixelSettings


def test_all_boxes_are_read(real_data: Path) -> None:
    path = real_data / "experts/boxes.csv.gz"
    boxes = read_boxes(path)
    assert len(boxes) == 984
    classes = read_space("chestxray14")
    images = {box.image for box in boxes}
    assert len(images) == 880
    kept, left_out = known_boxes(boxes, images, classes, path, leave_out=False)
    assert left_out == 0, "Infiltrate is Infiltration"
    refuse_outside(kept, lambda _: (1024, 1024), path)
    findings, lost = findings_of(kept, lambda _: (1024, 1024), PixelSettings(256), classes)
    assert (len(findings), lost) == (984, 0)
    first = next(one for one in findings if one.image == "00013118_008.png")
    assert [round(end, 2) for end in first.boxes[0]] == [56.27, 136.75, 77.97, 156.55], "a quarter of NIH's pixels"
