"""Training and prediction by several processes (ranks): which rank this is, and collective operations.

torchrun sets RANK and WORLD_SIZE; `srun` sets SLURM_PROCID and SLURM_STEP_NUM_TASKS. Without them there is one process, and
collective operations return their input. Tensors on a GPU are exchanged through NCCL, everything else on the CPU through gloo.
"""

import gc
import json
import os
import re
import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, distributed, nn

from cxrlt_cli.compute.rendezvous import set_rendezvous
from cxrlt_cli.console import only_errors
from cxrlt_cli.errors import USAGE, Stopped, UserError, reason
from cxrlt_cli.signals import STOP_SIGNALS, StopRequest

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that train or predict together.

    Attributes:
        rank: number of this process, from 0; only rank 0 writes files.
        world_size: number of processes.
        local: number of this process on its machine, from 0, which is also that of its GPU.
    """

    rank: int = 0
    world_size: int = 1
    local: int = 0

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def shard(self, count: int) -> np.ndarray:
        """(n,) the rows of a batch of `count` that this rank computes: contiguous parts of equal size if possible."""
        return np.array_split(np.arange(count), self.world_size)[self.rank]

    def broadcast(self, value: Value) -> Value:
        """Rank 0's value, on every rank. Values are sent as JSON: a rank never unpickles what it receives."""
        if self.world_size == 1:
            return value
        held = _encoded(value)
        length = torch.tensor([len(held)])
        distributed.broadcast(length, src=0)
        held = held if self.is_rank_zero else torch.empty(int(length), dtype=torch.uint8)
        distributed.broadcast(held, src=0)
        found: Value = _decoded(held)
        return found

    def all_reduce_max(self, value: int) -> int:
        """The maximum over all ranks."""
        if self.world_size == 1:
            return value
        held = torch.tensor([value])
        distributed.all_reduce(held, distributed.ReduceOp.MAX)
        return int(held)

    def all_reduce_sum(self, rows: np.ndarray) -> np.ndarray:
        """The sum over all ranks. Each rank has filled its own rows and left 0 elsewhere, so that the sum has all rows."""
        if self.world_size == 1:
            return rows
        held = torch.from_numpy(rows)
        distributed.all_reduce(held)
        return held.numpy()

    def all_reduce_tensor(self, value: Tensor) -> Tensor:
        """The sum over all ranks, in place on the tensor's device."""
        if self.world_size > 1:
            distributed.all_reduce(value)
        return value

    def all_gather(self, value: Value) -> list[Value]:
        """Every rank's value (as of `broadcast`), in the order of ranks."""
        if self.world_size == 1:
            return [value]
        return [_decoded(rows) for rows in self._gather_rows(_encoded(value), everywhere=True)]

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value (as of `broadcast`), in the order of ranks, on rank 0; an empty list on the others."""
        if self.world_size == 1:
            return [value]
        return [_decoded(rows) for rows in self._gather_rows(_encoded(value))]

    def gather_arrays(self, rows: np.ndarray) -> list[np.ndarray]:
        """Every rank's rows, in the order of ranks, on rank 0; an empty list on the others.

        Args:
            rows: (n, ...) numbers. n may differ between ranks, and may be 0; the other dimensions are equal.
        """
        if self.world_size == 1:
            return [rows]
        return [part.numpy() for part in self._gather_rows(torch.from_numpy(np.ascontiguousarray(rows)))]

    def _gather_rows(self, rows: Tensor, everywhere: bool = False) -> list[Tensor]:
        """Gathers (n, ...) CPU tensors of different n. Collectives need equal shapes, so all are padded to the longest."""
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.world_size)]
        distributed.all_gather(lengths, torch.tensor([len(rows)]))
        padded = rows.new_zeros(max(int(length) for length in lengths), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in lengths] if everywhere or self.is_rank_zero else []
        if everywhere:
            distributed.all_gather(parts, padded)
        else:
            distributed.gather(padded, parts or None, dst=0)
        return [part[: int(length)] for part, length in zip(parts, lengths, strict=bool(parts))]

    @contextmanager
    def fail_together(self) -> Iterator[None]:
        """If the block fails on one rank, all ranks exit, and the first that failed prints its error. No collectives inside."""
        failure: UserError | None = None
        try:
            yield
        except UserError as error:
            if self.world_size == 1:
                raise
            failure = error
        failed = [rank for rank, fails in enumerate(self.all_gather(failure is not None)) if fails]
        if failed and failed[0] == self.rank and failure:
            raise failure
        if failed:
            raise SystemExit(USAGE)

    def common_error(self, error: UserError) -> BaseException:
        """The exception for an error that occurs on every rank: only rank 0 prints it."""
        return error if self.is_rank_zero else SystemExit(USAGE)

    def stop_requested(self, stop: StopRequest) -> bool:
        """Whether any rank was asked to stop. Do not read `stop` instead: ranks would stop at different steps."""
        number = self.all_reduce_max(stop.signal or 0)
        if number:
            stop.signal = signal.Signals(number)
        return number > 0

    def broadcast_weights(self, network: nn.Module) -> None:
        """Copies rank 0's weights and buffers to every rank."""
        if self.world_size > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def parallel(self, network: nn.Module, device: torch.device, some_unused: bool) -> nn.Module:
        """The network with gradients averaged over ranks; on GPUs also with batch norm statistics of the whole batch.

        Args:
            network: on its device.
            device: of the network.
            some_unused: whether it may have weights that its output does not depend on.
        """
        if self.world_size == 1:
            return network
        devices = None
        if device.type == "cuda":
            network, devices = nn.SyncBatchNorm.convert_sync_batchnorm(network), [device]  # type: ignore[no-untyped-call]
        warnings.filterwarnings("ignore", message="Grad strides do not match")  # harmless, about one-channel stems
        return nn.parallel.DistributedDataParallel(network, device_ids=devices, find_unused_parameters=some_unused)

    def gather_batch(self, logits: Tensor, targets: Tensor, label_mask: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Gathers the rows of all ranks, so that every rank computes the loss of the whole batch.

        The loss is a mean over the known labels of the whole batch, and some losses compare several images; averaging the
        losses of ranks would give another result. DistributedDataParallel averages gradients over ranks afterwards: the
        gradient of a rank's own logits is multiplied by the number of ranks here, which makes the result exact.

        Args:
            logits: (b, C) of the rank's rows.
            targets: (b, C) of 0..1.
            label_mask: (b, C) bool.
            count: B, rows of the whole batch.

        Returns:
            The same as (B, C), in the order of the whole batch.
        """
        if self.world_size == 1:
            return logits, targets, label_mask
        own = torch.cat([logits.float(), targets.float(), label_mask.float()], dim=1)
        counts = [len(part) for part in np.array_split(np.arange(count), self.world_size)]
        logits, targets, given = _GatherRows.apply(own, counts, self.rank).chunk(3, dim=1)
        return logits, targets.detach(), given.detach() > 0


def _encoded(value: Any) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _decoded(held: Tensor) -> Any:
    return json.loads(held.numpy().tobytes())


class _GatherRows(torch.autograd.Function):
    """All-gather of rows; in the backward pass, the gradient of the rank's rows times the number of ranks."""

    @staticmethod
    def forward(ctx: "torch.autograd.function.FunctionCtx", own: Tensor, counts: list[int], rank: int) -> Tensor:
        padded = own.new_zeros(max(counts), own.shape[1])  # collectives need equal shapes
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(parts, padded)
        ctx.place = sum(counts[:rank]), counts[rank], len(counts)  # type: ignore[attr-defined]
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: "torch.autograd.function.FunctionCtx", *gradients: Tensor) -> tuple[Tensor, None, None]:
        begin, count, world = ctx.place  # type: ignore[attr-defined]
        return gradients[0][begin : begin + count] * world, None, None


