"""The images that are scored: those of a split, or the files of a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, require_pixels
from cxrlt_cli.artifacts.files import InputFile, fingerprint
from cxrlt_cli.artifacts.folds import in_fold
from cxrlt_cli.console import warn
from cxrlt_cli.data.dataset_images import verify_pixels
from cxrlt_cli.data.studies import Studies, studies_of_table
from cxrlt_cli.errors import UserError
from cxrlt_cli.predict.batches import Part, Scorer, Shard, score_folder, score_split
from cxrlt_cli.predict.folder import ListColumns, image_files, listed_files, refuse_all_absent
from cxrlt_cli.predict.members import Member
from cxrlt_cli.predict.merge_studies import studies_of_list
from cxrlt_cli.preprocess.settings import PixelSettings


@dataclass(frozen=True)
class ImageSet:
    """Images to score.

    Attributes:
        ids: of the images.
        studies: of the images; None if they are not needed.
        inputs: fingerprints of the files that were read.
        score: (scorer, shard, failures) -> the logits of a shard, batch by batch. An image that cannot be read is added to
            `failures`: id -> reason.
        verify: compares pixels with their checksums; does nothing if there are none.
        fold: that the runs held out, if the images are those of its split; None for the splits of the dataset and for a folder.
    """

    ids: list[str]
    studies: Studies | None
    inputs: list[InputFile]
    score: Callable[[Scorer, Shard, dict[str, str]], Iterator[Part]]
    verify: Callable[[], None] = lambda: None
    fold: int | None = None


@dataclass(frozen=True)
class ImageList:
    """The table of `--list`: its path and its columns; columns of study and view may be empty."""

    path: Path
    columns: ListColumns
    study_column: str
    view_column: str


def split_images(path: Path, split: str, members: list[Member], by_study: bool, device: torch.device) -> ImageSet:
    """The images of a split of a dataset.

    Args:
        path: of the dataset.
        split: train, val or test.
        members: the networks; their pixels must be those of the dataset.
        by_study: whether studies are needed.
        device: of the networks.

    Raises:
        UserError: no such dataset or split, pixels with other settings than in training, or networks that held out different
            folds.
    """
    fold = None if split == "test" else _common_fold(members, split)
    dataset = in_fold(read_dataset(path), fold)
    require_pixels(dataset)
    taken = fingerprint(path)  # now: it may be replaced while its images are scored
    _refuse_unlike(members, dataset, taken.sha256)
    part = dataset.split(split)
    studies = studies_of_table(part.table) if by_study else None

    def scored(score_batch: Scorer, shard: Shard, _failures: dict[str, str]) -> Iterator[Part]:
        return score_split(split, score_batch, part, shard, device)

    return ImageSet(list(part.table["image_id"]), studies, [taken], scored, lambda: verify_pixels(part), fold)


def folder_images(folder: Path, listed: ImageList | None, settings: PixelSettings, by_study: bool, workers: int) -> ImageSet:
    """The image files of a folder.

    Args:
        folder: of the files.
        listed: the table that names them; None for all files.
        settings: of the pixels that are made of the files.
        by_study: whether studies are needed; the table has them.
        workers: decoding threads; 0 for one per core.

    Raises:
        UserError: no such folder, table or column, no images, or no table where studies are needed.
    """
    if by_study and listed is None:
        raise UserError("a fused run with --images needs --list", "that table says which images are of one study")
    if listed:
        files = listed_files(folder, listed.path, listed.columns)
        refuse_all_absent(files, listed.path)
    else:
        files = image_files(folder)
    ids, studies = list(files), None
    if listed and by_study:
        studies = studies_of_list(listed.path, listed.columns.id, listed.study_column, listed.view_column).of(ids)

    def scored(score_batch: Scorer, shard: Shard, failures: dict[str, str]) -> Iterator[Part]:
        return score_folder(workers, score_batch, files, settings, shard, failures)

    return ImageSet(ids, studies, [], scored)


def _common_fold(members: list[Member], split: str) -> int | None:
    """The fold that all networks held out; None where their splits are those of the dataset."""
    folds = [member.config.fold for member in members]
    if any(fold != folds[0] for fold in folds):
        text = ", ".join(
            f"{member.name}: {'none' if fold is None else fold}" for member, fold in zip(members, folds, strict=True)
        )
        raise UserError(
            f"the runs held out different folds ({text}): the {split} images of one are training images of another",
            "predict with each alone; cxrlt study folds merges their out-of-fold scores; --split test is the same for all",
        )
    return folds[0] if folds else None  # a model that was not trained on any dataset has none


def _refuse_unlike(members: list[Member], dataset: Dataset, sha256: str) -> None:
    """Refuses pixels with other settings than those of the training; warns if the dataset is not that of the training."""
    for member in members:
        if member.pixels != dataset.settings:
            raise UserError(
                f"{member.path} learned from pixels {member.pixels}, {dataset.path} has {dataset.settings}",
                "predict on the dataset it was trained with, or cache and merge with its settings",
            )
        if [file.sha256 for file in member.config.provenance.inputs[:1]] != [sha256]:
            warn(f"{dataset.path} is not the dataset of {member.name}'s training, which may have seen its test patients")
