"""Several processes that train and predict as one, each a real process of the real command."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CACHE, TRAIN, TRAIN_BY_IMAGE, Run, classes_file, ended, start_ranks, wait_for
from processes import SERVER, START, run_server
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.distributed import distributed_c10d

from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.compute.distributed import find_ranks, join_ranks
from cxrlt_cli.compute.rendezvous import first_node
from cxrlt_cli.errors import UserError


def _status(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "status.json").read_text())
    return found


def _history(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def _step_losses(run: Path) -> list[float]:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [event.value for event in events.Scalars("train/loss")]


@pytest.fixture
def partly_known(cxrlt: Run, pictures: Path, tmp_path: Path) -> Path:
    """A workspace in which half of the images lack labels, so that ranks have different numbers of known ones."""
    table = pictures / "labels.csv"
    header, *rows = table.read_text().splitlines()
    rows = [row.rpartition(",")[0].rpartition(",")[0] + ",," if number % 4 < 2 else row for number, row in enumerate(rows)]
    table.write_text("\n".join([header, *rows]) + "\n")
    for command in (
        [*CACHE, "--source", f"table={table}", "--name", "pictures"],
        ["embed-labels", "--encoder", "ngram"],
        ["merge", "--label-space", classes_file(tmp_path), "--split", "50,25,25", "--blank", "ignore"],
    ):
        done = cxrlt(*command)
        assert done.code == 0, done.err
    return tmp_path


def test_two_ranks_come_to_what_one_comes_to(cxrlt: Run, partly_known: Path, python: Path) -> None:
    """An uneven batch (15 = 8 + 7), unknown labels, partners on the other rank, an average: the same loss at every step."""
    tricks = ["--mixup", "0.4", "--cutmix", "1", "--mosaic", "0.3", "--average", "ema:0.9"]
    command = [*TRAIN_BY_IMAGE, *tricks, "--epochs", "2", "--tensorboard"]
    done = cxrlt(*command, "--name", "one")
    assert done.code == 0, done.err
    launcher = [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cxrlt_cli"]
    auto = ["--layout", "auto"]  # the two measure which is faster, and must agree
    own, ranks = [*launcher, *command, *auto, "--name", "two"], {**os.environ, "PYTHON_EXEC": str(python)}
    launched = subprocess.run(own, cwd=partly_known, env=ranks, capture_output=True, text=True, check=False, timeout=250)
    assert launched.returncode == 0, launched.stderr
    assert launched.stderr.count("epoch 1/2: loss") == 1, "rank 0 alone talks"
    parts = ended(start_ranks(2, *command, "--accumulate", "2", "--name", "parts", cwd=partly_known))
    assert [rank.code for rank in parts] == [0, 0], parts
    assert sum(rank.err.count("epoch 1/2: loss") for rank in parts) == 1
    for name in ("two", "parts"):
        _expect_the_same_training(partly_known / "runs/one", partly_known / f"runs/{name}")

    for images in ([], ["--images", "source/pictures", "--name", "folder"]):
        arguments = ["predict", "one", "--batch-size", "7", "--tta", "2", "--overwrite", *images]
        done = cxrlt(*arguments)
        assert done.code == 0, done.err
        path = partly_known / f"predictions/{'folder' if images else 'one-test-tta2'}.parquet"
        alone = read_predictions(path)
        path.unlink()
        codes = [rank.code for rank in ended(start_ranks(2, *arguments, cwd=partly_known))]
        assert codes == [0, 0]
        shared = read_predictions(path)
        assert shared.image_ids == alone.image_ids
        assert (shared.logits == alone.logits).all(), "batches are dealt out whole: bit-equal"


def _expect_the_same_training(one: Path, other: Path) -> None:
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
    losses = _step_losses(one)
    assert len(losses) == 6
    assert len(set(losses)) == 6
    np.testing.assert_allclose(_step_losses(other), losses, rtol=1e-5)
    for alone, shared in zip(_history(one), _history(other), strict=True):
        for name in ("train_loss", "val_loss", "mAP"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-5)
    expected, found = (read_predictions(run / "validation.parquet") for run in (one, other))
    assert found.image_ids == expected.image_ids, "every image once, in order"
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-4)


def test_a_stop_of_one_rank_stops_all_and_they_go_on_bit_equal(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    """With batch norms, whose statistics are each rank's own: rank 0's are kept."""
    command = [*TRAIN, "--epochs", "5", "--mixup", "0.4", "--average", "ema:0.9"]
    undisturbed = ended(start_ranks(2, *command, "--name", "undisturbed", cwd=tmp_path))
    assert [rank.code for rank in undisturbed] == [0, 0], undisturbed
    processes = start_ranks(2, *command, "--name", "stopped", cwd=tmp_path)
    wait_for(tmp_path / "runs/stopped/last.pt")
    processes[1].send_signal(signal.SIGUSR1)
    stopped = ended(processes)
    assert [rank.code for rank in stopped] == [75, 75], stopped
    assert _status(tmp_path / "runs/stopped")["state"] == "stopped"
    again = ended(start_ranks(2, *command, "--name", "stopped", "--resume", cwd=tmp_path))
    assert [rank.code for rank in again] == [0, 0], again
    first, second = (read_checkpoint(tmp_path / f"runs/{name}/last.pt", ["average"]) for name in ("undisturbed", "stopped"))
    for kind in ("model", "average"):
        assert all(torch.equal(tensor, second[kind][name]) for name, tensor in first[kind].items())


def test_a_rank_that_dies_ends_the_others_and_leaves_a_state_to_go_on_from(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    command = [*TRAIN, "--epochs", "500", "--save-every", "1"]
    processes = start_ranks(2, *command, cwd=tmp_path)
    wait_for(tmp_path / "runs/tiny_net/last.pt")
    processes[1].kill()
    since = time.monotonic()
    survivor, _ = ended(processes, seconds=60)
    assert time.monotonic() - since < 60
    assert survivor.code == 2
    assert "another of the 2 ranks has ended or does not answer" in survivor.err
    assert "Traceback" not in survivor.err
    assert _status(tmp_path / "runs/tiny_net")["state"] == "failed"
    step = read_checkpoint(tmp_path / "runs/tiny_net/last.pt", ["step"])["step"]
    assert step > 0
    processes = start_ranks(1, *command, "--resume", cwd=tmp_path)
    end = time.monotonic() + 60
    while _status(tmp_path / "runs/tiny_net")["step"] <= step:
        assert time.monotonic() < end
        time.sleep(0.1)
    processes[0].send_signal(signal.SIGTERM)
    assert ended(processes)[0].code == 143


def test_a_rank_that_hangs_ends_the_others_after_the_timeout(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    processes = start_ranks(2, *TRAIN, "--epochs", "500", "--rank-timeout", "5", cwd=tmp_path)
    try:
        wait_for(tmp_path / "runs/tiny_net/last.pt")
        processes[1].send_signal(signal.SIGSTOP)
        _, told = processes[0].communicate(timeout=100)
    finally:
        processes[1].kill()
        ended(processes)
    assert processes[0].returncode == 2
    assert "has ended or does not answer" in told


def test_an_error_is_told_once(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "runs/tiny_net").mkdir(parents=True)
    ranks = ended(start_ranks(2, *TRAIN, cwd=tmp_path))
    assert [rank.code for rank in ranks] == [2, 2]
    assert [rank.err.count("error: runs/tiny_net exists") for rank in ranks] == [1, 0]


def _exchange(rank: int, port: int) -> None:
    """One of two ranks, in a process of its own."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("an object is pickled between ranks")

    distributed_c10d._object_to_tensor = distributed_c10d._tensor_to_object = refused
    place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    with join_ranks(60) as ranks:
        first = ranks.is_rank_zero
        value = {"name": "größe", "some": [1, None, 0.1, float("inf")], "inner": {"a": True}}
        assert ranks.broadcast(value if first else {}) == value
        assert ranks.all_gather(["x"] * rank) == [[], ["x"]]
        assert ranks.gather(rank) == ([0, 1] if first else [])
        rows = np.arange(6, dtype=np.float32).reshape(3, 2)
        found = ranks.gather_arrays(rows if first else rows[:0])
        assert [part.tolist() for part in found] == ([rows.tolist(), []] if first else [])
        found = ranks.gather_arrays(np.arange(rank * 5))
        assert [part.tolist() for part in found] == ([[], [0, 1, 2, 3, 4]] if first else [])
        assert all(part.dtype == np.int64 for part in found)


