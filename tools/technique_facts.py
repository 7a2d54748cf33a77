"""What the code does not say of itself in docs/techniques.md: families, proofs, what is not there.

A proof is `what it is held to: file::test`, the file below tests/; a test of the page finds each.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel

from ablation.config.recipe import (
    Compute,
    Distillation,
    Pretrained,
    ProgressiveResize,
    ScaledLR,
    Training,
)
from ablation.losses import CrossEntropy
from ablation.models import ResNetSmall
from ablation.optim import SGD
from ablation.schedules import Cosine


class Family(NamedTuple):
    """A section of the page."""

    title: str
    text: str


class Setting(NamedTuple):
    """A technique that is a key of the recipe."""

    section: str
    """Of configuration.md."""
    where: tuple[type[BaseModel], str | None]
    """Model and field whose docstring says what it does; None for the model's own."""
    proofs: tuple[str, ...]
    draws: str = ""


FAMILY = {
    "model": Family(
        "Models",
        "Initial weights are drawn from stream `weights`, dropout and stochastic depth from "
        "`model`, which is seeded for each step.",
    ),
    "optimizer": Family(
        "Optimizers",
        "Coupled weight decay is that of `sgd`, `rmsprop`, `adadelta` and `adam`, decoupled weight "
        "decay that of `adamw`; `lamb` has its own. Nothing is drawn.",
    ),
    "schedule": Family(
        "Schedules",
        "Evaluated before every step. Each takes a linear warmup and, where it does not keep its "
        "last value anyway, a cooldown. Nothing is drawn.",
    ),
    "loss": Family(
        "Losses",
        "Label smoothing is `label_smoothing` of either. The validation loss is always "
        "cross-entropy without smoothing. Nothing is drawn.",
    ),
    "augment": Family(
        "Augmentation: what is read of an image",
        "First of the stages ([0009](decisions/0009-stages-of-augmentation.md)). A mirror image "
        "alone is `{name: shift, fraction: 0}`.",
    ),
    "policy": Family(
        "Policies: operations on pixels and shapes",
        "Operations on colours do nothing on grey images, those on levels and shapes do: the "
        "second strip is of one.",
    ),
    "erase": Family("Erasing", "What is hidden shows the training set's mean, or noise."),
    "mix": Family(
        "Mixing",
        "Blends of two images have blended targets. The first two pictures are the partners.",
    ),
    "averaging": Family(
        "Averages of weights",
        "What is evaluated is the average: [0011](decisions/0011-averages-of-weights.md). The "
        "pictures show how much of each epoch's weights is in the final one. Drawn is only the "
        "augmentation of the images on which batch norms are measured anew.",
    ),
    "weights": Family(
        "Weights from elsewhere",
        "For `pretrained.weights` and `distill.teacher` below, where the papers are named: "
        "[0010](decisions/0010-weights-from-other-cells.md). Nothing is drawn.",
    ),
}

_STEPS = "unit/test_optim.py::test_each_step_is_the_reference_s_to_the_bit"
_TORCH_RATES = "torch's schedulers over a run: unit/test_schedules.py::test_whole_run_equals_torch"
_TIMM_MIX = (
    "timm's, given its shares: "
    "unit/test_mixing.py::test_with_the_same_shares_boxes_and_partners_it_is_timm",
)
_COUNTS = "parameters counted by hand: unit/test_optim.py::test_counts_of_resnet18"
_DROP_PATH = (
    "timm and torchvision: unit/test_models.py::test_drop_path_is_that_of_timm_and_torchvision"
)
_SIZES = "published sizes: unit/test_models.py::test_published_sizes"

