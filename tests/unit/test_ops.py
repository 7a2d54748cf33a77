"""Policies and shifts: pixels, strengths and draws against Pillow, timm, torchvision and scipy."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from ablation.augment import (
    AutoAugment,
    RandAugment,
    Shift,
    TrivialAugment,
    _affine,
    _ops,
    autoaugment,
    randaugment,
    trivialaugment,
)
from ablation.augment.shift import shift
from ablation.data.draws import Draws

FILL = (10, 128, 250)
ARGUMENTS = {
    "autocontrast": (0.0,),
    "equalize": (0.0,),
    "invert": (0.0,),
    "posterize": (1.0, 2.0, 3.0, 4.0, 7.0, 8.0),
    "solarize": (0.0, 1.0, 28.33, 128.0, 255.0, 256.0),
    "solarize_add": (0.0, 1.0, 55.0, 110.0),
    "contrast": (0.0, 0.1, 0.73, 1.0, 1.45, 1.9),
    "brightness": (0.0, 0.1, 0.73, 1.0, 1.45, 1.9),
    "color": (0.0, 0.1, 0.73, 1.0, 1.45, 1.9),
    "sharpness": (0.0, 0.1, 0.73, 1.0, 1.45, 1.9),
    "rotate": (-30.0, -17.3, 0.0, 1.0, 29.9),
    "shear_x": (-0.3, -0.123, 0.0, 0.27),
    "shear_y": (-0.3, -0.123, 0.0, 0.27),
    "translate_x": (-0.45, -0.1234, 0.0, 0.3),
    "translate_y": (-0.45, -0.1234, 0.0, 0.3),
}
NOTHING = {
    "posterize": 8, "solarize": 256, "solarize_add": 0, "contrast": 1, "brightness": 1, "color": 1,
    "sharpness": 1, "rotate": 0, "shear_x": 0, "shear_y": 0, "translate_x": 0, "translate_y": 0,
}  # fmt: skip
"""Arguments at which an operation changes nothing."""
every_operation = pytest.mark.parametrize("name", sorted(ARGUMENTS))


def images(size: tuple[int, int] = (23, 34)) -> list[np.ndarray]:
    """Noise, a photograph-like gradient, low contrast, one level, two levels, dark."""
    draw = np.random.Generator(np.random.Philox(1))
    noise = draw.integers(0, 256, (*size, 3), dtype=np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    smooth = np.stack([x * 5 % 200 + 30, y * 9, (x + y) * 3], -1).astype(np.uint8)
    flat = np.full((*size, 3), (7, 130, 255), dtype=np.uint8)
    two = np.where(noise > 250, noise, np.uint8(40))
    return [noise, smooth, noise // 5 + 90, flat, two, noise // 16]


def run(
    name: str, argument: float, batch: list[np.ndarray], interpolation: str = "nearest"
) -> np.ndarray:
    names, values = np.array([name] * len(batch)), np.full(len(batch), float(argument))
    stack = torch.from_numpy(np.stack(batch))
    kept = stack.clone()
    result = _ops.apply(stack, names, values, fill=FILL, interpolation=interpolation)
    assert torch.equal(stack, kept), "the given images are left"
    return result.numpy()


def pillow(name: str, argument: float, pixels: np.ndarray, resample: int = 0) -> np.ndarray:
    """The operation as timm calls Pillow for it."""
    image = Image.fromarray(pixels)
    width, height = image.size
    affine = {
        "shear_x": (1, argument, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, argument, 1, 0),
        "translate_x": (1, 0, argument * width, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, argument * height),
    }
    enhance = {
        "color": ImageEnhance.Color,
        "contrast": ImageEnhance.Contrast,
        "brightness": ImageEnhance.Brightness,
        "sharpness": ImageEnhance.Sharpness,
    }
    if name in affine:
        done = image.transform(
            image.size, Image.Transform.AFFINE, affine[name], resample=resample, fillcolor=FILL
        )
    elif name in enhance:
        done = enhance[name](image).enhance(argument)
    elif name == "rotate":
        done = image.rotate(argument, resample=resample, fillcolor=FILL)
    elif name == "solarize_add":
        table = [min(255, i + int(argument)) if i < 128 else i for i in range(256)]
        done = image.point(table * 3)
    elif name == "solarize":
        done = ImageOps.solarize(image, argument)
    elif name == "posterize":
        done = ImageOps.posterize(image, int(argument))
    else:
        done = getattr(ImageOps, name)(image)
    return np.asarray(done)


def clear(name: str, argument: float, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """(h, w) bool: places from where a pixel comes that lie on no line on which rounding decides.

    Nearest: the lines between pixels; bilinear: the image's outline. Pillow counts in 1/65536
    pixel, summed up along rows.
    """
    a, b, c, d, e, f = _affine.inverse_matrices(np.array([name]), np.array([argument]), size)[0]
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    result = np.ones(size, dtype=bool)
    for place, side in ((a * x + b * y + c, size[1]), (d * x + e * y + f, size[0])):
        outline = np.where(place < side / 2, 0, side)
        lines = np.round(place) if interpolation == "nearest" else outline
        result &= np.abs(place - lines) > 1e-3
    return result


@every_operation
def test_operations_give_pillows_pixels(name: str) -> None:
    batch = images()
    for argument in ARGUMENTS[name]:
        done = run(name, argument, batch)
        same = np.ones(done.shape[1:3], dtype=bool)
        if name in _affine.MATRICES:
            same = clear(name, argument, done.shape[1:3], "nearest")
            assert same.mean() > 0.7
        for pixels, ours in zip(batch, done, strict=True):
            theirs = pillow(name, argument, pixels)
            assert np.array_equal(ours[same], theirs[same]), argument


@pytest.mark.parametrize("name", sorted(_affine.MATRICES))
def test_bilinear_gives_pillows_pixels_rounded(name: str) -> None:
    batch = images()
    for argument in ARGUMENTS[name]:
        done = run(name, argument, batch, "bilinear").astype(int)
        same = clear(name, argument, done.shape[1:3], "bilinear")
        assert same.mean() > 0.9
        for pixels, ours in zip(batch, done, strict=True):
            difference = ours - pillow(name, argument, pixels, Image.Resampling.BILINEAR)
            # Pillow truncates: up to 1 level darker.
            assert np.isin(difference[same], (0, 1)).all(), argument


@every_operation
def test_arguments_and_operations_go_by_image(name: str) -> None:
    """An image of a mixed batch gets what it gets alone, whatever is around it."""
    arguments = ARGUMENTS[name]
    batch = images() * 2
    others = ("identity", "equalize", "rotate", "color", "sharpness")
    names = np.array([name if i % 2 else others[i % 5] for i in range(len(batch))])
    values = np.array(
        [arguments[i % len(arguments)] if i % 2 else 1.5 for i in range(len(batch))], float
    )
    stack = torch.from_numpy(np.stack(batch))
    for interpolation in ("nearest", "bilinear"):
        done = _ops.apply(stack, names, values, fill=FILL, interpolation=interpolation)
        for i in range(len(batch)):
            alone = run(names[i], values[i], [batch[i]], interpolation)[0]
            assert np.array_equal(done[i].numpy(), alone)


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_at_strength_zero_nothing_changes(name: str) -> None:
    for interpolation in ("nearest", "bilinear"):
        done = run(name, NOTHING[name], images(), interpolation)
        assert np.array_equal(done, np.stack(images()))
    assert any((run(name, a, images()) != np.stack(images())).any() for a in ARGUMENTS[name])


@every_operation
def test_grey_images_stay_grey(name: str) -> None:
    """With a grey fill; saturation changes nothing."""
    grey = torch.from_numpy(np.stack(images()))[..., :1].expand(-1, -1, -1, 3).contiguous()
    for argument in ARGUMENTS[name]:
        done = _ops.apply(
            grey,
            np.array([name] * len(grey)),
            np.full(len(grey), argument),
            fill=(128, 128, 128),
            interpolation="bilinear",
        )
        assert torch.equal(done, done[..., :1].expand_as(done))
        if name == "color":
            assert torch.equal(done, grey)


def test_posterize_to_no_bits_is_black() -> None:
    """timm's strongest; the Pillow of today refuses it."""
    assert not run("posterize", 0, images()).any()


