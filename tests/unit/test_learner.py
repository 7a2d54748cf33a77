"""One update: accumulation, precision, distillation, and what a model is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from training import LOCK, cell, result, trained

from ablation import judge
from ablation.compute import prepare_torch
from ablation.data.draws import Draws
from ablation.data.source import Batch
from ablation.errors import ConfigError, UserError
from ablation.evaluate import Normalize
from ablation.learner import Learner
from ablation.losses.distillation import distillation_loss
from ablation.ranks import Ranks
from ablation.teacher import Teacher
from tests.unit import betons

CPU = torch.device("cpu")
NORMALIZE = Normalize.of(LOCK.mean, LOCK.std, CPU)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("betons")
    for split, count in (("train", 24), ("val", 12)):
        betons.write(folder / f"{split}.beton", count, "raw", (20, 24))
    return folder


def batch(count: int = 8, side: int = 16) -> Batch:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return Batch(np.arange(count), images, np.arange(count) % 3)


def learner(model: nn.Module | None = None, **changes: Any) -> Learner:
    """A learner of a tiny cell; model: in place of its own."""
    options = {key: changes.pop(key) for key in ("teacher", "start") if key in changes}
    config = cell(**({"augment": {"name": "none"}} | changes))
    made = Learner(config, 3, NORMALIZE, CPU, steps_per_epoch=3, **options)
    if model is not None:
        made.model = made.forward = model
        made.optimizer = config.optimizer.start(model)
    made.model.train()
    return made


def plain_net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 8), nn.ReLU(), nn.Linear(8, 3))


def step(made: Learner, lr: float = 0.1) -> tuple[float, list[int]]:
    loss, hits = made.update(batch(), Draws(0, 0, 24), epoch=0, step=0, lr=lr)
    return loss.item(), hits.tolist()


def weights(made: Learner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in made.model.parameters()])


# -- accumulation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_accumulated_gradients_are_those_of_the_whole_batch(parts: int) -> None:
    one, other = learner(plain_net()), learner(plain_net(), accumulate=parts)
    (loss, hits), (summed, counted) = step(one), step(other)
    assert hits == counted and loss == pytest.approx(summed, rel=1e-5)
    assert torch.allclose(weights(one), weights(other), atol=1e-6)


def test_batch_norms_see_the_parts() -> None:
    one, other = learner(), learner(accumulate=2)
    step(one), step(other)
    assert not torch.allclose(weights(one), weights(other), atol=1e-6)


def test_ranks_exchange_gradients_once_a_batch() -> None:
    """Under DDP's `no_sync` lie the forward passes too: torch decides in them (a backward pass in
    it alone would exchange them after all)."""
    made, seen = learner(plain_net(), accumulate=2), []
    made.ranks, open_ = Ranks(0, 2), []

    class Parallel:
        @contextlib.contextmanager
        def no_sync(self) -> Iterator[None]:
            open_.append(True)
            yield
            open_.clear()

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(not open_)
            return made.model(images)

    made.forward = Parallel()
    step(made)
    assert seen == [False, True]


# -- precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_is_near_fp32_and_not_equal(precision: str) -> None:
    one, other = learner(), learner(precision=precision)
    (loss, _), (near, _) = step(one, 1e-3), step(other, 1e-3)
    assert loss != near and loss == pytest.approx(near, rel=0.05)
    assert all(p.dtype == torch.float32 for p in other.model.parameters())


def test_a_step_whose_scaled_gradients_overflow_is_left_out_and_the_scale_halved() -> None:
    made = learner(precision="fp16")
    made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    before = weights(made)
    step(made)
    assert torch.equal(weights(made), before) and made.scaler.get_scale() == 2.0**119
    for _ in range(119):
        step(made)
    assert not torch.equal(weights(made), before)


def test_clipping_sees_the_gradients_without_the_loss_scale() -> None:
    one = learner(plain_net(), clip_grad_norm=0.01)
    other = learner(plain_net(), clip_grad_norm=0.01, precision="fp16")
    for made in (one, other):
        before = weights(made)
        step(made, lr=1.0)
        moved = float((weights(made) - before).norm())
        assert moved == pytest.approx(0.01, rel=0.02)


# -- distillation ---------------------------------------------------------------------------------


def teacher(own: Normalize = NORMALIZE) -> Teacher:
    torch.manual_seed(5)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    return Teacher(net, NORMALIZE, own)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_distillation_weighs_labels_and_teacher(alpha: float) -> None:
    source = {"name": "timm", "arch": "beit_base_patch16_224.x"}
    distill = {"teacher": source, "alpha": alpha, "temperature": 3.0}
    made = learner(plain_net(), distill=distill, teacher=teacher())
    images, labels = made.inputs(batch(), slice(None), Draws(0, 0, 24), 0)
    logits = made.model(images)
    taught = distillation_loss(logits, teacher()(images), temperature=3.0)
    expected = (1 - alpha) * cross_entropy(logits, labels) + alpha * taught
    assert step(made)[0] == pytest.approx(expected.item(), rel=1e-5)


def test_a_teacher_is_not_trained_and_sees_its_own_normalisation() -> None:
    own = Normalize.of((127.5, 127.5, 127.5), (127.5, 127.5, 127.5), CPU)
    taught = teacher(own)
    pixels = torch.from_numpy(batch().images)
    assert torch.allclose(taught(NORMALIZE(pixels)), taught.model(own(pixels)), atol=1e-4)
    assert not taught.model.training
    assert all(not p.requires_grad for p in taught.model.parameters())


def test_a_teacher_that_wants_another_size_is_told_at_once() -> None:
    source = {"name": "timm", "arch": "beit_base_patch16_224.x"}
    with pytest.raises(UserError, match="beit_base_patch16_224.x does not take images of img_size"):
        learner(img_size=20, distill={"teacher": source, "alpha": 0.5}, teacher=teacher())


def test_what_distillation_leaves_unused_is_refused() -> None:
    distill = {"teacher": {"name": "timm", "arch": "beit_base_patch16_224.x"}, "alpha": 1}
    with pytest.raises(ConfigError, match="label_smoothing does nothing with distill.alpha 1"):
        cell(distill=distill, loss={"name": "cross_entropy", "label_smoothing": 0.1})


# -- what the model is shown ----------------------------------------------------------------------


def test_stages_come_in_order() -> None:
    """Augment and policy on uint8 pixels, then erasing and mixing on the model's input."""
    made, seen = learner(), []

    def stage(name: str) -> SimpleNamespace:
        def apply(images: torch.Tensor, *rest: Any) -> Any:
            seen.append((name, images.dtype, tuple(images.shape)))
            return (images, rest[0]) if name == "mix" else images

        return SimpleNamespace(batch=apply)

    names = ("augment", "policy", "erase", "mix")
    made.config = SimpleNamespace(**{name: stage(name) for name in names})
    _, targets = made.inputs(batch(), slice(2, 6), Draws(0, 0, 24), 0)
    pixels, shown = (torch.uint8, (4, 16, 16, 3)), (torch.float32, (4, 3, 16, 16))
    assert seen == [("augment", *pixels), ("policy", *pixels), ("erase", *shown), ("mix", *shown)]
    assert targets.shape == (4, 3) and targets.argmax(1).tolist() == [2, 0, 1, 2]


