"""The curves of docs/techniques.md as small SVG files: plain text, the same everywhere.

Learning rates of schedules, and the share of each epoch's weights in an average of weights, over
30 epochs, by the techniques' own code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ablation.averaging import AVERAGES
from ablation.config.explain import tag
from ablation.schedules import SCHEDULES

FOLDER = Path("docs/pictures")
EPOCHS, STEPS = 30, 8
# What has no default, and what a default of ten epochs would hide.
OPTIONS: dict[str, dict[str, Any]] = {
    "step": {"every": 10},
    "piecewise": {"milestones": [10, 20], "factors": [0.3, 0.05]},
    "piecewise_linear": {"start": 0, "points": [8, 30], "factors": [1, 0]},
    "exponential": {"decay": 0.9},
    "cyclic": {"up_epochs": 3},
    "reduce_on_plateau": {"patience": 3},
    "lr_range": {"ratio": 10000},
    "ema": {"half_life_epochs": 2},
    "swa": {"start_epoch": 20},
}
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 240, 90, 30, 8, 74


def made(technique: type) -> Any:
    """A technique with the options of its curve."""
    return technique(**OPTIONS.get(tag(technique), {}))


def rates(schedule: Any) -> list[tuple[float, float]]:
    """(epoch, share of the learning rate) at every step and at the end of each epoch."""
    memory: dict[str, Any] = {}
    points = []
    for epoch in range(EPOCHS):
        for step in range(STEPS):
            at = epoch + step / STEPS
            points.append((at, schedule.lr(1.0, at, EPOCHS) * memory.get("factor", 1.0)))
        # A validation loss that falls until epoch 8: only one schedule looks at it.
        memory = schedule.after_epoch(memory, 1.0 + 0.2 * max(0, 8 - epoch))
    return points


def shares(averaging: Any) -> list[float]:
    """Share of each epoch's weights in the final average.

    The weights of a model with one number for each epoch, all 0 but that of the current one: the
    average of these is the shares.
    """
    import torch

    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.zeros(EPOCHS, dtype=torch.float64))
    average = averaging.start(model, steps_per_epoch=STEPS, epochs=EPOCHS)
    for epoch in range(EPOCHS):
        with torch.no_grad():
            model.weight.zero_()[epoch] = 1.0
        for step in range(STEPS):
            average.after_step(model, epoch * STEPS + step + 1)
        average.after_epoch(model, epoch + 1, 0.0)
    return average.weights(EPOCHS)["weight"].tolist()


def line(points: Sequence[tuple[float, float]], *, logarithmic: bool = False) -> str:
    """The SVG of a learning rate over epochs."""
    low, high = 0.0, 1.0
    values = [value for _, value in points]
    if logarithmic:
        values = [math.log10(value) for value in values]
        high = round(max(values))
    places = [
        (_across(epoch), _up((value - low) / (high - low)))
        for (epoch, _), value in zip(points, values, strict=True)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _corners(places))
    drawn = f'<polyline points="{path}" fill="none" stroke="#0072b2" stroke-width="1.5"/>'
    return _svg(drawn, f"{10**high:g}" if logarithmic else "1", "1" if logarithmic else "0")


def bars(values: Sequence[float]) -> str:
    """The SVG of one number each epoch."""
    top, wide = max(values), _across(1) - _across(0)
    drawn = "".join(
        f'<rect x="{_across(epoch) + 0.5:.1f}" y="{_up(value / top):.1f}" width="{wide - 1:.1f}" '
        f'height="{_BOTTOM - _up(value / top):.1f}" fill="#0072b2"/>'
        for epoch, value in enumerate(values)
        if value > 0
    )
    return _svg(drawn, f"{top:.2f}", "0")


def _across(epoch: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - 8) * epoch / EPOCHS


def _up(share: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * share


def _corners(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The places without those on the line between their neighbours."""
    kept = places[:1]
    for i in range(1, len(places) - 1):
        (x0, y0), (x1, y1), (x2, y2) = kept[-1], places[i], places[i + 1]
        if abs((y1 - y0) * (x2 - x0) - (y2 - y0) * (x1 - x0)) > 1e-6:
            kept.append(places[i])
    return [*kept, places[-1]]


def _svg(drawn: str, top: str, bottom: str) -> str:
    text = 'font-family="sans-serif" font-size="9" fill="#555"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
        f'<path d="M{_LEFT},{_TOP}V{_BOTTOM}H{_WIDTH - 8}" fill="none" stroke="#999"/>\n'
        f'<text x="{_LEFT - 3}" y="{_TOP + 4}" text-anchor="end" {text}>{top}</text>\n'
        f'<text x="{_LEFT - 3}" y="{_BOTTOM}" text-anchor="end" {text}>{bottom}</text>\n'
        f'<text x="{_LEFT}" y="{_HEIGHT - 5}" {text}>0</text>\n'
        f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 5}" text-anchor="end" {text}>'
        f"{EPOCHS} epochs</text>\n{drawn}\n</svg>\n"
    )


def outputs() -> dict[Path, Callable[[], str]]:
    """Path below the repository's root -> what makes its text."""
    drawn: dict[Path, Callable[[], str]] = {}
    for technique in SCHEDULES:
        drawn[FOLDER / f"{tag(technique)}.svg"] = partial(_schedule, technique)
    for technique in AVERAGES:
        drawn[FOLDER / f"{tag(technique)}.svg"] = partial(_average, technique)
    return drawn


def _schedule(technique: type) -> str:
    return line(rates(made(technique)), logarithmic=tag(technique) == "lr_range")


def _average(technique: type) -> str:
    return bars(shares(made(technique)))