PROOFS: dict[str, tuple[str, ...]] = {
    "model.resnet_small": (
        "its number of parameters: unit/test_models.py::test_size_of_the_small_network",
        _DROP_PATH,
    ),
    "model.mobilenet_v1": (
        "timm: unit/test_models.py::test_mobilenet_v1_is_timm_s_but_for_relu6",
        _SIZES,
    ),
    "model.resnet56_v2": (
        "the document's size: unit/test_models.py::test_resnet56_v2_is_the_document_s",
        "Keras's arithmetic: unit/test_models.py::test_resnet56_v2_computes_what_keras_does",
    ),
    "model.torchvision": (_SIZES,),
    "model.timm": (_SIZES,),
    "optimizer.sgd": (
        "torch.optim.SGD: unit/test_optim.py::test_bit_equal_to_torch_and_through_a_state_dict",
    ),
    "optimizer.rmsprop": (f"torch.optim.RMSprop: {_STEPS}",),
    "optimizer.adadelta": (f"torch.optim.Adadelta: {_STEPS}",),
    "optimizer.adam": (f"torch.optim.Adam: {_STEPS}",),
    "optimizer.adamw": (f"torch.optim.AdamW: {_STEPS}",),
    "optimizer.lamb": (f"timm's Lamb: {_STEPS}",),
    **{
        f"schedule.{name}": (_TORCH_RATES,)
        for name in (
            *("constant", "step", "piecewise", "piecewise_linear", "polynomial", "exponential"),
            *("cosine", "cyclic", "lr_range"),
        )
    },
    "schedule.one_cycle": (
        "torch's OneCycleLR: unit/test_schedules.py::test_one_cycle_is_torch_s_but_for_one_step",
    ),
    "schedule.reduce_on_plateau": (
        "torch's ReduceLROnPlateau: unit/test_schedules.py::test_plateaus_are_torchs",
    ),
    "loss.cross_entropy": (
        "torch: unit/test_losses.py::test_cross_entropy_of_labels_is_torchs_to_the_bit",
        "timm: unit/test_losses.py::test_cross_entropy_of_soft_targets_is_timms",
    ),
    "loss.bce": ("timm: unit/test_losses.py::test_bce_is_timms",),
    "augment.none": (
        "Resize and CenterCrop: "
        "unit/test_windows.py::test_centre_crop_has_the_geometry_of_resize_and_centre_crop",
    ),
    "augment.standard": (
        "torchvision's algorithm: unit/test_windows.py::test_equals_torchvisions_algorithm",
        "FFCV's pixels: unit/test_readers.py::test_pixels_are_those_of_ffcvs_decoder",
    ),
    "augment.shift": (
        "scipy.ndimage.shift: unit/test_ops.py::test_shift_is_bilinear_with_the_border_repeated",
    ),
    "policy.randaugment": (
        "timm's calls: "
        "unit/test_ops.py::test_randaugment_calls_timms_operations_with_timms_arguments",
        "timm's pixels: unit/test_ops.py::test_randaugment_gives_timms_pixels",
    ),
    "policy.trivialaugment": (
        "torchvision's pixels: unit/test_ops.py::test_trivialaugment_gives_torchvisions_pixels",
    ),
    "policy.autoaugment": (
        "torchvision's tables: unit/test_ops.py::test_autoaugment_has_torchvisions_tables",
        "torchvision's pixels: unit/test_ops.py::test_autoaugment_gives_torchvisions_pixels",
    ),
    "erase.cutout": (
        "the paper: "
        "unit/test_erasing.py::test_cutout_hides_the_square_that_is_left_of_a_centre_anywhere",
    ),
    "erase.random_erasing": (
        "timm: unit/test_erasing.py::test_boxes_are_as_timm_draws_them_from_the_same_numbers",
    ),
    "erase.gridmask": (
        "the paper: unit/test_erasing.py::test_gridmask_hides_the_squares_between_the_lines",
        "its area: unit/test_erasing.py::test_gridmask_hides_its_share",
    ),
    "erase.hide_and_seek": (
        "the paper: unit/test_erasing.py::test_hide_and_seek_hides_whole_patches_of_its_sizes",
    ),
    "mix.mixup": _TIMM_MIX,
    "mix.cutmix": _TIMM_MIX,
    "mix.mixup_cutmix": _TIMM_MIX,
    "averaging.ema": ("timm's ModelEmaV3: unit/test_averaging.py::test_ema_is_timms",),
    "averaging.checkpoints": (
        "the mean by hand: unit/test_averaging.py::test_checkpoints_are_the_last_or_the_best",
    ),
    "averaging.swa": ("torch.optim.swa_utils: unit/test_averaging.py::test_swa_is_torchs",),
    "weights.cell": (
        "the other cell's file: "
        "unit/test_given_weights.py::test_a_start_is_the_other_cells_weights",
    ),
    "weights.file": (
        "files as programs write them: "
        "unit/test_weights.py::test_reads_what_training_programs_write",
    ),
    "weights.timm": (
        "what is said without the file: unit/test_given_weights.py"
        "::test_a_missing_file_is_named_with_its_place_until_the_cell_is_trained",
    ),
}

