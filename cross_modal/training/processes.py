"""Several processes that train one twin: how they meet, what they tell each other, and how they end.

The global batch of a step is known to every process, as it is a function of the step. Each encodes every size-th row of
it, all exchange their embeddings, and each computes the one loss of the whole batch (`joined`): miner, memory and
gauges see what they see in one process. The gradient of its own rows is then complete in every process, and that of
the twin's parameters is the sum over all rows, hence over all processes (`sum_gradients`).

The twin is not wrapped in `DistributedDataParallel`. Its hooks reduce during a backward pass: they expect one forward
and one backward pass a step, on every process, through every parameter, and they average. Here a process may have no
text in a step, cached gradients make many passes, and gradients are summed. One reduction after the last pass is right
in all these cases, and what it does not overlap with is short beside the trunks.

Process 0 leads: it validates, writes checkpoints and decides when to stop; the others wait in the next exchange, for
as long as it takes, and go by what it says. `PeerWatch` notices a process that will never answer.
"""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from cross_modal.errors import CrossModalError
from cross_modal.training.gradient_sum import summed_gradients
from cross_modal.training.launched import Launched, launched, spoken
from cross_modal.training.peer_watch import PeerWatch

Answer = TypeVar("Answer")
_MEETING = timedelta(minutes=5)  # for all to arrive
_WAITING = timedelta(days=2)  # a validation may take long; that a process is gone is noticed otherwise
_NOTICING = 8.0  # seconds to find out which one is gone


class ProcessLost(CrossModalError):
    """Another process has gone, and this one cannot go on alone."""


