"""Several processes that train or predict as one: ranks, what they agree on, and what they join.

torchrun sets RANK and WORLD_SIZE; `srun` sets SLURM_PROCID and SLURM_STEP_NUM_TASKS. Without either a process is alone, and all
here does nothing. Every collective that is not of gradients runs on the CPU through gloo, also where gradients go by NCCL.
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
    """This process among those that work together.

    Attributes:
        rank: its number, from 0; rank 0 alone writes.
        world_size: how many they are.
        local: its number on its machine, from 0: that of its GPU.
    """

    rank: int = 0
    world_size: int = 1
    local: int = 0

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def shard(self, count: int) -> np.ndarray:
        """(n,) the rows of a whole batch of `count` that this rank computes: an even, contiguous part."""
        return np.array_split(np.arange(count), self.world_size)[self.rank]

    def broadcast(self, value: Value) -> Value:
        """Rank 0's value, on every rank. A value is what JSON holds: nothing that a rank receives is unpickled."""
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
        """The highest of all ranks' values: one that stops stops all."""
        if self.world_size == 1:
            return value
        held = torch.tensor([value])
        distributed.all_reduce(held, distributed.ReduceOp.MAX)
        return int(held)

    def all_reduce_sum(self, rows: np.ndarray) -> np.ndarray:
        """Rows that each rank has filled in part, 0 elsewhere, with all parts in them."""
        if self.world_size == 1:
            return rows
        held = torch.from_numpy(rows)
        distributed.all_reduce(held)
        return held.numpy()

    def all_reduce_tensor(self, value: Tensor) -> Tensor:
        """The sum of all ranks' tensors, on the tensor's device and without waiting for it."""
        if self.world_size > 1:
            distributed.all_reduce(value)
        return value

    def all_gather(self, value: Value) -> list[Value]:
        """Every rank's value (as of `broadcast`), in the order of ranks."""
        if self.world_size == 1:
            return [value]
        return [_decoded(rows) for rows in self._gather_rows(_encoded(value), everywhere=True)]

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value (as of `broadcast`), in the order of ranks, on rank 0; nothing on the others."""
        if self.world_size == 1:
            return [value]
        return [_decoded(rows) for rows in self._gather_rows(_encoded(value))]

    def gather_arrays(self, rows: np.ndarray) -> list[np.ndarray]:
        """Every rank's rows, in the order of ranks, on rank 0; nothing on the others.

        Args:
            rows: (n, ...) numbers; n may differ between ranks, and be 0, all else is the same.
        """
        if self.world_size == 1:
            return [rows]
        return [part.numpy() for part in self._gather_rows(torch.from_numpy(np.ascontiguousarray(rows)))]

    def _gather_rows(self, rows: Tensor, everywhere: bool = False) -> list[Tensor]:
        """(n, ...) tensors of the CPU whose n differs: collectives want one shape, so all are padded to the longest."""
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
        """A block in which a rank may fail: then all end, and the first that failed says why. No collectives inside."""
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
        """What to raise for an error that every rank has: rank 0 alone tells of it."""
        return error if self.is_rank_zero else SystemExit(USAGE)

    def stop_requested(self, stop: StopRequest) -> bool:
        """Whether any rank was asked to stop; then all are. Not to be asked of `stop` itself: ranks would part."""
        number = self.all_reduce_max(stop.signal or 0)
        if number:
            stop.signal = signal.Signals(number)
        return number > 0

    def broadcast_weights(self, network: nn.Module) -> None:
        """Rank 0's weights and statistics, on every rank."""
        if self.world_size > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def parallel(self, network: nn.Module, device: torch.device, some_unused: bool) -> nn.Module:
        """The network with gradients averaged over ranks, and batch norms over the whole batch where torch can (on GPUs).

        Args:
            network: on its device.
            device: where it is.
            some_unused: it may have weights that its output does not depend on.
        """
        if self.world_size == 1:
            return network
        devices = None
        if device.type == "cuda":
            network, devices = nn.SyncBatchNorm.convert_sync_batchnorm(network), [device]  # type: ignore[no-untyped-call]
        warnings.filterwarnings("ignore", message="Grad strides do not match")  # of a one-channel stem: means nothing
        return nn.parallel.DistributedDataParallel(network, device_ids=devices, find_unused_parameters=some_unused)

    def gather_batch(self, logits: Tensor, targets: Tensor, label_mask: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The whole batch's rows from each rank's own, so that every rank computes the one loss of all of them.

        A loss over the whole batch has the divisor of the whole batch (known labels differ by rank), and one that looks at
        several images at once needs no other form. The gradient of a rank's own logits is exact; what the ranks' gradients
        are averaged by afterwards is put in here.

        Args:
            logits: (b, C) of the own rows, as are targets (b, C) and known (b, C) bool.
            targets: 0..1.
            label_mask: whether a label counts.
            count: rows of the whole batch, B.

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
    """Rows of all ranks; backwards, the own rows' gradient times the number of ranks."""

    @staticmethod
    def forward(ctx: "torch.autograd.function.FunctionCtx", own: Tensor, counts: list[int], rank: int) -> Tensor:
        padded = own.new_zeros(max(counts), own.shape[1])  # collectives want one shape
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
    """This process's place, from torchrun's or srun's environment. Raises UserError where that makes no sense."""
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
    """Joins the processes that were started together, until the block ends.

    Args:
        timeout: seconds after which ranks that wait for another give up. One that has died is noticed at once.

    Raises:
        UserError: they do not find each other, or one has ended or hangs.
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
            _keep_the_exit_code()
        traceback.clear_frames(error.__traceback__)  # they hold the network
        if not _of_a_collective(error):
            raise
        raise UserError(
            f"rank {ranks.rank}: another of the {ranks.world_size} ranks has ended or does not answer: {reason(error)}",
            "its own messages say why; the same command with --resume goes on from last.pt",
        ) from error
    finally:
        gc.collect()  # a network that outlives the group aborts the process at its end
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _keep_the_exit_code() -> None:
    """srun ends the ranks that are left when one has ended: those that are about to end by themselves take no notice."""
    for number in set(STOP_SIGNALS) - {signal.SIGINT}:
        signal.signal(number, signal.SIG_IGN)


def _of_a_collective(error: BaseException) -> bool:
    if isinstance(error, distributed.DistError | ConnectionError):
        return True
    return (
        isinstance(error, RuntimeError)
        and re.search(r"gloo|NCCL|Connection (closed|reset)|[Tt]imed out", str(error)) is not None
    )
