"""A whole training against an independent one: the same distribution of results over seeds.

The other side is a plain PyTorch loop that shares no code with the project: images from the files
in the archive (not from a beton), torchvision's transforms, torch's DataLoader, optimizer,
schedulers and loss, a network and an evaluation of its own. Random draws are its own too: equal
are the distributions, not the runs.

Two one-sided t-tests (Welch) at the 5 % level hold each difference of means within its margin, and
all must. Margins were set from 24 seeds of each side, whose standard deviations were 1.0 point,
0.026, 0.02 and 0.034: with ten seeds, two equal sides pass all four in about 98 of 100 cases (by
the normal approximation). The seeds are fixed, so that this is the chance of other hardware. A
change is refused for certain once it moves a mean by its margin: without momentum top-1 falls by
9.5 points, without warmup the first epoch's loss by 0.14, without smoothing the last one's by 0.34,
and crops from 8 % of the area cost 3.2 points. A project broken on purpose (no momentum, no warmup,
validation images whose mean is left in) was refused each time.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import nn

from ablation.config.load import validate
from ablation.config.recipe import CellConfig
from ablation.loop import Trainer

ARCHIVE = Path(__file__).resolve().parents[2] / "data/fashion_mnist/fashion_mnist.tar.xz"
SEEDS = range(10)
CLASSES, SIDE, WIDTH = 10, 28, 8
EPOCHS, WARMUP, WARMUP_START, BATCH = 3, 1, 0.1, 100
LR, MOMENTUM, WEIGHT_DECAY, SMOOTHING = 0.3, 0.9, 5e-4, 0.1
SCALE = (0.5, 1.0)
MARGINS = {"val_top1": 2.0, "val_loss": 0.06, "train_loss": 0.05, "first_train_loss": 0.09}
LEVEL = 0.05
Results = dict[str, np.ndarray]


# -- the project ----------------------------------------------------------------------------------


def project(data: Path, lock: Any, folder: Path, seed: int) -> dict[str, float]:
    """A cell's last validation, and its running loss in the first and the last epoch."""
    recipe = {
        "dataset": "fashion_mnist",
        "model": {"name": "resnet_small", "width": WIDTH, "blocks": 1, "stem_stride": 2},
        "img_size": SIDE,
        "val_crop_ratio": 1.0,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "lr": LR,
        "optimizer": {
            "name": "sgd", "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY,
            "decay_norm": False, "decay_bias": False,
        },
        "schedule": {"name": "cosine", "warmup_epochs": WARMUP, "warmup_start": WARMUP_START},
        "loss": {"name": "cross_entropy", "label_smoothing": SMOOTHING},
        "augment": {"name": "standard", "scale": list(SCALE)},
        "measure": {"clean_images": 0},
        "reading": "resident",
        "seed": seed,
    }  # fmt: skip
    folder.mkdir()
    trainer = Trainer(
        validate(CellConfig, recipe, "here"), lock, data, cell_id="0" * 12,
        checkpoint_path=folder / "checkpoint.pt", device=torch.device("cpu"), workers=0,
        say=lambda text: None,
    )  # fmt: skip
    epochs = trainer.run(0.0).epochs
    return {
        "val_top1": epochs[-1]["val_top1"],
        "val_loss": epochs[-1]["val_loss"],
        "train_loss": epochs[-1]["train_loss"],
        "first_train_loss": epochs[0]["train_loss"],
    }