_LAYERS = (
    "torch with a group a layer: "
    "unit/test_layer_lr.py::test_steps_are_torch_s_with_a_group_a_layer",
)
_LEARNER = "unit/test_learner.py::test_"
_MODEL = "`model`, a seed a step"

SETTINGS: dict[str, Setting] = {
    "lr.per_256": Setting(
        "lr",
        (ScaledLR, None),
        ("the formula: unit/test_grid.py::test_a_learning_rate_follows_the_document_s_batch_size",),
    ),
    "accumulate": Setting(
        "recipe",
        (Training, "accumulate"),
        (f"the whole batch: {_LEARNER}accumulated_gradients_are_those_of_the_whole_batch",),
    ),
    "clip_grad_norm": Setting(
        "recipe",
        (Training, "clip_grad_norm"),
        ("its formula: unit/test_optim.py::test_gradients_are_clipped_by_their_common_norm",),
    ),
    "schedule.warmup_epochs": Setting(
        "schedule-cosine", (Cosine, "warmup_epochs"), (_TORCH_RATES,)
    ),
    "schedule.cooldown_epochs": Setting(
        "schedule-cosine",
        (Cosine, "cooldown_epochs"),
        ("timm: unit/test_schedules.py::test_cooldown_equals_timm",),
    ),
    "optimizer.decay_norm": Setting("optimizer-sgd", (SGD, "decay_norm"), (_COUNTS,)),
    "optimizer.decay_bias": Setting("optimizer-sgd", (SGD, "decay_bias"), (_COUNTS,)),
    "optimizer.decay_linear": Setting(
        "optimizer-sgd",
        (SGD, "decay_linear"),
        ("Keras: unit/test_optim.py::test_linear_layers_can_be_spared_as_keras_does",),
    ),
    "optimizer.layer_lr_decay": Setting("optimizer-sgd", (SGD, "layer_lr_decay"), _LAYERS),
    "optimizer.head_lr_factor": Setting(
        "optimizer-sgd",
        (SGD, "head_lr_factor"),
        ("the steps: unit/test_layer_lr.py::test_the_head_alone_can_be_faster",),
    ),
    "loss.label_smoothing": Setting(
        "loss-cross_entropy",
        (CrossEntropy, None),
        ("its formula: unit/test_losses.py::test_cross_entropy_is_its_formula",),
    ),
    "model.dropout": Setting(
        "model-resnet_small",
        (ResNetSmall, "dropout"),
        (f"itself, again: {_LEARNER}dropout_of_the_model_is_of_the_step",),
        _MODEL,
    ),
    "model.stochastic_depth": Setting(
        "model-resnet_small", (ResNetSmall, "stochastic_depth"), (_DROP_PATH,), _MODEL
    ),
    "repeated_augment": Setting(
        "recipe",
        (Training, "repeated_augment"),
        (
            "the images that are seen: "
            f"{_LEARNER}repeated_augmentation_shows_an_image_several_times_otherwise_each",
        ),
        "`order`; each view of an image has a row of its own in every stream",
    ),
    "progressive_resize": Setting(
        "progressive_resize",
        (ProgressiveResize, None),
        (f"the sizes: {_LEARNER}images_grow_and_validation_is_at_its_own_size",),
    ),
    "val_img_size": Setting(
        "recipe",
        (Training, "val_img_size"),
        (f"the sizes: {_LEARNER}images_grow_and_validation_is_at_its_own_size",),
    ),
    "val_crop_ratio": Setting("recipe", (Training, "val_crop_ratio"), PROOFS["augment.none"]),
    "flip_tta": Setting(
        "recipe",
        (Training, "flip_tta"),
        (f"mirrored images: {_LEARNER}flipped_test_images_count_as_much_as_the_others",),
    ),
    "pretrained": Setting(
        "pretrained",
        (Pretrained, None),
        (
            "the other cell: unit/test_given_weights.py::test_a_start_is_the_other_cells_weights",
            "a new head: "
            "unit/test_weights.py::test_new_leaves_the_head_fresh_and_takes_over_the_rest",
        ),
        "a new head from `weights`",
    ),
    "distill": Setting(
        "distill",
        (Distillation, None),
        (
            "torch's divergence: unit/test_losses.py"
            "::test_distillation_is_torchs_divergence_times_the_temperature_squared",
            f"the weighted sum: {_LEARNER}distillation_weighs_labels_and_teacher",
        ),
    ),
    "precision": Setting(
        "recipe",
        (Training, "precision"),
        (
            f"fp32: {_LEARNER}mixed_precision_is_near_fp32_and_not_equal",
            "the loss scale: "
            f"{_LEARNER}a_step_whose_scaled_gradients_overflow_is_left_out_and_the_scale_halved",
        ),
    ),
    "compute.ranks": Setting(
        "compute",
        (Compute, "ranks"),
        (
            "one process with two parts: "
            "unit/test_ranks.py::test_two_ranks_are_one_that_adds_up_two_parts",
        ),
    ),
    "compute.sync_bn": Setting(
        "compute",
        (Compute, "sync_bn"),
        ("what a CPU answers: workflow/test_train_cell.py::test_the_error_of_a_rank_is_the_cells",),
    ),
    "compute.channels_last": Setting(
        "compute",
        (Compute, "channels_last"),
        (f"the memory: {_LEARNER}images_lie_in_memory_as_asked",),
    ),
    "compute.compile": Setting(
        "compute",
        (Compute, "compile"),
        (f"the step without: {_LEARNER}a_compiled_model_makes_the_same_step",),
    ),
    "compute.tf32": Setting(
        "compute",
        (Compute, "tf32"),
        (f"what a CPU answers: {_LEARNER}tf32_is_refused_without_a_gpu",),
    ),
}

CANNOT = """\
## What cannot be had

- **Random interpolation** (SuperGradients' recipe resizes by a method drawn for each image).
  Training images are resized by FFCV's code, which knows one method: by area (OpenCV's INTER_AREA;
  where an image grows, a kind of bilinear). Both reading modes call it, so that they give the same
  pixels; another method in one of them would end that. `interpolation` is an unknown key.
- **SyncBN on a CPU** (the fifth document's technique): torch has it for GPUs alone. With one rank
  there is nothing to synchronise: batch norms see the whole batch, or with `accumulate` its parts.
- **Decoupled weight decay for SGD.** Decoupled decay is `adamw`'s; SGD, RMSProp and AdaDelta have
  the L2 penalty.
- **The momentum's opposite cycle** of 1cycle and cyclic learning rates: the momentum stays as the
  optimizer has it.
- **Weights by download.** A name of timm wants its file in `weights/`, and the plan says which one
  is missing: compute nodes have no network.
- **Two techniques of one family at once**, such as Cutout with GridMask: a family is one key of the
  recipe. Techniques of different families combine freely."""
