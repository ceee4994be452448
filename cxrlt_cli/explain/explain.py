"""The stage `explain`: attention and attribution maps of images, as a table and one sheet per image."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.boxes import write_localisation
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, require_pixels
from cxrlt_cli.artifacts.explanation import FORMAT, Map, write_maps
from cxrlt_cli.artifacts.files import check_writable, claimed, refuse_existing
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import find_runs
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.compute.device import choose_device
from cxrlt_cli.config.explain import ExplainConfig
from cxrlt_cli.console import data, say, table
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.explain.explain_boxes import images_of_dataset, images_of_files, localise, report_localisation
from cxrlt_cli.explain.explain_image import Explained, explain
from cxrlt_cli.explain.sheet import Subject, draw_sheet
from cxrlt_cli.options import saved
from cxrlt_cli.paths import is_file
from cxrlt_cli.predict.members import Member, load_members
from cxrlt_cli.preprocess.remarks import UnreadableImageError
from cxrlt_cli.preprocess.settings import read_square, settings_from
from cxrlt_cli.results import ExplainedImages
from cxrlt_cli.workspace import Workspace, checked_name

_METHODS = {
    "grad-cam": "attribution (Grad-CAM)",
    "layer-integrated-gradients": "attribution (layer integrated gradients)",
    "integrated-gradients": "attribution (integrated gradients)",
}
_FILES = {"maps.parquet", "localisation.json", "localisation.csv", "findings.csv"}
_LAYERS = {"last": "attention (last layer)", "rollout": "attention (rollout of all layers)"}


def explain_images(config: ExplainConfig, workspace: Workspace) -> ExplainedImages:
    """Explains images, draws the sheets and prints the scores.

    Raises:
        UserError: bad run, image, label or output.
    """
    [run] = find_runs((config.run,), workspace.runs)
    folder = workspace.explanations / checked_name(config.artifact_name(run.folder.name))
    refuse_existing(folder, config.overwrite)
    refuse_other_table(folder / "maps.parquet", FORMAT)
    [member] = load_members([run], choose_device(config.device))
    if config.boxes:
        return _against_boxes(config, config.boxes, workspace, member, folder)
    labels = [_label(name, member.classes) for name in config.labels]
    subjects = list(_subjects(config, workspace, member))  # all are read before anything is written
    provenance = record(saved(config), [member.path, *(Path(name) for name in config.images if is_file(Path(name)))])
    check_writable(folder.parent)
    with claimed(folder, config.overwrite), replacing_folder(folder, _is_of_an_explanation) as aside:
        maps, rows, sheets = [], [], []
        for number, subject in enumerate(subjects, start=1):
            explained = explain(member, subject.pixels, labels, config.top, config.layers, config.method)
            sheet = f"{number:02}-{_file_name(subject.name)}.png"
            draw_sheet(subject, explained, aside / sheet)
            sheets.append(folder / sheet)
            maps += _maps(config, subject, explained)
            rows += _rows(subject, explained)
        header = {"run": run.folder.name, "pixels": member.pixels, "provenance": provenance}
        write_maps(aside, maps, header)
    if all(one.kind == config.method for one in maps):
        say(f"{run.folder} has no queries, so no attention: only {_METHODS[config.method]}")
    data(table(["image", "label", "probability", "truth"], rows))
    say(f"{len(subjects)} sheet(s) and the maps: {folder}")
    return ExplainedImages(folder, sheets, folder / "maps.parquet")


def _against_boxes(config: ExplainConfig, path: Path, workspace: Workspace, member: Member, folder: Path) -> ExplainedImages:
    """`--boxes`: measures the maps and draws no sheets."""
    files = [Path(name) for name in dict.fromkeys(config.images) if is_file(Path(name))]
    if config.images and len(files) == len(set(config.images)):
        images, inputs = images_of_files(files, member), [member.path, path]
    else:
        dataset = _dataset(config.dataset or workspace.dataset, str(path), member)
        chosen = [_row_number(dataset, image) for image in dict.fromkeys(config.images)]
        images = images_of_dataset(dataset.rows(np.array(sorted(chosen))) if chosen else dataset, bool(chosen))
        inputs = [member.path, path, dataset.path]
    provenance = record(saved(config), inputs)
    found = localise(member, path, images, config.original_size, (config.allow_missing, config.tolerance))
    check_writable(folder.parent)
    with claimed(folder, config.overwrite), replacing_folder(folder, _is_of_an_explanation) as aside:
        write_localisation(
            aside, {"run": member.name, "tolerance": config.tolerance, "provenance": provenance}, found.rows, found.findings
        )
    report_localisation(found.rows, folder)
    return ExplainedImages(folder, [], None, folder / "localisation.csv")


def _label(name: str, classes: list[str]) -> int:
    if name not in classes:
        raise UserError(f"--label {name!r} is not a class of the run{nearest(name, classes)}", f"it has: {listed(classes, 40)}")
    return classes.index(name)


def _subjects(config: ExplainConfig, workspace: Workspace, member: Member) -> Iterator[Subject]:
    settings = settings_from(member.pixels, member.path)
    names = (member.classes, _LAYERS[config.layers], _METHODS[config.method])
    dataset: Dataset | None = None
    for image in dict.fromkeys(config.images):
        if is_file(Path(image)):
            try:
                pixels = read_square(Path(image), settings)
            except UnreadableImageError as error:
                raise UserError(f"{image} cannot be read: {error}", "name a PNG, JPEG or DICOM file") from error
            yield Subject(image, pixels, names[0], {}, *names[1:])
            continue
        dataset = dataset or _dataset(config.dataset or workspace.dataset, image, member)
        row = _row(dataset, image)
        yield Subject(image, row[0], names[0], row[1], *names[1:])


def _dataset(path: Path, image: str, member: Member) -> Dataset:
    if not is_file(path):
        raise UserError(f"{image} is not a file, and there is no dataset {path} with an image of that id", "name a file")
    dataset = read_dataset(path)
    require_pixels(dataset)
    if dataset.settings != member.pixels:
        raise UserError(
            f"{member.path} learned from pixels {member.pixels}, {path} has {dataset.settings}",
            "name the file of the image, or the dataset that the run was trained with: --dataset",
        )
    return dataset


def _row(dataset: Dataset, image: str) -> tuple[np.ndarray, dict[str, int | None]]:
    """An image's pixels and labels."""
    part = dataset.rows(np.array([_row_number(dataset, image)]))
    truth = {
        name: int(target) if has_label else None
        for name, target, has_label in zip(part.classes, part.targets[0], part.label_mask[0], strict=True)
    }
    return DatasetImages(part).read(np.zeros(1, dtype=np.int64))[0], truth


