"""What a cell is judged by at an epoch's end: its weights, or their average where there is one."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import update_bn

from .config.recipe import CellConfig
from .data.draws import Draws, generator, torch_seed
from .data.source import Batch, Source
from .data.windows import centre_windows
from .evaluate import evaluate
from .learner import Learner
from .ranks import Ranks

_RESIDENT_EVAL_BATCH = {"cpu": 128, "cuda": 1000}  # the fastest; activations stay in the cache


class Judge:
    """Measures a learner on the validation set and on the fixed training subset."""

    def __init__(
        self,
        config: CellConfig,
        learner: Learner,
        train_set: Source,
        val_set: Source,
        batches: Callable[[int], tuple[Draws, Iterator[Batch]]],
        ranks: Ranks,
    ) -> None:
        """batches: the draws and batches of an epoch (from 0), as the training sees them."""
        self.config, self.learner, self.ranks = config, learner, ranks
        self.train_set, self.val_set, self.batches = train_set, val_set, batches
        self.final: torch.nn.Module | None = None
        clean = generator("clean").permutation(len(train_set))
        self.clean_samples = np.sort(clean[: config.measure.clean_images])

    def epoch(self, number: int) -> dict[str, Any]:
        """Accuracies at the end of an epoch, of the average of weights where there is one.

        At the last epoch those of the trained weights themselves stand beside it.
        """
        learner = self.learner
        last, average = number == self.config.epochs, self.learner.average
        if average is None:
            val = self.validation(learner.model)
            return _prefixed("val", val) | _prefixed("clean", self._clean(learner.model, number))
        trained, judged = None, self._with(average.judged(number))
        if last or average.wants_trained(number):
            trained = self.validation(learner.model)
        known = trained if judged is None else self.validation(judged)
        average.after_epoch(learner.model, number, known["top1"] if known else 0.0)
        # An average that was judged is, but for the last epoch, also what is evaluated.
        model = self.averaged_model(number) if judged is None or last else judged
        if model is None:
            model, val = learner.model, trained or self.validation(learner.model)
        else:
            val = known if model is judged else self.validation(model)
        self.final = model if last else None
        raw = trained if last else dict.fromkeys(("loss", "top1", "top5"))
        return (
            _prefixed("val", val)
            | _prefixed("raw_val", raw)
            | _prefixed("clean", self._clean(model, number))
        )

    def validation(self, model: torch.nn.Module) -> dict[str, float]:
        """Loss and accuracies of a model on the validation set."""
        return self.measure(model, self.val_set, np.arange(len(self.val_set)))

    def _with(self, weights: dict[str, torch.Tensor] | None) -> torch.nn.Module | None:
        """A copy of the model with other weights; None without any."""
        if weights is None:
            return None
        model = copy.deepcopy(self.learner.model)
        model.load_state_dict(weights)
        return model.eval()

    def averaged_model(self, number: int) -> torch.nn.Module | None:
        """A copy of the model with the average of weights at an epoch's end, if there is one."""
        average, config = self.learner.average, self.config
        model = self._with(average.weights(number))
        if model is not None and (images := average.bn_images(number)):
            # Of several ranks the first one's part of the images counts.
            a_step = config.batch_size // self.ranks.count
            steps = min(self.learner.steps_per_epoch, math.ceil(images / a_step))
            # The images of one epoch more than there are: their draws are nobody else's.
            draws, batches = self.batches(config.epochs)
            everything = slice(None)
            shown = (
                self.learner.inputs(batch, everything, draws, step)[0]
                for step, batch in enumerate(itertools.islice(batches, steps))
            )
            torch.manual_seed(torch_seed("recalibrate", config.seed))
            update_bn(shown, model)
            model.eval()
        return model

    def measure(
        self, model: torch.nn.Module, source: Source, samples: np.ndarray
    ) -> dict[str, float]:
        """Loss and accuracies of a model on some samples of a source."""
        config = self.config
        # A streaming source compiles a pipeline per batch size: there, training's own is used.
        streaming = config.reading == "streaming"
        resident = _RESIDENT_EVAL_BATCH[self.learner.device.type]
        return evaluate(
            model,
            source,
            samples,
            centre_windows(source.sizes, crop_ratio=config.val_crop_ratio),
            self.learner.normalize,
            batch_size=config.batch_size // self.ranks.count if streaming else resident,
            size=config.val_img_size or config.img_size,
            device=self.learner.device,
            flip=config.flip_tta,
            precision=config.precision,
            layout=self.learner.format,
            ranks=self.ranks,
        )

    def _clean(self, model: torch.nn.Module, number: int) -> dict[str, float | None]:
        """Accuracy on the fixed training subset, at the epochs at which it is measured."""
        measure = self.config.measure
        due = number % measure.clean_every == 0 or number == self.config.epochs
        if not due or not len(self.clean_samples):
            return {"loss": None, "top1": None, "top5": None}
        return self.measure(model, self.train_set, self.clean_samples)

    def final_model(self) -> torch.nn.Module:
        """The model that a finished training yields: of the average where there is one."""
        if self.learner.average is None:
            return self.learner.model
        if self.final is None:  # resumed after the last epoch
            self.final = self.averaged_model(self.config.epochs)
        return self.final


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{key}": value for key, value in values.items()}
