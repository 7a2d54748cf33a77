"""`snakemake --profile slurm` on a real Slurm: the local numbers, what was asked for, packs."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml

from tests.workflow import project as projects

from .bench import Bench, bare_copy, use_packs
from .cluster import Cluster

Reference = dict[str, bytes]


def test_nothing_goes_wrong(bench: Bench, reference: Reference) -> None:
    bench.run()
    bench.check(reference)
    logs = [bench.log(cell) for cell in bench.cells.values()]
    assert all(log.count("=== cell") == 1 for log in logs)  # one GPU: the cell starts once


def test_a_cancelled_job_goes_on(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    bench.cluster.ask("scancel", bench.under_way())
    bench.finish(driver)
    bench.check(reference)
    assert "SIGTERM" in bench.log() and "goes on after epoch" in bench.log()
    # `make status` after the run, and where each cell was.
    said = bench.status()
    assert "4 cells: 4 done; 100 %" in said and bench.victim in said


def test_packed_cells_share_a_job_and_say_so(bench: Bench, reference: Reference) -> None:
    use_packs(bench, cells=4)
    driver = bench.start()
    bench.wait(bench.checkpoint().exists, "the victim's first checkpoint")
    (job,) = bench.cluster.jobs("RUNNING")  # one allocation for all four, one after another
    said = bench.cluster.ask("scontrol", "show", "job", job)
    assert "TresPerJob=gres:gpu:1" in said and "TimeLimit=00:40:00" in said, said
    assert bench.status().count(" running ") >= 1
    bench.finish(driver)
    bench.check(reference)
    timings = bench.folder.glob("results/cells/*/timing.json")
    assert [json.loads(path.read_text())["alone"] for path in timings] == [False] * 4


@pytest.mark.long
def test_a_killed_cell_of_a_pack_trains_no_other_again(bench: Bench, reference: Reference) -> None:
    use_packs(bench, cells=4)
    driver = bench.start()
    bench.wait(bench.checkpoint().exists, "the victim's first checkpoint")
    others = [cell for cell in bench.cells.values() if cell != bench.victim]
    before = [c for c in others if (bench.folder / f"results/cells/{c}/metrics.json").exists()]
    assert before  # the victim is not the first of its pack
    os.kill(bench.process(), signal.SIGKILL)
    bench.finish(driver)
    bench.check(reference)
    assert bench.log().count("goes on after epoch") == 1
    for cell in others:
        assert bench.log(cell).count("epoch 2/2") == 1
        assert ("its results are put back" in bench.log(cell)) == (cell in before)


@pytest.mark.long
def test_what_a_study_asks_for_reaches_slurm_and_a_cell_starts_once(bench: Bench) -> None:
    bench.edit(
        "config/studies/tiny.yaml", "seeds: 1",
        "seeds: 1\nbase: {compute.ranks: 2}\nresources:\n"
        "  smoke: {gpus: 2, gpu_model: fake, cpus: 3, mem_mb: 1234, "
        "runtime: 7, partition: high, account: ours, extra: --nice=5}",
    )  # fmt: skip
    bench.plan()
    target = f"results/cells/{bench.cells['one']}/metrics.json"
    driver = bench.start(target)
    job = bench.wait(lambda: bench.cluster.job_of(bench.cells["one"], "RUNNING"), "the job")
    said = bench.cluster.ask("scontrol", "show", "job", str(job))
    for wanted in ("TresPerJob=gres:gpu:fake:2", "CPUs/Task=3", "TimeLimit=00:07:00", "Nice=5",
                   "MinMemoryNode=1234M", "Partition=high", "Account=ours"):  # fmt: skip
        assert wanted in said, f"{wanted}\n{said}"
    bench.finish(driver)
    assert bench.log(bench.cells["one"]).count("=== cell") == 1


@pytest.mark.long
def test_the_next_cells_ask_for_what_the_first_one_took(bench: Bench) -> None:
    bench.edit("config/scales/smoke.yaml", "runtime: 10}", "runtime: 600}")
    bench.run(f"results/cells/{bench.cells['one']}/metrics.json")
    driver = bench.start(f"results/cells/{bench.cells['two']}/metrics.json")
    job = bench.wait(lambda: bench.cluster.job_of(bench.cells["two"]), "the job")
    said = bench.cluster.ask("scontrol", "show", "job", str(job))
    # Seconds of work, and three minutes for the starts.
    assert "TimeLimit=00:04:00" in said, said
    bench.finish(driver)


@pytest.mark.demo
def test_the_demo_s_grid_equals_the_local_run(cluster: Cluster, tmp_path: Path) -> None:
    """All cells of the demo, first here, then through Slurm. About an hour on two cores."""
    local = projects.make(tmp_path / "local")
    shutil.rmtree(local / "config")
    shutil.copytree(projects.REPO / "config", local / "config")
    sent = bare_copy(local, tmp_path / "sent")
    projects.snakemake(local, timeout=7200)
    studies = yaml.safe_load((local / "config/config.yaml").read_text())["studies"]
    wanted = {cell for study in studies for cell in projects.cells(local, study, "demo").values()}
    bench = Bench(sent, cluster, studies[0])
    bench.finish(bench.start("all", "--jobs", "4"), limit_s=4 * 3600)
    mine, theirs = ({p.parent.name: p.read_bytes() for p in f.glob("results/cells/*/metrics.json")}
                    for f in (local, sent))  # fmt: skip
    assert wanted <= set(mine) and mine == theirs
    assert (sent / "results/report/index.html").exists()
    assert not bench.orphans()