def _row_number(dataset: Dataset, image: str) -> int:
    """Raises UserError where the dataset has no such image."""
    found = np.flatnonzero((dataset.table["image_id"] == image).to_numpy())
    if not len(found):
        few = dataset.table["image_id"].tolist()[:20_000]
        raise UserError(
            f"{image!r} is neither a file nor an image of {dataset.path}{nearest(image, few)}", "see its column image_id"
        )
    return int(found[0])


def _maps(config: ExplainConfig, subject: Subject, explained: Explained) -> list[Map]:
    kinds = [(f"attention-{config.layers}", explained.attention), (config.method, explained.attribution)]
    return [
        Map(subject.name, subject.classes[label], kind, float(explained.logits[label]), values[number])
        for kind, values in kinds
        if values is not None
        for number, label in enumerate(explained.labels)
    ]


def _rows(subject: Subject, explained: Explained) -> list[list[str]]:
    truth: dict[Any, str] = {1: "1", 0: "0", None: "-"}
    return [
        [
            subject.name,
            subject.classes[label],
            f"{1 / (1 + np.exp(-float(explained.logits[label]))):.4f}",
            truth[subject.truth.get(subject.classes[label])],
        ]
        for label in explained.labels
    ]


def _is_of_an_explanation(name: str) -> bool:
    return name in _FILES or re.fullmatch(r"\d{2,}-.*\.png", name) is not None


def _file_name(name: str) -> str:
    """A file name of an image: without folders, spaces and characters special to a shell."""
    return re.sub(r"[^\w.-]+", "_", Path(name).name).removesuffix(".png")[:120]
