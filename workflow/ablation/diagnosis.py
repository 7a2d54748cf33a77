"""Measures computed from a cell's epochs: pure functions, for the cell's record and for collect.

An epoch is a mapping as metrics.json holds it (`epoch` from 1, `val_top1` in percent, `val_loss`,
...). Collect computes them anew from the epochs, so that cells of any age have them.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

# ---- time to an accuracy -------------------------------------------------------------------------


class TimeTo(NamedTuple):
    """When an accuracy was reached, and from when on it was held. None: not within the training
    (censored: later than its last epoch, if ever)."""

    epochs: int | None
    """First epoch with it."""
    seconds: float | None
    """Training and evaluation up to the end of that epoch."""
    epochs_held: int | None
    """First epoch from which on no epoch was below it."""
    seconds_held: float | None


def reached(epochs: Sequence[dict[str, Any]], threshold: float) -> int | None:
    """First epoch (from 1) whose validation top-1, in percent, is at least `threshold`."""
    return next((e["epoch"] for e in epochs if e["val_top1"] >= threshold), None)


def held(epochs: Sequence[dict[str, Any]], threshold: float) -> int | None:
    """First epoch from which the validation top-1 is at least `threshold` to the end.

    So the CIFAR document finds its "transition epochs" (its table 2: the variation after the value
    was first reached is considered too).
    """
    tail = list(itertools.takewhile(lambda e: e["val_top1"] >= threshold, reversed(epochs)))
    return tail[-1]["epoch"] if tail else None


def time_to(
    epochs: Sequence[dict[str, Any]],
    times: Sequence[dict[str, Any]],
    threshold: float,
    *,
    diverged: bool = False,
) -> TimeTo:
    """Epochs and seconds to an accuracy; times: a mapping an epoch, with training and evaluation.

    A diverged run may have reached an accuracy, but holds none.
    """
    spent = list(itertools.accumulate(t["train_time_s"] + t["eval_time_s"] for t in times))
    first = reached(epochs, threshold)
    last = None if diverged else held(epochs, threshold)
    seconds, seconds_held = (None if e is None else spent[e - 1] for e in (first, last))
    return TimeTo(first, seconds, last, seconds_held)


# ---- spikes of the validation loss ---------------------------------------------------------------

# The document shows spikes and defines none; these numbers are ours. The window is that of a person
# who looks at a curve; 1.25 lies above the epoch-to-epoch scatter of a training at its end and
# below the document's spikes, which reach a multiple of the level.
SPIKE_FACTOR = 1.25
SPIKE_WINDOW = 5
_HISTORY = 3  # epochs before the first that can be a spike


class Spike(NamedTuple):
    """A rise of a loss that goes back."""

    epoch: int
    """Its first epoch, from 1."""
    epochs: int
    """How many epochs it lasted, at most SPIKE_WINDOW."""
    height: float
    """Its highest value as a multiple of the level before it, above SPIKE_FACTOR."""


def spikes(losses: Sequence[float]) -> list[Spike]:
    """The spikes of a loss over epochs (finite values > 0, from epoch 1).

    The level before an epoch is the median of the SPIKE_WINDOW epochs before it (at least three). A
    spike begins where the loss exceeds SPIKE_FACTOR times its level, and ends with the first epoch
    at or below that again, within SPIKE_WINDOW epochs. A rise that does not go back so soon is none
    (overfitting, a raised learning rate), nor is one at the end of the training. It depends on
    ratios of losses alone, so on no loss's scale.
    """
    found, now = [], _HISTORY
    while now < len(losses):
        level = statistics.median(losses[max(0, now - SPIKE_WINDOW) : now])
        if not losses[now] > SPIKE_FACTOR * level:
            now += 1
            continue
        after = losses[now : now + SPIKE_WINDOW + 1]
        length = next((i for i, v in enumerate(after) if v <= SPIKE_FACTOR * level), None)
        if length is not None:
            found.append(Spike(now + 1, length, max(after[:length]) / level))
        # After a rise that stays, the level is that of its own epochs.
        now += length or SPIKE_WINDOW
    return found


def spike_record(epochs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Number and largest height of the spikes of the validation loss.

    The number is None in a training too short to show one; the height where there is none.
    """
    losses = [e["val_loss"] for e in epochs]
    if len(losses) <= _HISTORY:
        return {"val_loss_spikes": None, "val_loss_spike_height": None}
    found = spikes(losses)
    height = max((s.height for s in found), default=None)
    return {"val_loss_spikes": len(found), "val_loss_spike_height": height}


