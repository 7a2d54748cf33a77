"""Train one cell: one variant of a study with one seed.

Finds the cell in the plan of its study, trains it (or goes on where an earlier attempt stopped)
and writes its results. Exit codes: 0 done (also when the loss diverged: that is a result), 75
stopped by a signal with the state saved, 2 something to mend, said in one line.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import faulthandler
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

BEGAN = time.time()
STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
sys.path.insert(0, str(Path(__file__).parent))

from ablation.cli import run  # noqa: E402
from ablation.errors import ConfigError, DataError, StopRequested, UserError  # noqa: E402
from ablation.grid import Cell, Planner  # noqa: E402
from ablation.printable import one_line  # noqa: E402


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--study", required=True, help="study that the cell belongs to")
    parser.add_argument("--scale", required=True, help="scale at which it is trained")
    parser.add_argument("--variant", help="label of the variant, e.g. 'lr=0.1'")
    parser.add_argument("--seed", type=int, help="seed of the cell")
    parser.add_argument("--cell", help="id of the cell, instead of --variant and --seed")
    parser.add_argument("--data", type=Path, required=True, help="folder of the dataset's betons")
    parser.add_argument("--out", type=Path, required=True, help="folder for the cell's results")
    parser.add_argument(
        "--checkpoints", type=Path, required=True,
        help="folder of all checkpoints; the cell has one of its own in it",
    )  # fmt: skip
    parser.add_argument(
        "--cells", type=Path,
        help="folder of all cells' results, for a teacher's weights; default: beside --out",
    )  # fmt: skip
    parser.add_argument("--config-dir", type=Path, default=Path("config"), help="default: config")
    parser.add_argument("--workers", type=int, default=0, help="loader workers; change no result")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--packed", action="store_true",
        help="other cells share the job: do not compare this one's times",
    )  # fmt: skip
    parser.add_argument(
        "--keep", action="store_true",
        help="keep links to the results in OUT/.kept, for a caller that deletes a failed job's",
    )  # fmt: skip
    return parser.parse_args(argv)


def find_cell(args: argparse.Namespace) -> Cell:
    """The cell that the command line means, of the study or one that the study's cells need."""
    plan = Planner(args.config_dir).plan(args.study, args.scale)
    if args.cell is not None:
        return plan.cell(args.cell)
    if args.variant is None or args.seed is None:
        raise UserError("which cell? give --variant and --seed, or --cell")
    for cell in plan.cells:
        if cell.variant.label == args.variant and cell.config.seed == args.seed:
            return cell
    labels = ", ".join(f"'{variant.label}'" for variant in plan.variants)
    raise ConfigError(f"no such cell in {args.study} at {args.scale}; variants: {labels}")


