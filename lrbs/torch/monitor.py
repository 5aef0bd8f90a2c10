"""The noise scale of a training run, from the micro-batches or ranks that its steps are made of anyway."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from math import isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import numpy as np

from lrbs.noise_scale import RunningNoiseScale, two_batch_moments
from lrbs.noise_scale.gradients import Reduction, batch_mean
from lrbs.torch.report import NoiseReport, read_update_rms, settings_of
from lrbs.validation import count, positive

try:
    import torch
    from torch import distributed
except ImportError as error:
    raise ImportError("lrbs.torch needs PyTorch, which is not installed: pip install lrbs[torch]") from error

from lrbs.torch.gradients import ADAM, precision, refuse_sharded, square, stacked, total, update_square
from lrbs.torch.probe import Probe, probed

__all__ = ["NoiseMonitor"]

Item = TypeVar("Item")
LARGE, EVERY = 10**6, 8  # from so many weights a look at all of them takes its time: one step in so many
RMS_EVERY = 4  # measured steps between two looks at Adam's update, which cost as much as two at gradients


class NoiseMonitor:
    """Measures B_simple = tr(Sigma)/|g|^2 while a model trains, without a backward pass of its own.

    A step whose gradient is put together from parts, micro-batches of gradient accumulation or ranks of
    DistributedDataParallel, shows its noise: parts differ by it. The monitor takes the norm of each part as
    it arrives, and of the whole. Call :meth:`update` after each ``backward()``, before gradients are
    clipped or unscaled; the optimiser tells when a step is complete.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer or iterable of them, as Muon and AdamW; each steps once a step
    unit : str, optional, what batch sizes count ("samples", "sequences", "tokens")
    reduction : {"mean", "sum"}, optional
        Whether the loss of a micro-batch is a mean over it or a sum, either divided by a number that all
        micro-batches of a step share, such as their number, or all tokens of the step. Matters where
        micro-batches are unequal: sums weigh them by size, means alike.
    memories : tuple of float, optional, lengths in measured steps of the short and the long memory
    every : int, optional, measured is one step in so many: each, or each eighth from a million weights up
    scaler : torch.amp.GradScaler, optional, if there is one: its scale, in all gradients, changes
    log : path, optional, file to which rank 0 appends a JSON object every `log_every` steps
    log_every : int, optional
    process_group : torch.distributed.ProcessGroup, optional, all data-parallel ranks unless told

    Raises
    ------
    ValueError
        If parameters are sharded (FSDP, DTensor, ZeRO-3): a rank then never holds its own gradient.

    Notes
    -----
    Make the monitor after ``init_process_group``. Under ranks :meth:`compute` adds up over them, so all must
    call it; a log does. On graphics processors nothing waits for numbers before that. Trains exactly as
    without, in steps that take less than 2 % longer from a million weights and 256 samples up; with
    ``every=1`` 1 to 9 % (``python -m benchmarks.monitor``, on one thread).

    Source: lrbs.noise-two-batches, with b and B the harmonic sizes for means, the mean size for sums.

    Examples
    --------
    >>> import torch
    >>> weights = torch.nn.Parameter(torch.zeros(40))
    >>> optimizer = torch.optim.SGD([weights], lr=0.0)
    >>> monitor = NoiseMonitor(optimizer)
    >>> generator = torch.Generator().manual_seed(0)
    >>> for step in range(200):
    ...     for micro_batch in range(4):
    ...         samples = 1 + 5 * torch.randn(8, 40, generator=generator)
    ...         ((samples @ weights).mean() / 4).backward()
    ...         monitor.update(batch_size=8)
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    >>> low, high = monitor.compute().noise_scale.interval()
    >>> low < 25 < high
    True
    """

    def __init__(
        self,
        optimizer: Any,
        *,
        unit: str = "samples",
        reduction: Reduction = "mean",
        memories: tuple[float, float] = (50, 500),
        every: int | None = None,
        scaler: Any = None,
        log: str | Path | None = None,
        log_every: int = 50,
        process_group: Any = None,
    ) -> None:
        self.optimizers = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else list(optimizer)
        self.unit, self.reduction, self.scaler = unit, reduction, scaler
        batch_mean(1.0, reduction)  # refuses others
        self.memories = (memories[0], memories[1])
        if not 1 < memories[0] < memories[1]:
            raise ValueError(f"memories must be a short one above 1 and a longer one; got {memories}")
        self.log_every = count(log_every, "log_every")
        self.log = None if log is None else Path(log)
        self._group = process_group
        together = distributed.is_available() and distributed.is_initialized()
        self._ranks = distributed.get_world_size(process_group) if together else 1
        self._rank = distributed.get_rank(process_group) if together else 0
        self._weights = [
            p for o in self.optimizers for group in o.param_groups for p in group["params"] if p.requires_grad
        ]
        refuse_sharded(self._weights)
        large = sum(p.numel() for p in self._weights) >= LARGE
        self.every = count((EVERY if large else 1) if every is None else every, "every")
        self.reset()
        self._handles = [p.register_hook(self._hook(k, p)) for k, p in enumerate(self._weights)]
        for o in self.optimizers:
            self._handles.append(o.register_step_pre_hook(self._close))
            self._handles.append(o.register_step_post_hook(self._stepped))

    def reset(self) -> None:
        """Forget all that was measured."""
        self.step = self.skipped = self.single = 0
        self._sizes: deque[float] = deque(maxlen=int(self.memories[0]))
        self._running = [RunningNoiseScale(1 - 1 / memory, self.unit) for memory in self.memories]
        self._rms: deque[float] = deque(maxlen=int(self.memories[1]))
        self._listening = True
        self._rows: list[tuple[list[tuple[Any, float]], Any, float]] = []  # steps that compute has not seen
        self._rms_rows: list[Any] = []
        self._parts: list[tuple[Any, float]] = []  # of the step that is being put together
        self._whole: Any = None
        self._had_gradient: set[int] = set()
        self._arrived: list[int] = []  # since the last update
        self._squares: list[Any] = []

    def update(self, batch_size: float) -> None:
        """Take in the micro-batch whose ``backward()`` has just run.

        Parameters
        ----------
        batch_size : float, its size on this rank, in `unit`; of tokens those that count in the loss

        Raises
        ------
        RuntimeError
            If no gradient has come, or several backward passes since the last call.
        """
        if not self._listening:
            return
        size = float(positive(float(batch_size), "batch_size"))
        arrived, squares = self._arrived, self._squares
        self._arrived, self._squares = [], []
        if not arrived:
            raise RuntimeError(
                "no gradient has come since the last update: call update after each backward()"
            )
        if len(set(arrived)) < len(arrived):
            raise RuntimeError(
                "a parameter has had two gradients since the last update: call update after each backward(), "
                "and use checkpointing with use_reentrant=False"
            )
        with torch.no_grad():
            whole = total([square(g) for p in self._weights if (g := p.grad) is not None])
            # A first part that comes to nothing, and is averaged with no rank, is the whole.
            part = total(squares) if len(squares) == len(arrived) else whole
        self._parts.append((part, size))
        self._whole = whole
        self._had_gradient.update(arrived)

    def compute(self) -> NoiseReport:
        """What was measured up to now. All ranks must call it.

        Returns
        -------
        NoiseReport, with None where two steps have not been measured
        """
        self._gather()
        estimates = [running.estimate if running.steps > 1 else None for running in self._running]
        main = max(self.optimizers[0].param_groups, key=lambda group: sum(p.numel() for p in group["params"]))
        batch_size = fmean(self._sizes) if self._sizes else nan
        adam = next((o for o in self.optimizers if isinstance(o, ADAM)), None)
        betas = adam.param_groups[0]["betas"] if adam else ()
        rms, reading = read_update_rms(
            list(self._rms), betas, self.memories[0], batch_size, self.unit, self.every * RMS_EVERY
        )
        return NoiseReport(
            step=self.step,
            batch_size=batch_size,
            unit=self.unit,
            recent=estimates[0],
            long=estimates[1],
            memories=self.memories,
            every=self.every,
            skipped=self.skipped,
            single=self.single,
            update_rms=rms,
            from_update_rms=reading,
            optimizer=type(self.optimizers[0]).__name__,
            settings=settings_of(main),
        )

    def probe(self, loss: Callable[[Any], Any], batches: Iterable[Any]) -> Probe:
        """The best learning rate of one step from here, beside the present one, by Hessian-vector products.

        Updates are those that each optimiser would make of a batch, from its own memory and without weight
        decay; their alignment and curvature are those of the loss of another batch. Weights, memories and
        gradients stay as they are. A pair costs about five gradients, and a copy of weights and optimiser.

        Parameters
        ----------
        loss : callable, mean loss of a batch, a tensor that can be differentiated twice
            Under DistributedDataParallel of ``model.module``; best with dropout and batch statistics off.
        batches : iterable, four or more, independent, each as large as a step's: taken two by two

        Returns
        -------
        Probe
            For each optimiser the best rate if it alone stepped, with its standard error. One step: over
            many, noise adds up and rates that are best are smaller or larger. Each rank has its own.

        Raises
        ------
        ValueError
            Fewer than four batches.
        """
        listening, self._listening = self._listening, False
        try:
            return probed(self.optimizers, loss, batches)
        finally:
            self._listening = listening

    def progress(self, batches: Iterable[Item], every: int = 10) -> Iterator[Item]:
        """The same batches, with a bar that shows the noise scale; without tqdm lines on standard error.

        Parameters
        ----------
        batches : iterable, of which each makes a step
        every : int, optional, steps between two looks

        Yields
        ------
        object
        """
        shown: Any = batches
        if self._rank == 0:
            with suppress(ImportError):
                from tqdm.auto import tqdm

                shown = tqdm(batches)
        for done, batch in enumerate(shown, start=1):
            yield batch
            if done % every == 0:
                report = self.compute()  # on all ranks
                if hasattr(shown, "set_postfix_str"):
                    shown.set_postfix_str(report.line)
                elif self._rank == 0:
                    print(f"step {self.step}: {report.line}", file=sys.stderr)

    def state_dict(self) -> dict[str, Any]:
        """All that was measured, as plain numbers; under ranks up to the last :meth:`compute` of all of them.

        Returns
        -------
        dict, for :meth:`load_state_dict`
        """
        if self._ranks == 1:
            self._gather()
        state = {name: getattr(self, name) for name in ("step", "skipped", "single")}
        # Arrays as lists: torch.load refuses those of NumPy unless told to trust the file.
        running = [
            {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(one).items()}
            for one in self._running
        ]
        return {**state, "running": running, "rms": list(self._rms), "sizes": list(self._sizes)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        Parameters
        ----------
        state : dict, of a monitor with the same memories
        """
        self.reset()
        for name in ("step", "skipped", "single"):
            setattr(self, name, state[name])
        for one, saved in zip(self._running, state["running"], strict=True):
            for name, value in saved.items():
                setattr(one, name, np.array(value) if isinstance(value, list) else value)
        self._rms.extend(state["rms"])
        self._sizes.extend(state["sizes"])
        self._listening = self.step % self.every == 0

    def remove(self) -> None:
        """Take the monitor off the model and its optimisers."""
        for handle in self._handles:
            handle.remove()

    def __str__(self) -> str:
        return str(self.compute())

    def _hook(self, number: int, weight: Any) -> Callable[[Any], None]:
        """Sees a gradient before it is added to .grad, and before ranks are averaged."""

        def arrived(gradient: Any) -> None:
            if not self._listening:
                return
            fresh = weight.grad is None
            if fresh and self._parts and number in self._had_gradient:
                self.skipped += 1  # gradients were set to None without a step, as overflows are
                self._forget_step()
            self._arrived.append(number)
            if self._parts or not fresh or self._ranks > 1:
                self._squares.append(square(gradient))

        return arrived

    def _forget_step(self) -> None:
        self._parts = []
        self._had_gradient.clear()

    def _close(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Before the optimiser's step: all parts are there."""
        if self._arrived:  # backward passes that update was not told of
            self._arrived.clear()
            self._squares.clear()
            self.skipped += 1
            self._forget_step()
        if not self._parts:
            return
        scale = 1.0 if self.scaler is None else float(self.scaler.get_scale())
        self._rows.append((self._parts, self._whole, scale))
        self._forget_step()

    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """After the optimiser's step."""
        if self._listening and self.step // self.every % RMS_EVERY == 0:
            self._rms_rows += update_square(optimizer)
        if optimizer is self.optimizers[-1]:
            self.step += 1
            self._listening = self.step % self.every == 0
            if self.log is not None and self.step % self.log_every == 0:
                report = self.compute()
                if self._rank == 0:
                    with self.log.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(report.as_dict(), allow_nan=False) + "\n")

    def _gather(self) -> None:
        """Add up over ranks what steps have left, and let the running averages have it."""
        if self._rms_rows:
            # Not finite where a gradient was not, or none has come.
            self._rms += [rms for row in self._rms_rows if isfinite(rms := float(row) ** 0.5)]
            self._rms_rows = []
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        squares = iter(
            stacked([norm for parts, whole, _ in rows for norm in (*(p for p, _ in parts), whole)]).tolist()
        )
        table = []
        for parts, _, scale in rows:
            sizes = [size for _, size in parts]
            square = sum(next(squares) / (1 if self.reduction == "mean" else size) for size in sizes)
            inverse = sum(1 / size for size in sizes)
            table.append([square, next(squares), len(sizes), sum(sizes), inverse, scale, 1.0])
        if self._ranks > 1:
            device = rows[0][1].device
            shared = torch.tensor(table, device=device, dtype=precision(device))
            distributed.all_reduce(shared, group=self._group)
            table = shared.tolist()
        for row in table:
            self._take(row)

    def _take(self, step: list[float]) -> None:
        """One step, summed over ranks; whole, scale and ranks are alike on all of them."""
        square, whole, parts, size, inverse, scale, ranks = step
        self._sizes.append(size)
        if parts < 2:
            self.single += 1
            return
        small, big, weight = size / parts, size, size
        if self.reduction == "mean":
            small, big, weight = parts / inverse, parts**2 / inverse, parts
        norm, whole_norm = np.sqrt([weight * square / ranks**2, whole / ranks]) / (scale / ranks)
        if not np.isfinite(norm + whole_norm):
            self.skipped += 1
            return
        trace, squared_gradient = two_batch_moments(norm, whole_norm, small, big)
        for running in self._running:
            running.add(float(trace), float(squared_gradient))