class Processes:
    """This process and the others; one alone where nothing was launched.

    Args:
        place: This process among the others.

    Raises:
        CrossModalError: If they do not meet.

    >>> alone = Processes(Launched())
    >>> alone.leads, alone.own(np.arange(3)).tolist(), alone.any(True)
    (True, [0, 1, 2], True)
    """

    def __init__(self, place: Launched) -> None:
        self.place, self.rank, self.size = place, place.rank, place.size
        self._watch: PeerWatch | None = None
        self._told_to_go = threading.Event()
        if self.size > 1:
            self._meet()

    @property
    def leads(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def own(self, rows: np.ndarray) -> np.ndarray:
        """The rows of a global batch that this process encodes: every size-th, so that counts differ by one at most."""
        return rows[self.rank :: self.size]

    def joined(self, own: Tensor | None, total: int, dim: int, device: torch.device) -> Tensor | None:
        """The embeddings of the global batch, in its order; those of this process have a graph, the others none.

        As every process computes the same loss of all of them, that is all of the gradient of its own rows.

        Args:
            own: (b, dim) float32 of this process's rows, or None where it has none.
            total: B, rows of the global batch; 0 where it has none of this modality.
            dim: Size of an embedding.
            device: Where they are.

        Returns:
            (B, dim) float32, or None where there are none.
        """
        if self.size == 1 or not total:
            return own
        most = -(-total // self.size)
        # without a row of its own a process goes backward all the same: what scales losses counts on it
        rows = torch.zeros(0, dim, device=device, requires_grad=True) if own is None else own
        padded = torch.cat([rows, rows.new_zeros(most - len(rows), dim)])
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        self._ask(lambda: dist.all_gather(parts, padded.detach().contiguous()))
        parts[self.rank] = padded
        return torch.stack(parts, dim=1).flatten(0, 1)[:total]  # row i is row i // size of process i % size

    def sum_gradients(self, twin: Sequence[nn.Parameter], loss: Sequence[nn.Parameter]) -> None:
        """Makes gradients those of the global batch, the same in every process.

        Args:
            twin: Parameters of which each process has the part of its own rows.
            loss: Parameters of which each process has the whole already: their mean is taken, so that they stay equal.
        """
        if self.size > 1:
            self._ask(lambda: summed_gradients(twin, loss, self.size))

    def share_weights(self, *modules: nn.Module) -> None:
        """Gives every process the weights of process 0."""
        if self.size > 1:
            for module in modules:
                for tensor in module.state_dict().values():
                    first = tensor.contiguous()
                    self._ask(partial(dist.broadcast, first, 0))
                    tensor.copy_(first)

    def check_alike(self, facts: Mapping[str, str | int]) -> None:
        """Refuses to train, in all processes, where one differs from process 0 in what they must share.

        Args:
            facts: Its names, for the message, and what it is in this process.

        Raises:
            CrossModalError: Naming the first difference.
        """
        first, *others = self.collected(facts)
        for rank, other in enumerate(others, start=1):
            for name, value in first.items():
                if other[name] != value:
                    raise CrossModalError(
                        f"process {rank} of {self.size}: expected {name} {value} as in process 0, found {other[name]}"
                    )

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        if self.size == 1:
            return flag
        return bool(self.largest(float(flag)))

    def largest(self, number: float) -> float:
        """The largest of all processes' numbers."""
        return self._numbers(
            torch.tensor([number], dtype=torch.float64), lambda tensor: dist.all_reduce(tensor, dist.ReduceOp.MAX)
        )

    def told(self, content: Mapping[str, Any] | None) -> dict[str, Any]:
        """What process 0 says: tensors and primitives, which is given as None by the others."""
        if self.size == 1:
            return dict(content or {})
        data = _to_bytes(content) if self.leads else torch.zeros(0, dtype=torch.uint8)
        length = int(self._numbers(torch.tensor([len(data)]), lambda tensor: dist.broadcast(tensor, 0)))
        data = data if self.leads else torch.zeros(length, dtype=torch.uint8)
        self._ask(lambda: dist.broadcast(data, 0))
        return dict(content or {}) if self.leads else _from_bytes(data)

    def collected(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What every process says, in their order: tensors and primitives."""
        if self.size == 1:
            return [dict(content)]
        data = _to_bytes(content)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        self._ask(lambda: dist.all_gather(lengths, torch.tensor([len(data)])))
        most = int(max(lengths))
        parts = [torch.zeros(most, dtype=torch.uint8) for _ in range(self.size)]
        padded = torch.cat([data, data.new_zeros(most - len(data))])
        self._ask(lambda: dist.all_gather(parts, padded))
        return [_from_bytes(part[: int(length)]) for part, length in zip(parts, lengths, strict=True)]

    @contextmanager
    def same_draws(self, seed: int, device: torch.device) -> Iterator[None]:
        """Random numbers that are the same in every process, for a loss or miner that draws; one alone draws its own.

        Args:
            seed: Of the step.
            device: Where it draws.
        """
        if self.size == 1:
            yield
            return
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield

    def failed(self, error: BaseException) -> None:
        """Tells the others why this process goes, and goes; who says it to the user is noted on the error."""
        watch = self._watch
        if watch is None:
            return
        what = " ".join(str(error).split())
        watch.failed(what if isinstance(error, CrossModalError) else f"{type(error).__name__}: {what}")
        if not isinstance(error, Exception):  # an interrupt or the end: it comes to all
            self.leave(torch.cuda.is_available())
            spoken(error, self.leads)
            return
        self._outlive_the_others()
        self.leave(torch.cuda.is_available())
        spoken(error, watch.says(self._told_to_go))

    def _outlive_the_others(self) -> None:
        """From now on this process has time for a word and its run: torchrun ends all when one has ended."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda number, frame: self._told_to_go.set())

    def leave(self, abruptly: bool = False) -> None:
        """This process and the others part: from now on it may take its time, and they theirs.

        Args:
            abruptly: Leave the connections to the end of the process: nccl may wait for one that has gone.
        """
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
            if dist.is_initialized() and not abruptly:
                dist.destroy_process_group()

    def _meet(self) -> None:
        place = self.place
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            store = dist.TCPStore(
                place.host, place.port, is_master=place.keeps_store, timeout=_MEETING, wait_for_workers=False
            )
            self._watch = PeerWatch(place)
            dist.init_process_group(
                backend,
                store=dist.PrefixStore(f"group/{place.attempt}", store),
                rank=place.rank,
                world_size=place.size,
                timeout=_WAITING,
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise CrossModalError(
                f"process {self.rank} of {self.size}: expected to meet the others at {place.host}:{place.port}, found "
                f"that it cannot ({reason})"
            ) from None

    def _numbers(self, numbers: Tensor, operation: Callable[[Tensor], Any]) -> float:
        if self.size > 1:
            self._ask(lambda: operation(numbers))
        return numbers.item()

    def _ask(self, operation: Callable[[], Answer]) -> Answer:
        """Does something with the others.

        Raises:
            ProcessLost: If one of them has gone.
        """
        try:
            return operation()
        except RuntimeError as error:  # gloo's closed connections, nccl's errors
            if self._watch is None:
                raise
            self._outlive_the_others()
            raise ProcessLost(self._watch.what_happened(_NOTICING)) from error


_joined: Processes | None = None  # as torch's own process group, there is one a process


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """The processes that were launched together: met at the first call, parted from when that one is left.

    Yields:
        All of them, or this one alone.

    Raises:
        CrossModalError: If they do not meet.
    """
    global _joined
    outermost = _joined is None
    processes = _joined = _joined or Processes(launched())
    try:
        yield processes
    except BaseException as error:
        processes.failed(error)
        raise
    finally:
        if outermost:
            processes.leave()
            _joined = None


def _to_bytes(content: Mapping[str, Any] | None) -> Tensor:
    """Tensors and primitives as (n,) uint8."""
    file = io.BytesIO()
    torch.save(dict(content or {}), file)
    return torch.from_numpy(np.frombuffer(file.getvalue(), np.uint8).copy())


def _from_bytes(data: Tensor) -> dict[str, Any]:
    """The inverse; refuses anything but tensors and primitives."""
    content: dict[str, Any] = torch.load(io.BytesIO(data.numpy().tobytes()), map_location="cpu", weights_only=True)
    return content
