"""A scale: where a study is run, as a mapping of its recipe to what is there."""

from __future__ import annotations

from .base import Count, FileConfig, Percent, Positive, Side, Title, WholeEpochs
from .recipe import AnyModel, AnyWeights, Compute, Measure, Share
from .resources import Resources


class ScaleConfig(FileConfig):
    """Where a study is run (`config/scales/`). What is not named stays as the recipe has it."""

    title: Title
    """Name for readers."""
    trial: bool = False
    """Tries the workflow out: accuracies mean nothing. The report says so, and no claim is tested
    at this scale."""
    datasets: dict[str, str] = {}
    """Dataset of the recipe -> dataset used here."""
    models: dict[str, AnyModel] = {}
    """Label of the recipe's model (its `arch`, else its name) -> model used here."""
    weights: dict[str, AnyWeights] = {}
    """Label of given weights (the name in timm, the file's name) -> weights used here."""
    img_sizes: dict[Side, Side] = {}
    """Image size of the recipe -> image size used here, pixels."""
    epochs_divide_by: Positive = 1.0
    """Epochs are divided by this and rounded; everything counted in epochs keeps its share."""
    epochs: dict[WholeEpochs, WholeEpochs] = {}
    """Epochs of the recipe -> epochs used here, for trainings that `epochs_divide_by` would leave
    too short for their schedule."""
    batch_sizes: dict[Count, Count] = {}
    """Batch size of the recipe -> batch size used here, before `batch_divide_by`: batch sizes that
    a study compares keep their ratios."""
    batch_divide_by: Positive = 1.0
    """Other batch sizes are divided by this; the result must be whole."""
    train_shares: dict[Share, Share] = {}
    """Share of the training set in the recipe -> share used here, before `train_share`: where a
    study means a number of images, which is another share of another dataset."""
    train_share: Share = 1.0
    """Multiplies other shares of the training set."""
    val_share: Share = 1.0
    """Multiplies the recipe's share of the validation set."""
    val_crop_ratio: Share | None = None
    """Replaces the recipe's."""
    compute: Compute | None = None
    """Replaces the recipe's."""
    measure: Measure | None = None
    """Replaces the recipe's. Its clean images are of `train_share` of the training set: a study
    that takes another share of it has as many more or fewer."""
    max_seeds: Count | None = None
    """At most so many of a study's seeds, the first ones."""
    thresholds: tuple[Percent, ...] = ()
    """Accuracies, in percent, for which the tables say when they were reached."""
    resources: Resources = Resources()