@pytest.mark.parametrize("last", [True, False])
def test_images_lie_in_memory_as_asked(last: bool) -> None:
    made = learner(compute={"channels_last": last})
    images, _ = made.inputs(batch(), slice(None), Draws(0, 0, 24), 0)
    format = torch.channels_last if last else torch.contiguous_format
    assert images.is_contiguous(memory_format=format)


def test_a_compiled_model_makes_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through torch.compile's capture of the model; the code that it writes is torch's matter."""
    calls, compiler = [], torch.compile

    def captured(model: nn.Module) -> Any:
        calls.append(model)
        return compiler(model, backend="eager")

    monkeypatch.setattr(torch, "compile", captured)
    plain, compiled = learner(), learner(compute={"compile": True})
    assert step(plain) == step(compiled)
    assert calls == [compiled.model] and torch.equal(weights(plain), weights(compiled))
    assert plain.state_dict()["model"].keys() == compiled.state_dict()["model"].keys()


@pytest.mark.parametrize(("width", "last"), [(2, False), (15, False), (16, True)])
def test_the_layout_follows_the_model(width: int, last: bool) -> None:
    """A narrow strided 1 x 1 convolution is computed wrongly with channels last (oneDNN#6035)."""
    narrow = cell(model={"name": "resnet_small", "width": width})
    assert narrow.compute.channels_last is last
    asked = cell(model=narrow.model.model_dump(), compute={"channels_last": True})
    assert asked.compute.channels_last is True
    prepare_torch(narrow, CPU)
    if last:
        prepare_torch(asked, CPU)
    else:
        with pytest.raises(UserError, match=f"{width} input channels.*oneDNN#6035"):
            prepare_torch(asked, CPU)


def test_tf32_is_refused_without_a_gpu() -> None:
    with pytest.raises(UserError, match="compute.tf32 is a number format of GPUs"):
        prepare_torch(cell(compute={"tf32": True}), CPU)


@pytest.mark.parametrize("last", [True, False])
def test_validation_images_lie_in_memory_as_training_images_do(
    last: bool, data: Path, tmp_path: Path
) -> None:
    wide = {"name": "resnet_small", "width": 16}
    made = trained(cell(compute={"channels_last": last}, epochs=1, model=wide), data, tmp_path)
    seen = []
    made.learner.model.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    made.judge.measure(made.learner.model, made.val_set, np.arange(len(made.val_set)))
    layout = torch.channels_last if last else torch.contiguous_format
    assert all(images.is_contiguous(memory_format=layout) for images in seen)


def test_repeated_augmentation_shows_an_image_several_times_otherwise_each(
    data: Path, tmp_path: Path
) -> None:
    """An epoch keeps its length: a third of the images, three times each, side by side."""
    made = trained(cell(repeated_augment=3), data, tmp_path)
    _, batches = made.epoch_batches(0)
    parts = list(batches)
    views = np.concatenate([part.index for part in parts])
    images = np.concatenate([part.images for part in parts])
    samples = views % 24
    assert len(views) == 24 and len(set(samples.tolist())) == 8
    assert (samples.reshape(8, 3) == samples.reshape(8, 3)[:, :1]).all()
    assert sorted(views.reshape(8, 3)[0] // 24) == [0, 1, 2]
    assert not np.array_equal(images[0], images[1])
    assert [part.labels.tolist() for part in parts] == [(p.index % 24 % 3).tolist() for p in parts]


def test_images_grow_and_validation_is_at_its_own_size(data: Path, tmp_path: Path) -> None:
    growing = {"start_size": 8, "end_epoch": 2, "multiple": 4}
    made = trained(cell(progressive_resize=growing, val_img_size=20, flip_tta=True), data, tmp_path)
    sizes = [next(made.epoch_batches(epoch)[1]).images.shape[1] for epoch in range(3)]
    assert sizes == [8, 12, 16]


def test_ranks_that_stream_evaluate_with_the_pipeline_of_their_training(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another batch size would be compiled anew, 10 s and more."""
    made, sizes = trained(cell(), data, tmp_path), []
    made.judge.config = cell(reading="streaming")
    made.ranks = made.judge.ranks = Ranks(0, 2)
    monkeypatch.setattr(judge, "evaluate", lambda *_, batch_size, **__: sizes.append(batch_size))
    made.judge.validation(made.learner.model)
    assert sizes == [len(next(made.epoch_batches(0)[1]).index)] == [4]


def test_what_a_cell_is_to_be_given_is_not_left_out_in_silence() -> None:
    source = {"name": "timm", "arch": "beit_base_patch16_224.x"}
    with pytest.raises(ValueError, match="distill of the cell"):
        learner(distill={"teacher": source, "alpha": 0.5})
    file = {"name": "file", "path": "a.pt", "sha256": "a" * 64}
    with pytest.raises(ValueError, match="pretrained of the cell"):
        learner(pretrained={"weights": file})


def test_flipped_test_images_count_as_much_as_the_others(data: Path, tmp_path: Path) -> None:
    """The mean over an image and its mirror image does not know which of them was stored."""
    made = trained(cell(flip_tta=True, val_crop_ratio=1.0), data, tmp_path)
    samples = np.arange(len(made.val_set))
    one = made.judge.measure(made.learner.model, made.val_set, samples)
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in made.val_set._images]
    made.val_set._images, made.val_set._stack = mirrored, None
    other = made.judge.measure(made.learner.model, made.val_set, samples)
    assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
    made.judge.config = cell(val_crop_ratio=1.0)
    assert made.judge.measure(made.learner.model, made.val_set, samples)["loss"] != other["loss"]


def test_dropout_of_the_model_is_of_the_step(data: Path, tmp_path: Path) -> None:
    """The global generator's past plays no part."""
    model = {"name": "resnet_small", "width": 4, "dropout": 0.5}
    one = result(trained(cell(model=model), data, tmp_path / "a"))
    torch.manual_seed(123)
    torch.rand(7)
    other = result(trained(cell(model=model), data, tmp_path / "b"))
    assert one[0] == other[0]