# ---- noise scale ---------------------------------------------------------------------------------


def noise_scale(lr: float, images: int, batch_size: int, momentum: float) -> float:
    """Scale of the noise of stochastic gradient descent: lr (N/B - 1) / (1 - m).

    Smith and Le 2018 (arXiv 1710.06451), with the momentum; the CIFAR document's "noise formula".
    lr: absolute; images: N, training images used; momentum: m in [0, 1).
    """
    return lr * (images / batch_size - 1) / (1 - momentum)


def peak_lr(lr_at: Callable[[float], float], epochs: int, steps_per_epoch: int) -> float:
    """Highest learning rate of all steps. lr_at: learning rate at a time in epochs."""
    steps = range(epochs * steps_per_epoch)
    return max(lr_at(step / steps_per_epoch) for step in steps)


def cell_noise_scale(config: Any, images: int, steps_per_epoch: int) -> float | None:
    """The noise scale of a cell (CellConfig) at its highest learning rate.

    None for another optimizer than SGD (plain, heavy-ball or Nesterov's momentum): the formula is
    derived for it, and Adam has no m.
    """
    if config.optimizer.name != "sgd":
        return None

    def lr_at(epoch: float) -> float:
        return config.schedule.lr(config.lr, epoch, config.epochs)

    lr = peak_lr(lr_at, config.epochs, steps_per_epoch)
    return noise_scale(lr, images, config.batch_size, config.optimizer.momentum)


# ---- overfitting and underfitting ----------------------------------------------------------------

# PaddleClas, section 2.2.8: "slightly higher or the same" is a good state, "much higher" is
# overfitting. It gives no number: 5 points are ours.
OVERFIT_POINTS = 5.0
OVERFITTING, UNDERFITTING, BALANCED = "overfitting", "underfitting", "balanced"


class Fit(NamedTuple):
    """What train and validation accuracy say about the strength of regularization."""

    category: str
    """`overfitting`: train far above validation, regularize more; `underfitting`: below it,
    regularize less; `balanced`: the same or slightly above."""
    gap: float
    """Train minus validation top-1, points."""
    above: float
    """A gap above this is overfitting."""
    below: float
    """A gap below this is underfitting."""


def fit(train: float, val: float, train_images: int, val_images: int) -> Fit:
    """The diagnosis of PaddleClas, section 2.2.8, from two top-1 accuracies in percent.

    "Lower" and "higher" hold where the difference exceeds twice its standard error, of two
    binomial shares measured on so many images (ours: 1,000 and 5,000 images at 85 % have one of
    1.2 points); and "much higher" is at least OVERFIT_POINTS.
    """
    shares = ((train / 100, train_images), (val / 100, val_images))
    error = 200 * math.sqrt(sum(p * (1 - p) / n for p, n in shares))
    gap, above = train - val, max(OVERFIT_POINTS, error)
    category = OVERFITTING if gap > above else UNDERFITTING if gap < -error else BALANCED
    return Fit(category, gap, above, -error)


def fit_record(
    last: dict[str, Any] | None, clean_images: int, train_images: int, val_images: int
) -> dict[str, Any]:
    """The diagnosis at the last epoch, by the clean train accuracy and by the running one.

    The document means the running one, on augmented images while the weights change: augmentation
    and mixing lower it, whatever the network has learnt. The clean one is what the tables show.
    """
    record: dict[str, Any] = {}
    for name, images in (("clean", clean_images), ("running", train_images)):
        train = (last or {}).get("clean_top1" if name == "clean" else "train_top1")
        known = train is not None and images and val_images
        found = fit(train, last["val_top1"], images, val_images) if known else None
        record[f"fit_{name}"] = None if found is None else found._asdict()
    return record
