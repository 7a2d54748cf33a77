"""Random draws: pure functions of (seed, purpose, epoch, sample or step), none of them shared."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ablation.data.draws import Draws, generator, split_mix, stream_key, torch_seed

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"


def test_order_is_a_permutation_and_repeats() -> None:
    order = Draws(3, 7, 1000).order()
    assert sorted(order) == list(range(1000))
    assert np.array_equal(order, Draws(3, 7, 1000).order())


def test_neighbouring_seeds_and_epochs_share_no_order() -> None:
    # FFCV's own loader draws with `seed + epoch`: seed 0, epoch 1 is seed 1, epoch 0.
    seen = {Draws(s, e, 500).order().tobytes() for s, e in itertools.product(range(8), range(8))}
    assert len(seen) == 64


def test_neighbouring_seeds_share_no_draw() -> None:
    rows = [Draws(s, e, 100).kept("flip", 4) for s, e in itertools.product(range(6), range(6))]
    values = np.concatenate([table.ravel() for table in rows])
    assert len(np.unique(values)) == len(values)


def test_each_purpose_has_a_stream_of_its_own() -> None:
    draws = Draws(0, 0, 200)
    crop, flip = draws.kept("crop")[:, 0], draws.kept("flip")[:, 0]
    assert len(np.intersect1d(crop, flip)) == 0
    assert abs(np.corrcoef(crop, flip)[0, 1]) < 0.25


def test_parts_of_a_key_do_not_run_together() -> None:
    keys = {stream_key(*parts) for parts in [("a", 1, 11), ("a", 11, 1), ("a1", 1, 1), ("a", 111)]}
    assert len(keys) == 4


def test_draws_depend_on_no_other_draw_and_no_global_state() -> None:
    alone = Draws(1, 2, 50).kept("flip")
    busy = Draws(1, 2, 50)
    np.random.seed(5)
    busy.order()
    busy.uniform("crop", 50, 40).take(50)
    np.random.random(9)
    assert np.array_equal(busy.kept("flip"), alone)
    assert busy.kept("flip") is busy.kept("flip")


@pytest.mark.parametrize("columns", [1, 3, 4, 40])
def test_rows_do_not_depend_on_how_many_there_are_or_how_they_are_taken(columns: int) -> None:
    whole = Draws(0, 1, 10).uniform("crop", 100, columns).take(100)
    short = Draws(0, 1, 10).uniform("crop", 30, columns).take(30)
    rows = Draws(0, 1, 10).uniform("crop", 100, columns)
    pieces = np.concatenate([rows.take(k) for k in (1, 29, 70)])
    assert np.array_equal(whole[:30], short)
    assert np.array_equal(whole, pieces)


def test_uniform_draws_are_uniform() -> None:
    values = generator("flip", 0, 0).random(100_000)
    assert values.min() >= 0 and values.max() < 1
    counts = np.histogram(values, 20, (0, 1))[0]
    assert ((counts - 5000) ** 2 / 5000).sum() < 60  # chi squared, 19 degrees of freedom


def test_torch_seeds_fit_and_differ() -> None:
    seeds = [torch_seed("model", s, e, t) for s, e, t in itertools.product(range(5), repeat=3)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_another_process_draws_the_same() -> None:
    # Python's own hash() of a text differs from process to process.
    code = (
        "from ablation.data.draws import Draws, torch_seed;"
        "print(torch_seed('model', 1, 2), Draws(4, 5, 9).order())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=WORKFLOW, capture_output=True, text=True, check=True
    ).stdout
    assert said == f"{torch_seed('model', 1, 2)} {Draws(4, 5, 9).order()}\n"


def test_values_are_those_of_the_first_release() -> None:
    """A change here changes every cell: raise identity.LOOP_VERSION with it."""
    assert stream_key("order", 0, 0) == 32020769666832017599324031014507857225
    assert Draws(0, 0, 8).order().tolist() == [5, 2, 1, 4, 0, 6, 3, 7]
    assert generator("crop", 0, 0).random(2).tolist() == [0.5734536492026537, 0.656562473082819]


def test_draws_of_samples_are_those_of_the_published_sequence() -> None:
    """SplitMix64 from seed 1234567: the first numbers of the reference implementation."""
    reference = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    drawn = split_mix(np.uint64(1234567), np.arange(3, dtype=np.uint64))
    assert (drawn == [(number >> 11) * 2.0**-53 for number in reference]).all()


def test_draws_of_samples_do_not_depend_on_the_batch() -> None:
    draws, index = Draws(3, 1, 100), np.array([7, 99, 0, 42])
    whole = draws.of("mix", np.arange(100), 5)
    assert (draws.of("mix", index, 5) == whole[index]).all()
    others = (Draws(4, 1, 100).of("mix", index, 5), Draws(3, 2, 100).of("mix", index, 5))
    for other in (*others, draws.of("erase", index, 5)):
        assert not (other == whole[index]).any()
    assert abs(Draws(0, 0, 1).of("x", np.arange(20000), 2).mean() - 0.5) < 0.005
    assert draws.at("mix", 3).random() != draws.at("mix", 4).random()
