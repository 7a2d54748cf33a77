"""Each convolution against a float64 reference, in a process of its own: planted faults."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from training import cell

from ablation import kernels
from ablation.kernel_cases import case_of, convolutions
from ablation.kernels import Convolution, all_apart
from ablation.models import ResNetSmall
from tests.unit.kernel_parts import planted

PLAIN = Convolution(8, 6, 8, (9, 9), (3, 3), (2, 2), (1, 1), (1, 1), 1, True, True)
NARROW = kernels.EXAMPLES[1]


def test_a_right_kernel_is_right() -> None:
    assert all_apart([PLAIN]) is None and all_apart([]) is None


def corrupts(result: torch.Tensor) -> None:
    result[0, 0, 0, 0] += 1.0


def forgets(result: torch.Tensor) -> None:
    result.fill_(float("nan"))


FAULTS: dict[str, tuple[Callable[[torch.Tensor], None], str]] = {
    "a wrong number": (corrupts, "the output is off by "),
    "not a number": (forgets, "the output is off by nan of its largest value"),
    "an abort": (lambda result: os.abort(), "the process was ended by SIGABRT"),
    "a kill": (lambda result: os.kill(os.getpid(), signal.SIGKILL), "was ended by SIGKILL"),
    "an end without a word": (lambda result: os._exit(3), "the process ended with exit code 3"),
    "no end": (lambda result: time.sleep(60), "it did not end within 2 s"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_planted_fault_is_found(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault, said = FAULTS[case]
    planted(monkeypatch, fault)
    found = all_apart([PLAIN], time_limit_s=2)
    assert found is not None and said in found.what
    assert "Conv2d(6, 8, 3, stride=2, padding=1) on 8 x 6 x 9 x 9, channels last" in str(found)
    assert f"torch {torch.__version__}" in str(found) and "6035" not in str(found)


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, weight):
            return weight.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 1.01

    plain = kernels.conv2d
    monkeypatch.setattr(
        kernels, "conv2d",
        lambda x, w, *rest: plain(x, Wrong.apply(w) if w.dtype == torch.float32 else w, *rest),
    )  # fmt: skip
    assert (
        all_apart([PLAIN]).what == "the gradient of the weights is off by 0.01 of its largest value"
    )


def test_the_one_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Convolution(2, 3, 4, (5, 5), (1, 1), (1, 1), (0, 0), (1, 1), 1, False, False)
    planted(monkeypatch, lambda result: os.abort() if result.shape[1] == 4 else None)
    found = all_apart([PLAIN, other, PLAIN])
    assert found.convolution is other


def test_a_finding_of_the_known_kind_names_it() -> None:
    assert "this is oneDNN#6035 (open)" in str(kernels.Finding(NARROW, "w"))


def test_on_a_cpu_with_avx2_alone_the_known_fault_is_found_and_named() -> None:
    """Elsewhere the same kernel may be right, and what is found must have its name all the same."""
    found = [finding for finding in kernels.each_apart(kernels.EXAMPLES) if finding]
    assert all("oneDNN#6035" in str(finding) for finding in found)
    version = kernels.onednn_version()
    if torch.backends.cpu.get_cpu_capability() == "AVX2" and version == "3.13.3":
        assert found, "another kernel of the same version? see docs/decisions/0016"


def test_several_threads_are_no_endless_wait() -> None:
    """OpenMP's threads do not live through a fork of a process that has used them."""
    torch.set_num_threads(2)
    torch.randn(10**6).exp_().sum()
    two = replace(PLAIN, inputs=32, outputs=64, size=(56, 56), threads=2)
    assert all_apart([two], time_limit_s=60) is None


@pytest.mark.parametrize("width", [4, 16])
def test_what_a_cell_asks_for_is_what_its_model_calls(width: int) -> None:
    config = cell(model={"name": "resnet_small", "width": width}, val_img_size=20)
    (case,) = {case_of(config, 3)}
    found = convolutions([case])
    assert {c.size for c in found if c.inputs == 3} == {(16, 16), (20, 20)}
    assert {c.channels_last for c in found} == {width >= 16} and {c.batch for c in found} == {8}
    shapes = {(c.inputs, c.outputs, c.kernel, c.stride) for c in found}
    modules = [m for m in ResNetSmall(width=width).build(3).modules() if hasattr(m, "kernel_size")]
    built = {
        (m.in_channels, m.out_channels, m.kernel_size, m.stride)
        for m in modules
        if isinstance(m, torch.nn.Conv2d)
    }
    assert shapes == built
    assert not any(c.meets_known_fault for c in found)


def test_looking_at_a_model_draws_no_random_number() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    all_apart(convolutions([case_of(cell(model={"name": "resnet_small", "width": 5}), 3)]))
    assert torch.equal(torch.rand(3), expected)


def test_growing_images_and_parts_of_a_batch_are_looked_at() -> None:
    config = cell(
        img_size=16, epochs=4, batch_size=24, accumulate=3,
        progressive_resize={"start_size": 8, "end_epoch": 2, "multiple": 4},
    )  # fmt: skip
    case = case_of(config, 3)
    assert (case.sizes, case.batch) == ((8, 12, 16), 8)


def test_batches_are_cut_to_what_is_quick() -> None:
    case = case_of(cell(batch_size=24), 3)
    sizes = [
        {c.batch for c in convolutions([case], most=most)} for most in (2**22, 3 * 16 * 16 * 5, 1)
    ]
    assert sizes[0] == {24} and 5 in sizes[1] and sizes[2] == {1}


def test_every_pair_of_batches_of_one_shape_is_looked_at_once() -> None:
    made = [case_of(cell(batch_size=size), 3) for size in (8, 24)]
    both = convolutions(made)
    assert {c.batch for c in both} == {24}
    assert all(a != b for a, b in itertools.combinations(both, 2))