def find_ranks() -> Ranks:
    """The rank of this process, from torchrun's or srun's environment. Raises UserError if a variable is missing or wrong."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if "RANK" not in os.environ and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
    elif "RANK" not in os.environ:
        return Ranks()
    try:
        rank, world, local = (int(os.environ[name]) for name in names)
    except (KeyError, ValueError):
        raise UserError(
            f"{', '.join(names)} do not say which of several processes this is", "start with torchrun or srun"
        ) from None
    return Ranks(rank, world, local)


@contextmanager
def join_ranks(timeout: float) -> Iterator[Ranks]:
    """Connects the ranks that were started together, until the block ends.

    Args:
        timeout: seconds after which a rank stops waiting for another. A rank that has died is noticed at once.

    Raises:
        UserError: ranks cannot connect, or one has ended or does not answer.
    """
    ranks = find_ranks()
    if ranks.world_size == 1:
        yield ranks
        return
    only_errors(ranks.rank)
    set_rendezvous()
    try:
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        wait = timedelta(seconds=timeout)
        distributed.init_process_group(backend, timeout=wait, rank=ranks.rank, world_size=ranks.world_size)
        yield ranks
    except BaseException as error:
        if isinstance(error, Stopped):
            _ignore_signals()
        traceback.clear_frames(error.__traceback__)  # they keep the network alive
        if not _of_a_collective(error):
            raise
        raise UserError(
            f"rank {ranks.rank}: another of the {ranks.world_size} ranks has ended or does not answer: {reason(error)}",
            "see the messages of that rank; the same command with --resume continues from last.pt",
        ) from error
    finally:
        gc.collect()  # a network that still exists after the group is destroyed aborts the process at exit
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _ignore_signals() -> None:
    """srun signals the remaining ranks when one has ended. A rank that is already stopping keeps its own exit code."""
    for number in set(STOP_SIGNALS) - {signal.SIGINT}:
        signal.signal(number, signal.SIG_IGN)


def _of_a_collective(error: BaseException) -> bool:
    if isinstance(error, distributed.DistError | ConnectionError):
        return True
    return (
        isinstance(error, RuntimeError)
        and re.search(r"gloo|NCCL|Connection (closed|reset)|[Tt]imed out", str(error)) is not None
    )