def say(text: str) -> None:
    """One line of the log, with the time. It stays one: what is said may quote what others wrote,
    and a line of its own would pass for this program's word."""
    now = f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}"
    print(f"{now}  {one_line(text)}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    args = parse(argv)
    cell = find_cell(args)
    stop_signals = Stop()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # one of the cell's ranks; `launch` has the rest
        train_rank(args, cell, stop_signals)
        return 0
    # After the plan, so that a mistake in a file is answered before torch's seconds of import.
    from ablation.files import refuse_link
    from ablation.lease import Lease
    from ablation.progress import recall_log
    from ablation.record import adopt, complete

    kept = args.out / ".kept"
    folder = args.checkpoints / cell.id
    heading = f"=== cell {cell.id}: {args.study}, {cell.variant.label}, seed {cell.config.seed} ==="
    say(heading)
    for place in (args.out, kept):
        refuse_link(place)  # now, rather than after hours of training
    with Lease(folder / "lease.json", say, stop=stop_signals) as lease:
        if args.keep and recall_log(kept):
            say(heading)
        if complete(args.out, cell.id):
            say("results are there already; delete the folder to train the cell again")
        elif complete(kept, cell.id):
            adopt(kept, args.out)
            say("an earlier attempt has trained this cell; its results are put back")
        elif had_back(args.out, lacks(cell, args.data, args.cells or args.out.parent)):
            pass
        else:
            attempt(sys.argv[1:] if argv is None else argv, args, cell, lease, stop_signals)
        discard(folder)
    with contextlib.suppress(OSError):  # another job waits in it for its turn
        folder.rmdir()
    return 0


def attempt(argv: Sequence[str], args: argparse.Namespace, cell: Cell, lease, stop: Stop) -> None:
    """Train the cell, in this process or in one a rank; near the time limit, queue it again."""
    from ablation import gpus
    from ablation.slurm import requeue

    if args.device != "cpu":
        gpus.take(cell.config.compute.ranks)
    try:
        with causes(args, cell):
            if cell.config.compute.ranks > 1:
                launch_ranks(argv, args, cell, lease, stop)
            else:
                train(args, cell, lease.check, stop)
    except StopRequested:
        # Only once a state of this attempt is saved: else it would come back for ever.
        if stop.limit and checkpoint_age(args.checkpoints / cell.id) < time.time() - BEGAN:
            say("the time limit is near: " + ("queued again" if requeue() else "ends"))
        raise


def lacks(cell: Cell, data: Path, cells: Path) -> str:
    """What is not there of what a cell is trained from; empty when all of it is."""
    try:
        check_betons(data, cell)
    except DataError as error:
        return str(error)
    weights = (cells / parent.id / "weights.pt" for parent in cell.parents)
    return next((f"{path} is missing" for path in weights if not path.is_file()), "")


def had_back(out: Path, lacking: str) -> bool:
    """Give a cell that cannot be trained the results that it had; whether it did."""
    from ablation.keep import put_back

    if not lacking or not put_back(out):
        return False
    say(f"{lacking}; the results that the cell had are put back: delete {out} to train it again")
    return True


def checkpoint_age(folder: Path) -> float:
    """Seconds since the cell's state was saved; infinite when it never was."""
    try:
        return time.time() - (folder / "checkpoint.pt").stat().st_mtime
    except OSError:
        return math.inf


def check_betons(folder: Path, cell: Cell) -> None:
    """Refuse betons that are not those of the plan, e.g. converted with other options."""
    from ablation.foreign import LARGE, Unreadable
    from ablation.results import Manifest, typed

    manifest = folder / "manifest.json"
    try:
        content = typed(manifest, Manifest, LARGE)
        found, measured = content.beton_id, [content.mean, content.std]
    except Unreadable:
        raise DataError(
            f"{manifest}: missing or damaged; convert the dataset: python workflow/"
            f"convert_dataset.py --dataset {cell.dataset.name} --out {folder}"
        ) from None
    if found != cell.dataset.digest:
        raise DataError(
            f"{manifest}: holds betons {found}, the plan wants {cell.dataset.digest}; delete the "
            "folder and convert the dataset again"
        )
    if measured != [list(cell.dataset.lock.mean), list(cell.dataset.lock.std)]:
        raise DataError(
            f"{manifest}: mean and std are not those of the dataset's lock, by which images are "
            "normalised; delete the folder and convert the dataset again"
        )


@contextlib.contextmanager
def causes(args: argparse.Namespace, cell: Cell) -> Iterator[None]:
    """A full memory or disk, a broken GPU: a line that says what helps, in place of a traceback."""
    from ablation.causes import explained

    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        better = explained(error, args.out, args.scale, cell.config)
        if better is not None:
            raise better from error
        raise


def launch_ranks(argv: Sequence[str], args: argparse.Namespace, cell: Cell, lease, stop) -> None:
    """Train the cell in several processes of this program."""
    from ablation.launch import launch

    check_betons(args.data, cell)
    ranks, folder = cell.config.compute.ranks, args.checkpoints / cell.id
    launch(Path(__file__), argv, ranks=ranks, folder=folder, stop=stop, check=lease.check)


def train_rank(args: argparse.Namespace, cell: Cell, stop) -> None:
    """Train this process's part of the cell; the first rank writes the results."""
    from ablation.launch import asked
    from ablation.ranks import Ranks

    folder = args.checkpoints / cell.id
    device = choose_device(args.device)
    ranks = Ranks.join(device)
    with causes(args, cell):
        train(args, cell, lambda: None, lambda: stop() or asked(folder), ranks, device)
    ranks.leave()


def train(
    args: argparse.Namespace, cell: Cell, check: Callable, stop: Callable, ranks=None, device=None
) -> None:
    """Train the cell and write its results. check: raises when the lease is lost."""
    from ablation import loop, progress
    from ablation.lease import others_here
    from ablation.teacher import diverged_parent, starting_weights, teacher_of

    check_betons(args.data, cell)
    started = datetime.datetime.now(datetime.UTC)
    device = device or choose_device(args.device)
    if device.type == "cpu" and (ranks is None or ranks.first):
        refuse_wrong_kernels(cell)
    cells, folder = args.cells or args.out.parent, args.checkpoints / cell.id

    def before_save() -> None:
        check()
        progress.write(folder / progress.NAME, trainer.state, cell.config.epochs)

    lost = diverged_parent(cell, cells)
    needs = {} if lost is None else {"pretrained": None, "distill": None}
    trainer = loop.Trainer(
        cell.config.model_copy(update=needs),
        cell.dataset.lock,
        args.data,
        cell_id=cell.id,
        checkpoint_path=folder / "checkpoint.pt",
        device=device,
        workers=args.workers,
        say=say if ranks is None or ranks.first else lambda text: None,
        stop=stop,
        before_save=before_save,
        alone=lambda: not (args.packed or others_here(args.checkpoints, folder / "lease.json")),
        ranks=ranks,
        start=None if lost else starting_weights(cell, cells),
        teacher=None if lost else teacher_of(cell, cells, device),
    )
    if lost is None:
        trainer.run(BEGAN)
    else:
        trainer.give_up(f"cell {lost.id}, whose weights this one needs, has diverged: so does this")
    model = trainer.final_model()  # every rank has its part in measuring batch norms anew
    if trainer.ranks.first:
        check()
        write(args, cell, trainer, model, started)
        say(f"done in {time.time() - BEGAN:.1f} s: {args.out}")


def refuse_wrong_kernels(cell: Cell) -> None:
    """UserError when this machine computes a convolution of the cell's model wrongly."""
    from ablation import kernels
    from ablation.kernel_cases import case_of, convolutions

    case = case_of(cell.config, len(cell.dataset.lock.classes))
    wrong = kernels.all_apart(convolutions([case], most=kernels.FEW_NUMBERS))
    if wrong is not None:
        raise UserError(
            f"{socket.gethostname()} computes wrongly what this cell asks of it: {wrong}; what "
            "helps: another kind of node (resources: constraint); `make doctor` there shows all"
        )


def write(args: argparse.Namespace, cell: Cell, trainer, model, started) -> None:
    """Write a finished cell's results."""
    from ablation import keep, provenance, record, trained

    state, finished = trainer.state, datetime.datetime.now(datetime.UTC)
    threads = cell.config.compute.threads
    record.write_results(
        args.out / ".kept" if args.keep else args.out,
        cell=trained.describe(args, cell),
        metrics=record.metrics(
            cell.id, state.epochs, state.diverged_at, trained.facts(trainer), state.steps
        ),
        times=state.times,
        timing=trained.timing(trainer),
        provenance={
            **provenance.describe(trainer.device, threads, cell.dataset.digest),
            "loader_workers": args.workers,
            "machines": sorted(set(state.machines)),
            "started": started.isoformat(timespec="seconds"),
            "finished": finished.isoformat(timespec="seconds"),
        },
        weights={"cell_id": cell.id, "model": model.state_dict()},
    )
    if args.keep:
        record.adopt(args.out / ".kept", args.out)
        keep.drop_before(args.out)


def choose_device(name: str):
    """The device; where there is no GPU to be had, with CUDA's own reason."""
    from ablation import compute
    from ablation.causes import cuda

    try:
        return compute.choose_device(name, int(os.environ.get("LOCAL_RANK", 0)))
    except UserError as error:
        import torch

        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as reason:
            raise cuda(reason) or error from None
        raise


class Stop:
    """Whether a signal has asked the cell to stop; a second Ctrl-C ends it at once.

    SIGUSR1 is Slurm's warning that the time limit is near (rules/train.smk asks for it).
    """

    def __init__(self) -> None:
        self.asked = self.limit = False
        for number in STOPPING:
            signal.signal(number, self._ask)

    def _ask(self, number: int, _frame: object) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
        self.limit = self.limit or number == signal.SIGUSR1
        say(f"{signal.Signals(number).name}: the state is saved after this step")

    def __call__(self) -> bool:
        return self.asked


def discard(folder: Path) -> None:
    """Remove a finished cell's checkpoint; its results hold the final weights."""
    for name in ("checkpoint.pt", "progress.json"):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(".checkpoint.pt.*.tmp"):
        path.unlink()


def guarded(argv: Sequence[str] | None = None) -> int:
    """`main`, with a requested stop as an exit code of its own."""
    try:
        return main(argv)
    except StopRequested as stopped:
        say(str(stopped))
        return stopped.exit_code
    finally:
        # Python takes its handlers away as it ends: a signal that comes then must not turn a cell
        # that is done into one that was killed.
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    faulthandler.enable()  # a crash in compiled code names its signal in the log
    raise SystemExit(run(guarded))
