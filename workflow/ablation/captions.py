"""What a figure shows, in sentences made from the data. Apart from the drawing, so that the report
needs no drawing library."""

from __future__ import annotations

from .config.study import Curves, Importance, LoaderRates, Pareto, RangeCurves
from .figure_data import importance_caption, pareto_caption, why_not
from .frames import StudyData
from .metrics import METRICS


def caption(data: StudyData, name: str) -> str:
    """What the figure shows, in sentences that are made from the data; or why it is not drawn."""
    spec = data.plan.config.all_figures[name]
    if reason := why_not(data, name):
        return reason
    if isinstance(spec, Importance):
        return importance_caption(data, spec)
    if isinstance(spec, Pareto):
        return pareto_caption(data, spec)
    if isinstance(spec, RangeCurves):
        return _range_caption(data, spec)
    if isinstance(spec, LoaderRates):
        return _loader_caption(data, spec)
    metric = METRICS[spec.metric].heading
    seeds = len({c.config.seed for c in data.plan.cells})
    whole = (data.runs["status"] == "completed").all()
    runs = f"mean of {seeds} seeds" if whole else f"mean of the completed runs of {seeds} seeds"
    if isinstance(spec, Curves):
        text = f"{spec.title}. {metric} over epochs, "
        band = "" if spec.metric == "lr" else "; the band reaches from the lowest to the highest"
        text += f"{runs}{band}." if seeds > 1 else "one seed."
    else:
        text = f"{spec.title}. {metric} at the last epoch, "
        text += (
            f"mean of {seeds} seeds ± half the width of its 95 % interval."
            if seeds > 1
            else "one seed."
        )
    lost = data.runs[data.runs["status"] == "diverged"]
    if len(lost):
        which = [
            f"{r.variant} seed {int(r.seed)} in epoch {int(r.diverged_epoch)}"
            for r in lost.itertuples()
        ]
        how = "drawn to their end, marked ×" if isinstance(spec, Curves) else "counted at chance"
        text += f" Diverged ({how}): {'; '.join(which)}."
    missing = int((data.runs["status"] == "missing").sum())
    return text + (f" Missing: {missing} of {len(data.runs)} runs." if missing else "")


def _loader_caption(data: StudyData, spec: LoaderRates) -> str:
    text = f"{spec.title}. Images per second over {spec.x}, mean of the repetitions with its 95 % "
    text += "interval. Solid: epochs after the first; dashed, hollow: the first epoch, resident "
    text += "reading with the load before it."
    reason = data.why_times_differ()
    text += f" Not to be compared: {reason}." if reason else ""
    missing = int((data.runs["status"] == "missing").sum())
    return text + (f" Missing: {missing} of {len(data.runs)} runs." if missing else "")


def _range_caption(data: StudyData, spec: RangeCurves) -> str:
    test = data.plan.config.range
    text = f"{spec.title}. Training loss of each step (thin) and smoothed (thick) over the "
    text += f"learning rate, which grows from {test.lr_min:g} to {test.lr_max:g} within "
    text += (
        f"{test.epochs} epochs; a line a seed, up to where the loss has blown up. Dashed: where "
    )
    text += "it falls fastest; dotted: a tenth of the rate at which it is lowest. Both are "
    text += "suggestions, geometric means over seeds."
    missing = int((data.runs["status"] == "missing").sum())
    return text + (f" Missing: {missing} of {len(data.runs)} runs." if missing else "")
