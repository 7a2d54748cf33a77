"""A dataset: where labelled images come from and how they are written to betons; and its lock."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ..printable import order_in
from .base import (
    Config,
    Count,
    FileConfig,
    Fraction,
    NoBool,
    PathText,
    Processes,
    Title,
    Whole,
)

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Byte = Annotated[int, NoBool, Field(ge=0, le=255)]
Pixels = Annotated[int, NoBool, Field(ge=1, le=10**15)]
Level = Annotated[float, NoBool, Field(ge=0, le=255)]


class Source(Config):
    """Where the images are. A relative path is taken from the repository's root."""

    layout: Literal["folder", "tar", "imagenet_tars", "kaggle_imagenet"]
    """How the images lie: `folder` is `{split}/{class}/{image}`; `tar` is a (compressed) tar of
    such a tree; `imagenet_tars` the official train and validation tars with the devkit;
    `kaggle_imagenet` the tree that Kaggle ships."""
    path: PathText
    """The folder or tar. `data_paths` in config.yaml overrides it for one site."""
    train: PathText = "train"
    """Name of the training split's folder (layouts folder and tar)."""
    val: PathText = "val"
    """Name of the validation split's folder (layouts folder and tar)."""
    end_mark: Literal["required", "optional"] = "required"
    """Whether a tar must end with its end mark (two blocks of zeros). Without one a tar that was
    cut off between two images looks whole: `optional` is for a tar that was written so, beside
    an `expect` that holds its counts (layouts tar and imagenet_tars)."""

    @property
    def needs_end_mark(self) -> bool:
        """Whether a tar without its end mark is refused."""
        return self.end_mark == "required"

    @model_validator(mode="after")
    def _keys_fit_the_layout(self) -> Source:
        for key, name in (("train", self.train), ("val", self.val)):
            if not name or name.startswith(".") or "/" in name or "\\" in name:
                raise ValueError(f"{key} is the name of one folder, got {name!r}")
            if key in self.model_fields_set and self.layout not in ("folder", "tar"):
                raise ValueError(f"{key} does nothing when layout is {self.layout}")
        if self.train == self.val:
            raise ValueError(f"train and val are the same folder, {self.train!r}")
        tars = ("tar", "imagenet_tars")
        if "end_mark" in self.model_fields_set and self.layout not in tars:
            raise ValueError(f"end_mark does nothing when layout is {self.layout}")
        return self


class Writer(Config):
    """Options of FFCV's writer; each of them changes the stored pixels and so the dataset."""

    write_mode: Literal["raw", "jpg", "smart", "proportion"] = "raw"
    """`raw` pixels, `jpg`, `smart` (jpg above `smart_threshold` bytes) or `proportion`."""
    max_resolution: Annotated[int, NoBool, Field(ge=1, le=65_500)] | None = None
    """Longest side in pixels; a larger image is shrunk to it. None keeps the size."""
    jpeg_quality: Annotated[int, NoBool, Field(ge=1, le=100)] = 90
    """Quality of the stored JPEGs."""
    compress_probability: Fraction = 0.5
    """Share of images stored as JPEG in `proportion` mode, drawn per image from its index."""
    smart_threshold: Count | None = None
    """`smart` mode: an image larger than this many raw bytes is stored as JPEG."""

    @model_validator(mode="after")
    def _options_are_used(self) -> Writer:
        used = {
            "jpeg_quality": self.write_mode != "raw",
            "compress_probability": self.write_mode == "proportion",
            "smart_threshold": self.write_mode == "smart",
        }
        for key in sorted(self.model_fields_set):
            if not used.get(key, True):
                raise ValueError(f"{key} does nothing when write_mode is {self.write_mode}")
        if self.write_mode == "smart" and self.smart_threshold is None:
            raise ValueError("smart_threshold is needed when write_mode is smart")
        return self