def test_unknown_operations_are_refused() -> None:
    with pytest.raises(ValueError, match="cutout"):
        run("cutout", 1.0, images())


def test_tiny_images_are_taken() -> None:
    for size in ((1, 1), (2, 5), (5, 2)):
        for name in ARGUMENTS:
            done = run(name, ARGUMENTS[name][-1], images(size), "bilinear")
            assert done.shape == (6, *size, 3)


# -- RandAugment against timm ----------------------------------------------------------------------

TIMM = {
    "autocontrast": "AutoContrast", "equalize": "Equalize", "invert": "Invert", "rotate": "Rotate",
    "posterize": "Posterize", "solarize": "Solarize", "solarize_add": "SolarizeAdd",
    "color": "Color", "contrast": "Contrast", "brightness": "Brightness",
    "sharpness": "Sharpness", "shear_x": "ShearX", "shear_y": "ShearY",
    "translate_x": "TranslateXRel", "translate_y": "TranslateYRel",
}  # fmt: skip
INCREASING = {"posterize", "solarize", "color", "contrast", "brightness", "sharpness"}


@pytest.mark.parametrize("increasing", (False, True))
def test_randaugment_calls_timms_operations_with_timms_arguments(
    increasing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from timm.data import auto_augment as timm

    theirs = timm._RAND_INCREASING_TRANSFORMS if increasing else timm._RAND_TRANSFORMS
    named = [
        TIMM[name] + ("Increasing" if increasing and name in INCREASING else "")
        for name in randaugment.OPERATIONS
    ]
    assert named == theirs
    levels = np.concatenate([np.arange(11.0), np.linspace(0, 10, 57)])
    for negative in (False, True):
        monkeypatch.setattr(
            timm.random, "random", functools.partial(float, 0.9 if negative else 0.1)
        )
        for name, their_name in zip(randaugment.OPERATIONS, named, strict=True):
            signs = np.full(len(levels), negative)
            ours = randaugment.arguments(name, levels, signs, increasing=increasing)
            function = timm.LEVEL_TO_ARG[their_name]
            expected = [function(v, timm._HPARAMS_DEFAULT)[0] if function else 0.0 for v in levels]
            np.testing.assert_allclose(ours, expected, rtol=1e-15, atol=0, err_msg=their_name)


@pytest.mark.parametrize("increasing", (False, True))
def test_randaugment_gives_timms_pixels(increasing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from timm.data import auto_augment as timm

    monkeypatch.setattr(timm.random, "random", lambda: 0.1)
    settings = {"img_mean": FILL, "interpolation": Image.Resampling.BILINEAR}
    batch = images()
    for name in randaugment.OPERATIONS:
        their_name = TIMM[name] + ("Increasing" if increasing and name in INCREASING else "")
        for m in range(11):
            argument = randaugment.arguments(
                name, np.array([m]), np.array([False]), increasing=increasing
            )[0]
            if name == "posterize" and argument == 0:
                continue  # see test_posterize_to_no_bits_is_black
            done = run(name, argument, batch, "bilinear").astype(int)
            operation = timm.AugmentOp(their_name, prob=1.0, magnitude=m, hparams=settings)
            for pixels, ours in zip(batch, done, strict=True):
                difference = ours - np.asarray(operation(Image.fromarray(pixels)))
                if name in _affine.MATRICES:
                    same = clear(name, argument, ours.shape[:2], "bilinear")
                    assert np.isin(difference[same], (0, 1)).all(), (name, m)
                else:
                    assert not difference.any(), (name, m)


def uniforms(rows: int, columns: int) -> np.ndarray:
    return Draws(3, 0, rows).of("test", np.arange(rows), columns)


def test_randaugment_draws_all_operations_alike_at_gaussian_magnitudes() -> None:
    options = {"m": 5.0, "mstd": 1.0, "increasing": True, "prob": 0.4}
    names, values = randaugment.choose(uniforms(60_000, 4), **options)
    counts = {name: int((names == name).sum()) for name in (*randaugment.OPERATIONS, "identity")}
    assert sum(counts.values()) == 60_000
    assert abs(counts.pop("identity") - 36_000) < 5 * math.sqrt(60_000 * 0.24)
    for name, count in counts.items():
        assert abs(count - 1600) < 5 * math.sqrt(1600), name
    shear = values[names == "shear_x"]
    levels = np.abs(shear) / 0.3 * 10
    assert abs(levels.mean() - 5) < 0.1 and abs(levels.std() - 1) < 0.1
    assert abs((shear < 0).mean() - 0.5) < 0.07
    assert abs(np.corrcoef(shear < 0, levels)[0, 1]) < 0.15


def test_randaugment_magnitudes_are_cut_to_the_scale() -> None:
    noise = np.array([0.0, 1e-9, 0.5, 1 - 1e-9])
    drawn = randaugment.magnitudes(noise, m=9.0, mstd=3.0)
    assert drawn.tolist() == [0.0, 0.0, 9.0, 10.0]
    assert randaugment.magnitudes(noise, m=9.0, mstd=0.0).tolist() == [9.0] * 4


def test_randaugment_applies_each_layer_to_the_last_ones_image() -> None:
    pixels = torch.from_numpy(np.stack(images() * 10))
    index, options = np.arange(len(pixels)), RandAugment(n=3, prob=1.0, fill=FILL)
    done = options.batch(pixels, index, Draws(0, 0, len(pixels)))
    expected = pixels
    columns = Draws(0, 0, len(pixels)).of("randaugment", index, 12)
    for layer in range(3):
        names, values = randaugment.choose(
            columns[:, 4 * layer : 4 * layer + 4], m=9, mstd=0.5, increasing=True, prob=1.0
        )
        expected = _ops.apply(expected, names, values, fill=FILL, interpolation="bilinear")
    assert torch.equal(done, expected)


# -- AutoAugment against torchvision ---------------------------------------------------------------

VISION = {
    "autocontrast": "AutoContrast", "shear_x": "ShearX", "shear_y": "ShearY",
    "translate_x": "TranslateX", "translate_y": "TranslateY",
}  # fmt: skip


@pytest.mark.parametrize("policy", sorted(autoaugment.POLICIES))
def test_autoaugment_has_torchvisions_tables(policy: str) -> None:
    from torchvision.transforms import autoaugment as vision

    theirs = vision.AutoAugment(vision.AutoAugmentPolicy(policy)).policies
    ours = [
        tuple((VISION.get(name, name.capitalize()), prob, m) for name, prob, m in pair)
        for pair in autoaugment.POLICIES[policy]
    ]
    assert ours == [tuple((n, p, 0 if m is None else m) for n, p, m in pair) for pair in theirs]


def test_autoaugment_gives_torchvisions_pixels() -> None:
    """Every operation at every magnitude and sign, on Pillow images."""
    tables = autoaugment.POLICIES.values()
    used = {name for pairs in tables for pair in pairs for name, _, _ in pair}
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import autoaugment as vision

    batch = images()
    size = batch[0].shape[:2]
    space = vision.AutoAugment()._augmentation_space(10, size)
    for name in sorted(used):
        their_name = VISION.get(name, name.capitalize())
        magnitudes, signed = space[their_name]
        for level in range(10):
            for negative in (False, True) if signed else (False,):
                own = autoaugment.arguments(
                    name, np.array([level]), np.array([negative]), size=size
                )[0]
                theirs = float(magnitudes[level]) if magnitudes.ndim else 0.0
                theirs = -theirs if negative else theirs
                done = run(name, own, batch)
                for pixels, ours in zip(batch, done, strict=True):
                    expected = vision._apply_op(
                        Image.fromarray(pixels), their_name, theirs,
                        InterpolationMode.NEAREST, list(FILL),
                    )  # fmt: skip
                    difference = np.abs(ours.astype(int) - np.asarray(expected)).max(-1)
                    # torchvision's magnitudes are float32: a factor of 0.39999998 truncates 2 to 1.
                    one = name in ("color", "contrast", "brightness", "sharpness")
                    if name in _affine.MATRICES:
                        difference = difference[clear(name, own, size, "nearest")]
                    assert (difference <= one).all(), (name, level)


def test_autoaugment_draws_pairs_alike_and_each_with_its_probability() -> None:
    drawn = uniforms(50_000, 5)
    steps = autoaugment.choose(drawn, policy="cifar10", size=(32, 48))
    pairs = (drawn[:, 0] * 25).astype(int)
    assert np.abs(np.bincount(pairs, minlength=25) - 2000).max() < 5 * math.sqrt(2000)
    for pair, subs in enumerate(autoaugment.POLICIES["cifar10"]):
        for (names, _), (name, prob, _) in zip(steps, subs, strict=True):
            own = names[pairs == pair]
            assert set(own.tolist()) <= {name, "identity"}
            assert abs((own == name).mean() - prob) < 0.06
    names, values = steps[0]
    moved = values[names == "translate_y"] * 32
    assert np.allclose(moved, np.round(moved)) and 0.4 < (moved < 0).mean() < 0.6
    signs = [values[pairs == 3] < 0 for _, values in steps]  # shear_y, then translate_y
    assert 0.4 < (signs[0] == signs[1]).mean() < 0.6


def test_autoaugment_applies_the_second_after_the_first() -> None:
    pixels = torch.from_numpy(np.stack(images() * 10))
    index = np.arange(len(pixels))
    done = AutoAugment(policy="svhn", fill=FILL).batch(pixels, index, Draws(0, 0, len(pixels)))
    columns = Draws(0, 0, len(pixels)).of("autoaugment", index, 5)
    expected = pixels
    for names, values in autoaugment.choose(columns, policy="svhn", size=(23, 34)):
        expected = _ops.apply(expected, names, values, fill=FILL, interpolation="nearest")
    assert torch.equal(done, expected) and not torch.equal(done, pixels)


# -- TrivialAugment against torchvision ------------------------------------------------------------


def test_trivialaugment_gives_torchvisions_pixels() -> None:
    """Every operation at every strength and sign, on Pillow images."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import autoaugment as vision

    batch = images()
    size = batch[0].shape[:2]
    space = vision.TrivialAugmentWide()._augmentation_space(trivialaugment.BINS)
    names = {name: VISION.get(name, name.capitalize()) for name in trivialaugment.OPERATIONS}
    assert [names[name] for name in trivialaugment.OPERATIONS] == list(space)
    for name, their_name in names.items():
        magnitudes, signed = space[their_name]
        strengths = range(trivialaugment.BINS) if magnitudes.ndim else (0,)
        for strength, negative in itertools.product(strengths, {False, signed}):
            own = trivialaugment.arguments(
                name, np.array([strength]), np.array([negative]), size=size
            )[0]
            # Its magnitudes are float32: 15.999999 pixels would be cut to 15.
            theirs = round(float(magnitudes[strength]), 5) if magnitudes.ndim else 0.0
            theirs = -theirs if negative else theirs
            done = run(name, own, batch)
            for pixels, ours in zip(batch, done, strict=True):
                expected = vision._apply_op(
                    Image.fromarray(pixels), their_name, theirs, InterpolationMode.NEAREST,
                    list(FILL),
                )  # fmt: skip
                difference = np.abs(ours.astype(int) - np.asarray(expected)).max(-1)
                # torchvision's magnitudes are float32: a factor of 0.39999998 truncates 2 to 1.
                one = name in ("color", "contrast", "brightness", "sharpness")
                if name in _affine.MATRICES:
                    difference = difference[clear(name, own, size, "nearest")]
                assert (difference <= one).all(), (name, strength, negative)


def test_trivialaugment_draws_operations_strengths_and_signs_evenly() -> None:
    drawn = uniforms(60_000, 3)
    names, values = trivialaugment.choose(drawn, size=(32, 48))
    counts = {name: int((names == name).sum()) for name in trivialaugment.OPERATIONS}
    assert all(abs(count - 60_000 / 14) < 5 * math.sqrt(60_000 / 14) for count in counts.values())
    turned = values[names == "rotate"]
    found, each = np.unique(np.abs(turned), return_counts=True)
    assert np.allclose(found, np.arange(31) * 4.5) and each.min() > 0.6 * each.max()
    assert 0.45 < (turned < 0).mean() < 0.55
    moved = values[names == "translate_x"] * 48
    assert np.allclose(moved, np.round(moved)) and np.abs(moved).max() == 32


def test_trivialaugment_applies_what_it_draws() -> None:
    pixels = torch.from_numpy(np.stack(images() * 10))
    index = np.arange(len(pixels))
    done = TrivialAugment(fill=FILL).batch(pixels, index, Draws(0, 0, len(pixels)))
    columns = Draws(0, 0, len(pixels)).of("trivialaugment", index, 3)
    names, values = trivialaugment.choose(columns, size=(23, 34))
    expected = _ops.apply(pixels, names, values, fill=FILL, interpolation="nearest")
    assert torch.equal(done, expected) and not torch.equal(done, pixels)


# -- Keras' shift ----------------------------------------------------------------------------------


def test_shift_is_bilinear_with_the_border_repeated() -> None:
    batch = images()
    across, down = np.array([0, 3.0, -2.25, 0.5, 12.3, -40]), np.array([0, 0, 1.75, -9.6, 4.4, 30])
    done = shift(torch.from_numpy(np.stack(batch)), across, down).numpy()
    for pixels, ours, x, y in zip(batch, done, across, down, strict=True):
        expected = ndimage.shift(pixels.astype(float), (-y, -x, 0), order=1, mode="nearest")
        assert np.abs(ours - expected).max() < 0.51
    assert np.array_equal(done[0], batch[0])
    assert np.array_equal(done[1][:, :-3], batch[1][:, 3:])


def test_shifts_are_uniform_up_to_the_fraction_of_each_side() -> None:
    """Seen on images whose levels tell the place: 4 a column in red, 4 a row in green."""
    y, x = np.mgrid[:40, :60]
    ramp = np.stack([x * 4, y * 4, x * 0], -1).astype(np.uint8)
    pixels = torch.from_numpy(np.stack([ramp] * 2000))
    done = Shift(fraction=0.2, flip=0).batch(pixels, np.arange(2000), Draws(0, 0, 2000))
    moved = (done[:, 20, 30].float() - pixels[:, 20, 30].float()) / 4
    across, down = moved[:, 0], moved[:, 1]
    assert 11.5 < across.max() <= 12.2 and -12.2 <= across.min() < -11.5
    assert 7.6 < down.max() <= 8.2 and -8.2 <= down.min() < -7.6
    assert abs(float(across.std()) - 12 / math.sqrt(3)) < 0.3
    assert abs(float(np.corrcoef(across, down)[0, 1])) < 0.1


def test_shift_flips_as_standard_does() -> None:
    pixels = torch.from_numpy(np.stack(images() * 5))
    draws, index = Draws(0, 0, 30), np.arange(30)
    done = Shift(fraction=0, flip=0.5).batch(pixels, index, draws)
    flipped = torch.from_numpy(draws.kept("flip")[:, 0] < 0.5)
    assert torch.equal(done[flipped], pixels[flipped].flip(2))
    assert torch.equal(done[~flipped], pixels[~flipped])
