"""`cxrlt train`."""

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.workspace import Workspace


def train(config: TrainConfig, workspace: Workspace) -> None:
    """Train a network, validated by each class's AP.

    It learns from dataset.parquet, with label_embeddings.parquet as queries, into runs/NAME: history.jsonl holds each
    class's AP, best.pt the weights of the highest mean. SIGTERM and SIGUSR1 save and stop; the same command with --resume
    goes on.
    """
    from cxrlt_cli.train.train import train_run

    train_run(config, workspace)