class SplitExpect(Config):
    """What is known of one split before it is read."""

    images: Count | None = None
    """Number of images."""
    per_class: Count | tuple[Count, Count] | None = None
    """Number of images of each class, or its lowest and highest, as `[732, 1300]`."""

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest number of images of a class."""
        if isinstance(self.per_class, tuple):
            return self.per_class
        return (self.per_class, self.per_class)

    @property
    def bounds_text(self) -> str:
        """The same, for a message."""
        low, high = self.bounds
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"


class Expect(Config):
    """Known counts of a dataset. A lock with others is refused; no identity follows from them."""

    classes: Count | None = None
    """Number of classes."""
    train: SplitExpect = SplitExpect()
    """Of the training split."""
    val: SplitExpect = SplitExpect()
    """Of the validation split."""

    @model_validator(mode="after")
    def _counts_fit_together(self) -> Expect:
        for key, split in (("train", self.train), ("val", self.val)):
            if split.per_class is None:
                continue
            low, high = split.bounds
            if low > high:
                raise ValueError(f"{key}.per_class begins with the lowest, got [{low}, {high}]")
            if self.classes is None or split.images is None:
                continue
            if not low * self.classes <= split.images <= high * self.classes:
                raise ValueError(
                    f"{key}: {self.classes:,} classes of {split.bounds_text} images cannot make"
                    f" {split.images:,}"
                )
        return self


class DatasetConfig(FileConfig):
    """A labelled image collection with a train and a validation split (`config/datasets/`)."""

    title: Title
    """Name for readers."""
    source: Source
    writer: Writer = Writer()
    on_bad_image: Literal["fail", "skip"] = "fail"
    """What to do about files that are no readable image: stop, naming them, or leave them out."""
    background: tuple[Byte, Byte, Byte] | None = None
    """Colour (red, green, blue, 0 to 255) on which transparent pixels are laid; it changes the
    stored pixels and so the dataset. None: images with transparent pixels are refused."""
    colour: bool = True
    """False for grey images, as the report then says: techniques that change colours do nothing."""
    expect: Expect = Expect()
    """Known counts: a lock that differs is refused, unless it was made with `--accept-counts`."""
    num_workers: Processes | None = None
    """Processes that read and write; None for all CPUs of the job. Changes no result."""
    licence: str = ""
    """Licence and origin, shown in the report."""


class SplitLock(Config):
    """What one split holds, as found by `workflow/lock_dataset.py`."""

    images: Count
    """Number of images, without the rejected ones."""
    per_class: tuple[Whole, ...]
    """Number of images of each class, in the order of `classes`."""
    class_digests: tuple[str, ...] = ()
    """Eight digits of the digest of each class's files, to say *where* a source differs."""
    min_size: tuple[Count, Count]
    """Smallest height and smallest width, pixels, in the source."""
    max_size: tuple[Count, Count]
    """Largest height and largest width, pixels, in the source."""
    pixels: Pixels
    """Sum of height x width over the images."""
    max_pixels: Pixels | None = None
    """Largest height x width of one image; left out where all images have one size."""


class SharedImages(Config):
    """Equal files in two places, as found by `workflow/lock_dataset.py`."""

    in_both_splits: Whole
    """Validation images that are training images too: accuracy on them is no test."""
    in_two_classes: Whole
    """Images that lie in two classes or more: one of their labels is wrong."""
    examples: tuple[str, ...]
    """The first of each, `train/class/name = val/class/name`."""


class DatasetLock(Config):
    """What planning knows of a dataset without reading it; `convert` verifies it."""

    digest: Digest
    """SHA-256 over the sorted list of (split, class, file name, SHA-256 of the file, and a mark
    where the file is rejected)."""
    on_bad_image: Literal["fail", "skip"]
    rejected: dict[str, str]
    """Rejected files (`split/class/name`) with their reasons; empty unless `on_bad_image: skip`."""
    background: tuple[Byte, Byte, Byte] | None = None
    """The dataset's `background` when the lock was made."""
    turned: Whole = 0
    """Number of TIFFs that say how they are to be turned: they are stored as they lie in the file.
    A lock from before that was so has 0."""
    classes: tuple[str, ...]
    train: SplitLock
    val: SplitLock
    mean: tuple[Level, Level, Level]
    """Mean of each channel over all pixels of the training set, in [0, 255]."""
    std: tuple[Level, Level, Level]
    """Standard deviation of each channel over all pixels of the training set, in [0, 255]."""
    accepted: tuple[str, ...] = ()
    """Counts that differ from the dataset's `expect` and were accepted with `--accept-counts`."""
    shared: SharedImages | None = None
    """Equal images in both splits or in two classes; None without any."""

    @field_validator("classes")
    @classmethod
    def _classes_are_one_line(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in classes if order_in(name)]:
            raise ValueError(
                f"the class {wrong[0]!a} holds the control or direction character "
                f"{order_in(wrong[0])}; rename it and lock the dataset again"
            )
        return classes