def test_ranks_exchange_json_and_numbers_and_never_pickles() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with START:
        run_server()
    processes = [SERVER.Process(target=_exchange, args=(rank, port)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    package = Path(find_ranks.__code__.co_filename).parents[1]
    assert not [path for path in package.rglob("*.py") if re.search(r"distributed\.\w*object", path.read_text())]


def test_where_the_environment_puts_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    assert find_ranks().world_size == 1
    for name, value in (("SLURM_PROCID", "5"), ("SLURM_NTASKS", "8"), ("SLURM_LOCALID", "1")):
        monkeypatch.setenv(name, value)
    assert find_ranks().world_size == 1, "a batch script's own shell, which srun did not start, has these too"
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    ranks = find_ranks()
    assert (ranks.rank, ranks.world_size, ranks.local) == (5, 8, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UserError, match="LOCAL_RANK"):
        find_ranks()
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert find_ranks().rank == 2, "torchrun within srun: torchrun counts"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("node1", "node1"), ("gpu[07-09,12],cpu1", "gpu07"), ("a-b3,c", "a-b3"), ("n[2]", "n2"), ("rack1-[05]", "rack1-05")],
)
def test_the_first_of_a_list_of_nodes(nodes: str, first: str) -> None:
    assert first_node(nodes) == first
