"""Weights from files, and models that start from them."""

from __future__ import annotations

import argparse
import copy
import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ablation.checkpoint import write_tensors
from ablation.errors import UserError
from ablation.models import MobileNetV1, ResNetSmall
from ablation.models.weights import head_name, load_start, read_weights


def network(classes: int, seed: int = 0, **options: float) -> nn.Module:
    """A small network whose batch norms have seen a batch."""
    torch.manual_seed(seed)
    model = ResNetSmall(width=4, **options).build(classes)
    model(torch.rand(4, 3, 16, 16))
    return model


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


# -- files -----------------------------------------------------------------------------------------

WRITERS = {
    "weights.pt": lambda path, state: write_tensors(path, {"cell_id": "0" * 12, "model": state}),
    "plain.pth": lambda path, state: torch.save(state, path),
    "ordered.pt": lambda path, state: torch.save(network(3).state_dict(), path),
    "timm.pth.tar": lambda path, state: torch.save({"epoch": 3, "state_dict": state}, path),
    "parallel.pt": lambda path, state: torch.save(
        {"model": {f"module.{k}": v for k, v in state.items()}, "args": None}, path
    ),
    "model.safetensors": lambda path, state: save_file(state, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_reads_what_training_programs_write(tmp_path: Path, name: str) -> None:
    state = dict(network(3).state_dict())
    WRITERS[name](tmp_path / name, state)
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert same(read_weights(tmp_path / name), state)
    assert same(read_weights(tmp_path / name, sha256=digest.upper()), state)


def test_another_file_than_the_configured_one_is_refused(tmp_path: Path) -> None:
    torch.save(dict(network(3).state_dict()), tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w\.pt: its sha256 is [0-9a-f]{64}, not aaaa"):
        read_weights(tmp_path / "w.pt", sha256="a" * 64)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of weights"):
        read_weights(tmp_path / "none.pt", sha256="a" * 64)
    with pytest.raises(UserError, match="is a folder; name the file in it"):
        read_weights(tmp_path)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "page"])
def test_a_damaged_file(tmp_path: Path, name: str, damage: str) -> None:
    path = tmp_path / name
    writer = save_file if path.suffix == ".safetensors" else torch.save
    writer(dict(network(3).state_dict()), path)
    whole = path.read_bytes()
    changed = {"cut": whole[: len(whole) // 2], "empty": b"", "page": b"<html>not found</html>"}
    path.write_bytes(changed[damage])
    with pytest.raises(UserError, match=f"{name}: no file of weights, or a damaged one"):
        read_weights(path)


def test_a_file_with_code_is_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Evil:
        def __reduce__(self):
            return (Path.touch, (marker,))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    torch.save({"model": {}, "args": argparse.Namespace(lr=1)}, tmp_path / "args.pt")
    for name in ("evil.pt", "args.pt"):
        with pytest.raises(UserError, match="no file of weights"):
            read_weights(tmp_path / name)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [({}, "holds no weights"), ([1], "holds no weights"), ({"model": {}}, "holds no weights"),
     ({"epoch": 3, "w": torch.ones(1)}, "'epoch' is no tensor")],
)  # fmt: skip
def test_a_file_of_something_else(tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(UserError, match=said):
        read_weights(tmp_path / "w.pt")


UNUSUAL = {
    "meta": (lambda: torch.ones(2, device="meta"), "a meta tensor, a shape without numbers"),
    "sparse": (lambda: torch.eye(2).to_sparse(), "a sparse or nested tensor"),
    "compressed": (lambda: torch.eye(2).to_sparse_csr(), "a sparse or nested tensor"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
                  "a quantized tensor"),
    "complex": (lambda: torch.ones(2, dtype=torch.complex64), "of the type complex64"),
    "eight bits": (lambda: torch.ones(2).to(torch.float8_e4m3fn), "of the type float8_e4m3fn"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", UNUSUAL)
def test_an_unusual_kind_of_tensor_is_refused(tmp_path: Path, kind: str) -> None:
    make, said = UNUSUAL[kind]
    torch.save({"a": torch.ones(1), "w": make()}, tmp_path / "w.pt")
    with pytest.raises(UserError) as caught:
        read_weights(tmp_path / "w.pt")
    assert str(caught.value) == (
        f"{tmp_path / 'w.pt'}: 'w' is {said}; write the state_dict() of a plain model in float32, "
        "float16 or bfloat16"
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_another_width_are_taken(dtype: torch.dtype) -> None:
    state = {k: v.to(dtype) if v.is_floating_point() else v
             for k, v in network(3).state_dict().items()}  # fmt: skip
    child = network(3, seed=1)
    load_start(child, state, head="keep", classes=3, where="w.pt")
    assert torch.equal(child.state_dict()["0.0.weight"], state["0.0.weight"].float())


def test_whole_numbers_are_no_weights() -> None:
    """As of a file for 8-bit inference: cast, they would be weights of another scale."""
    state = dict(network(3).state_dict())
    state["0.0.weight"] = (100 * state["0.0.weight"]).to(torch.int8)
    with pytest.raises(
        UserError, match=r"'0\.0\.weight' is of int8 there and of float32 in the mod"
    ):
        load_start(network(3), state, head="keep", classes=3, where="w.pt")


def test_a_list_of_tensors_that_is_too_long_is_not_loaded(tmp_path: Path) -> None:
    long_header(tmp_path / "w.safetensors", 5 * 1024**2)
    with pytest.raises(UserError, match="the list of its tensors has 5,242,880 bytes, more than"):
        read_weights(tmp_path / "w.safetensors")


def long_header(path: Path, length: int) -> None:
    """A file that is one long header, of nothing but spaces."""
    path.write_bytes(length.to_bytes(8, "little") + b"{}" + b" " * (length - 2) + b"0")


# -- starting from them ----------------------------------------------------------------------------


def test_keep_takes_over_everything_and_gives_the_same_answers() -> None:
    parent, child = network(3, seed=0), network(3, seed=1)
    report = load_start(child, parent.state_dict(), head="keep", classes=3, where="w.pt")
    assert same(dict(child.state_dict()), dict(parent.state_dict()))
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(child.eval()(images), parent.eval()(images))
    assert report == {
        "loaded_tensors": len(parent.state_dict()),
        "loaded_scalars": sum(v.numel() for v in parent.state_dict().values()),
        "fresh": [],
    }


@pytest.mark.parametrize("classes", [3, 5])
def test_new_leaves_the_head_fresh_and_takes_over_the_rest(classes: int) -> None:
    parent, child = network(3, seed=0), network(classes, seed=1)
    head = copy.deepcopy(child[-1])
    report = load_start(child, parent.state_dict(), head="new", classes=classes, where="w.pt")
    name = head_name(child, classes)
    assert report["fresh"] == [f"{name}.weight", f"{name}.bias"]
    assert torch.equal(child[-1].weight, head.weight) and torch.equal(child[-1].bias, head.bias)
    rest = {k: v for k, v in child.state_dict().items() if k not in report["fresh"]}
    assert report["loaded_tensors"] == len(rest)
    assert all(torch.equal(v, parent.state_dict()[k]) for k, v in rest.items())


def test_new_takes_a_file_without_a_head() -> None:
    parent, child = network(3), network(5, seed=1)
    state = {k: v for k, v in parent.state_dict().items() if not k.startswith(head_name(parent, 3))}
    assert load_start(child, state, head="new", classes=5, where="w.pt")["fresh"]


def test_the_regularized_network_starts_from_the_plain_one() -> None:
    """Names of weights do not depend on dropout."""
    child = network(3, seed=1, dropout=0.5, stochastic_depth=0.1)
    load_start(child, network(3).state_dict(), head="keep", classes=3, where="w.pt")


def test_the_head_is_the_last_linear_layer_with_the_classes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 7), nn.Linear(7, 7), nn.ModuleDict({"x": nn.Linear(7, 9)}))
    assert head_name(model, 7) == "1" and head_name(model, 9) == "2.x"
    with pytest.raises(UserError, match="no linear layer with 8 outputs"):
        head_name(model, 8)


def test_what_does_not_fit_is_named() -> None:
    parent = network(3)
    with pytest.raises(UserError, match=r"w\.pt: .*weight' is 3 x 16 there and 5 x 16 in the mo"):
        load_start(network(5), parent.state_dict(), head="keep", classes=5, where="w.pt")
    with pytest.raises(UserError, match="`head: new` for others"):
        load_start(network(5), parent.state_dict(), head="keep", classes=5, where="w.pt")
    state = dict(parent.state_dict())
    state["0.0.kernel"] = state.pop("0.0.weight")
    with pytest.raises(UserError, match=r"'0\.0\.weight' is missing; '0\.0\.kernel' is not in"):
        load_start(network(3), state, head="new", classes=3, where="w.pt")
    other = MobileNetV1(width_mult=0.25).build(3).state_dict()
    with pytest.raises(UserError, match=r"and \d+ more; is it the same architecture\?"):
        load_start(network(3), other, head="new", classes=3, where="w.pt")


def test_a_refused_start_leaves_the_model_alone() -> None:
    child = network(5, seed=1)
    before = copy.deepcopy(child.state_dict())
    with pytest.raises(UserError):
        load_start(child, network(3).state_dict(), head="keep", classes=5, where="w.pt")
    assert same(dict(child.state_dict()), dict(before))


def test_counts_of_batches_may_be_missing_and_nothing_else() -> None:
    state = {k: v for k, v in network(3).state_dict().items() if "num_batches" not in k}
    load_start(network(3, seed=1), state, head="keep", classes=3, where="w.pt")
    del state["0.1.running_var"]
    with pytest.raises(UserError, match=r"'0\.1\.running_var' is missing"):
        load_start(network(3), state, head="keep", classes=3, where="w.pt")


def test_weights_of_a_diverged_training_are_refused() -> None:
    state = copy.deepcopy(network(3).state_dict())
    state["0.0.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(UserError, match=r"'0\.0\.weight' holds numbers that are not finite"):
        load_start(network(3), state, head="keep", classes=3, where="w.pt")
