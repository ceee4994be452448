"""Checks before a run starts: starting weights, sampling, the number of images."""

from pathlib import Path

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.files import sha256_of
from cxrlt_cli.artifacts.run import Run, read_status
from cxrlt_cli.artifacts.run_config import read_run_config
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import is_file, is_folder
from cxrlt_cli.train.sampler import drawing_weights
from cxrlt_cli.train.settings import TrainSettings
from cxrlt_cli.train.start_weights import check_start
from cxrlt_cli.train.training_data import TrainingData


def refuse_what_cannot_start(settings: TrainSettings, weights: str, train: Dataset, ranks: int) -> None:
    """Checks a new run against its data, before the compute mode is measured, which takes minutes.

    Args:
        settings: of the training.
        weights: what `--weights` resolves to (`start_weights.settled_weights`).
        train: the training split.
        ranks: number of processes that train together.

    Raises:
        UserError: weights that are missing or of another network, a size that the encoder does not accept, an unknown source,
            a batch or a split with fewer images than ranks.
    """
    refuse_few_images(settings.loop.batch_size, train, ranks)
    drawing_weights(settings.sampling, train)
    check_start(weights, settings.start, int(train.settings["size"]))


def refuse_seen_fold(weights: str, data: TrainingData) -> None:
    """Starting weights that learned from the held-out fold would make its scores in-sample.

    Args:
        weights: what `--weights` resolves to; only a run's folder says what it was trained on.
        data: of the training.

    Raises:
        UserError: the run was trained on the same dataset, with another fold held out.
    """
    run = Run(Path(weights))
    if data.fold is None or not is_folder(run.folder) or not is_file(run.config):
        return
    other = read_run_config(run)
    if [file.sha256 for file in other.provenance.inputs[:1]] != [sha256_of(data.inputs[0])]:
        warn(f"{weights} was trained on another dataset, which may have patients of the held-out fold {data.fold}")
    elif other.fold != data.fold:
        raise UserError(
            f"--weights {weights} has learned from fold {data.fold}, which is held out here (it held out fold {other.fold})",
            f"start from a run with --fold {data.fold}, or from weights of other data",
        )


def refuse_lost_state(run: Run) -> None:
    """Resuming needs `config.json` and `last.pt`: without them the run would start again and replace its weights and history.

    Raises:
        UserError: one of the two is missing, and other files of the run exist; unless the run is finished, or was killed before
            it wrote its first `last.pt`, in which case it starts again.
    """
    kept = [path for path in (run.last, run.best, run.history) if is_file(path)]
    if not kept or (is_file(run.config) and (is_file(run.last) or _needs_no_state(run))):
        return
    lost = run.last if is_file(run.config) else run.config
    raise UserError(
        f"{lost} is missing, and {kept[0]} is there: the run cannot be resumed",
        f"restore {lost.name}; or start again with --overwrite, or give another --name",
    )


def _needs_no_state(run: Run) -> bool:
    """Whether a run is finished, or was killed before its first `last.pt`, when `status.json` has step 0."""
    status = read_status(run)
    return status is not None and (status.state == "done" or status.step == 0)


def refuse_small_passes(count: int, ranks: int, parts: int, least: int) -> None:
    """Checks the number of images per forward pass.

    Args:
        count: images per step, over all ranks.
        ranks: number of processes that share them.
        parts: micro-batches per rank.
        least: minimum images per pass (`compute.probe.least_images`).

    Raises:
        UserError: fewer images.
    """
    images = count // ranks // (parts if count % (parts * ranks) == 0 else 1)
    if images < least:
        raise UserError(
            f"a forward pass has {images} image: a batch norm gets a single value, which has no variance",
            "give a larger --batch-size, fewer ranks or a smaller --accumulate; or cache a larger --size",
        )


def refuse_few_images(batch_size: int, train: Dataset, ranks: int) -> None:
    """Raises UserError if a step has fewer images than ranks."""
    if batch_size < ranks or len(train.table) < ranks:
        raise UserError(
            f"{ranks} ranks share a batch of {min(batch_size, len(train.table))} images",
            "--batch-size is that of all ranks together: give more, or start fewer ranks",
        )