# -- the plain loop -------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        x = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(x)) + identity).relu()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(WIDTH)
        self.layer1 = Block(WIDTH, WIDTH, 1)
        self.layer2 = Block(WIDTH, 2 * WIDTH, 2)
        self.layer3 = Block(2 * WIDTH, 4 * WIDTH, 2)
        self.fc = nn.Linear(4 * WIDTH, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, fan out
                fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
                nn.init.normal_(module.weight, 0.0, (2.0 / fan_out) ** 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn(self.stem(x)).relu()
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class Pictures(torch.utils.data.Dataset):
    """The files of a split, decoded by Pillow."""

    def __init__(self, split: str) -> None:
        self.images, self.labels, self.transform = [], [], None
        with tarfile.open(ARCHIVE) as archive:
            for member in archive:
                if not (member.isreg() and member.name.startswith(f"{split}/")):
                    continue
                picture = Image.open(io.BytesIO(archive.extractfile(member).read()))
                self.images.append(picture.convert("RGB"))
                self.labels.append(int(member.name.split("/")[1].split("_")[0]))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[number]), self.labels[number]


@pytest.fixture(scope="module")
def pictures() -> tuple[Pictures, Pictures]:
    return Pictures("train"), Pictures("val")


def mean_and_std(train: Pictures) -> tuple[float, float]:
    levels = np.stack([np.asarray(image) for image in train.images]) / 255.0
    return float(levels.mean()), float(levels.std())


def plain(
    train: Pictures,
    val: Pictures,
    seed: int,
    *,
    momentum: float = MOMENTUM,
) -> dict[str, float]:
    """Train and evaluate; momentum is for the control."""
    from torchvision import transforms

    torch.manual_seed(1000 + seed)
    mean, std = mean_and_std(train)
    end = [transforms.ToTensor(), transforms.Normalize([mean] * 3, [std] * 3)]
    moved = [transforms.RandomResizedCrop(SIDE, scale=SCALE), transforms.RandomHorizontalFlip()]
    train.transform = transforms.Compose([*moved, *end])
    val.transform = transforms.Compose(end)
    loader = torch.utils.data.DataLoader(train, BATCH, shuffle=True, drop_last=True)
    model = Net()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=LR, momentum=momentum)
    steps = len(loader)
    schedulers = torch.optim.lr_scheduler
    rise = schedulers.LinearLR(optimizer, WARMUP_START, 1.0, WARMUP * steps)
    fall = schedulers.CosineAnnealingLR(optimizer, (EPOCHS - WARMUP) * steps)
    scheduler = schedulers.SequentialLR(optimizer, [rise, fall], [WARMUP * steps])
    criterion = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    model.train()
    losses = []
    for _ in range(EPOCHS):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    return plain_evaluation(model, val) | {
        "train_loss": float(np.mean(losses[-steps:])),
        "first_train_loss": float(np.mean(losses[:steps])),
    }


@torch.no_grad()
def plain_evaluation(model: nn.Module, val: Pictures) -> dict[str, float]:
    model.eval()
    logits, labels = [], []
    for images, answers in torch.utils.data.DataLoader(val, 500):
        logits.append(model(images))
        labels.append(answers)
    logits, labels = torch.cat(logits), torch.cat(labels)
    right = (logits.argmax(1) == labels).double().mean()
    return {
        "val_top1": 100.0 * float(right),
        "val_loss": float(nn.CrossEntropyLoss()(logits, labels)),
    }


# -- the comparison -------------------------------------------------------------------------------


def collected(runs: list[dict[str, float]]) -> Results:
    return {key: np.array([run[key] for run in runs]) for key in MARGINS}


def p_value(ours: np.ndarray, theirs: np.ndarray, margin: float) -> float:
    """Of the hypothesis that the means differ by the margin or more (Schuirmann 1987)."""
    above = stats.ttest_ind(ours, theirs - margin, equal_var=False, alternative="greater")
    below = stats.ttest_ind(ours, theirs + margin, equal_var=False, alternative="less")
    return max(above.pvalue, below.pvalue)


def different(ours: Results, theirs: Results) -> dict[str, str]:
    """What is not shown to be equivalent, with both means and the p-value."""
    found = {}
    for key, margin in MARGINS.items():
        p = p_value(ours[key], theirs[key], margin)
        if p >= LEVEL:
            found[key] = f"{ours[key].mean():.4f} and {theirs[key].mean():.4f}, p = {p:.3f}"
    return found


@pytest.fixture(scope="module")
def ours(
    fashion_data: Path, fashion_lock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Results:
    known = {key: fashion_lock[key] for key in ("classes", "mean", "std")}
    folder = tmp_path_factory.mktemp("cells")
    with one_thread():
        return collected(
            [project(fashion_data, SimpleNamespace(**known), folder / str(s), s) for s in SEEDS]
        )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """As a cell has it, whatever other tests leave behind."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_training_is_that_of_a_plain_loop(
    ours: Results, pictures: tuple[Pictures, Pictures]
) -> None:
    with one_thread():
        theirs = collected([plain(*pictures, seed) for seed in SEEDS])
    assert not different(ours, theirs)
    # The margins are of some use: the spread of the runs is far below what would be refused.
    for key, margin in MARGINS.items():
        assert ours[key].std(ddof=1) < margin and theirs[key].std(ddof=1) < margin, key


def test_a_loop_without_momentum_is_told_from_it(
    ours: Results, pictures: tuple[Pictures, Pictures]
) -> None:
    """The comparison can fail."""
    with one_thread():
        theirs = collected([plain(*pictures, seed, momentum=0.0) for seed in list(SEEDS)[:4]])
    assert "val_top1" in different(ours, theirs)
    assert ours["val_top1"].min() > theirs["val_top1"].max()


def test_equivalence_wants_enough_runs() -> None:
    """Equal means alone prove nothing: two runs of a wide spread are not equivalent."""
    few, many = np.array([-1.0, 1.0]), np.tile([-1.0, 1.0], 20)
    assert p_value(few, few, 2.0) > LEVEL > p_value(many, many, 2.0)
    assert p_value(many, many + 2.1, 2.0) > 0.5
