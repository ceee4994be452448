"""What can be refused before anything is measured: weights that are not there, too few images."""

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.train.sampler import drawing_weights
from cxrlt_cli.train.start_weights import check_start


def refuse_what_cannot_start(config: TrainConfig, weights: str, train: Dataset, ranks: int) -> None:
    """Checks a new run against its data, in seconds: measuring how it computes best takes minutes.

    Args:
        config: the options.
        weights: what `--weights` comes to (`start_weights.settled_weights`).
        train: the training split.
        ranks: processes that train together.

    Raises:
        UserError: weights that are not there or of another network, a source or rule of drawing that is not there, a batch or
            a split of fewer images than ranks.
    """
    refuse_few_images(config, train, ranks)
    drawing_weights(config, train)
    check_start(weights, config)


def refuse_few_images(config: TrainConfig, train: Dataset, ranks: int) -> None:
    """Raises UserError where a step has not an image for each rank."""
    if config.batch_size < ranks or len(train.table) < ranks:
        raise UserError(
            f"{ranks} ranks share a batch of {min(config.batch_size, len(train.table))} images",
            "--batch-size is that of all ranks together: give more, or start fewer ranks",
        )
