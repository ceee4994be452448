"""What can be refused before anything is measured: weights that are not there, too few images."""

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.errors import UserError
from cxrlt_cli.train.sampler import drawing_weights
from cxrlt_cli.train.settings import TrainSettings
from cxrlt_cli.train.start_weights import check_start


def refuse_what_cannot_start(settings: TrainSettings, weights: str, train: Dataset, ranks: int) -> None:
    """Checks a new run against its data, in seconds: measuring how it computes best takes minutes.

    Args:
        settings: of the training.
        weights: what `--weights` comes to (`start_weights.settled_weights`).
        train: the training split.
        ranks: processes that train together.

    Raises:
        UserError: weights that are not there or of another network, a source or rule of drawing that is not there, a batch or
            a split of fewer images than ranks.
    """
    refuse_few_images(settings.loop.batch_size, train, ranks)
    drawing_weights(settings.sampling, train)
    check_start(weights, settings.start)


def refuse_few_images(batch_size: int, train: Dataset, ranks: int) -> None:
    """Raises UserError where a step has not an image for each rank."""
    if batch_size < ranks or len(train.table) < ranks:
        raise UserError(
            f"{ranks} ranks share a batch of {min(batch_size, len(train.table))} images",
            "--batch-size is that of all ranks together: give more, or start fewer ranks",
        )
