"""What goes wrong on a cluster, and that nothing of it shows in the numbers."""

from __future__ import annotations

import os
import signal
import time

import pytest

from .bench import LIMIT_S, Bench, small_disk

Reference = dict[str, bytes]
pytestmark = pytest.mark.long


def test_a_killed_process_goes_on(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    bench.under_way()
    os.kill(bench.process(), signal.SIGKILL)
    bench.finish(driver)
    bench.check(reference)
    assert bench.log().count("goes on after epoch") == 1


def test_a_requeued_job_goes_on_under_its_number(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    job = bench.under_way()
    bench.cluster.ask("scontrol", "requeue", job)
    bench.finish(driver)
    bench.check(reference)
    assert bench.cluster.restarts(job) == 1
    assert "SIGTERM" in bench.log() and "goes on after epoch" in bench.log()


def test_a_preempted_job_goes_on_under_its_number(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    job = bench.under_way()
    node = bench.cluster.jobs()[job]["node"]
    command = ("sbatch", "-p", "high", "-w", node, "--exclusive", "-o", "/dev/null")
    bench.cluster.ask(*command, "--wrap", "sleep 3")
    bench.wait(lambda: bench.cluster.restarts(job) == 1, "the preemption")
    bench.finish(driver)
    bench.check(reference)
    assert "SIGTERM" in bench.log() and "goes on after epoch" in bench.log()


def test_a_drained_node_ends_its_job_and_gets_no_other(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    job = bench.under_way()
    node = bench.cluster.jobs()[job]["node"]
    bench.cluster.ask("scontrol", "update", f"node={node}", "state=drain", "reason=test")
    try:
        bench.finish(driver)
    finally:
        bench.cluster.ask("scontrol", "update", f"node={node}", "state=resume")
    bench.check(reference)
    assert bench.log().count("=== cell") == 1


def test_a_lost_node_s_job_goes_on(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    job = bench.under_way()
    node = bench.cluster.jobs()[job]["node"]
    bench.cluster.ask("scontrol", "update", f"node={node}", "state=down", "reason=test")
    try:
        bench.finish(driver)
    finally:  # it may have come back by itself
        bench.cluster.ask("scontrol", "update", f"node={node}", "state=resume", check=False)
    bench.check(reference)
    assert bench.cluster.restarts(job) == 1
    assert "goes on after epoch" in bench.log()


def test_a_restarted_controller_is_not_noticed(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    bench.under_way()
    bench.cluster.stop_controller()
    try:
        time.sleep(8)  # several rounds of the driver's questions are not answered
        assert driver.poll() is None, bench.story()
    finally:
        bench.cluster.start_controller()
    bench.finish(driver)
    bench.check(reference)
    assert bench.log().count("=== cell") == 1


def test_a_full_disk_is_named_and_a_later_start_goes_on(bench: Bench, reference: Reference) -> None:
    with small_disk(bench.checkpoint().parent, "16k"):
        said = bench.finish(bench.start("--retries", "0", *bench.targets), code=1)
    assert f"failed: cell {bench.victim} (tiny, victim, seed 0): " in said
    assert "no space left on the disk" in said and f"log: {bench.log_path()}" in said
    assert not (bench.folder / f"results/cells/{bench.victim}/metrics.json").exists()
    bench.run()
    bench.check(reference)


def test_a_truncated_beton_is_named_and_a_later_start_goes_on(
    bench: Bench, reference: Reference
) -> None:
    (beton,) = bench.folder.glob("results/data/*/val.beton")
    whole, times = beton.read_bytes(), beton.stat()
    os.truncate(beton, len(whole) // 2)
    os.utime(beton, ns=(times.st_atime_ns, times.st_mtime_ns))
    said = bench.finish(bench.start("--retries", "0", bench.targets[0]), code=1)
    assert f"failed: cell {bench.victim}" in said and "val.beton: truncated" in said
    beton.write_bytes(whole)
    os.utime(beton, ns=(times.st_atime_ns, times.st_mtime_ns))
    bench.run()
    bench.check(reference)


def test_the_time_limit_leads_to_the_queue_and_no_retry(bench: Bench, reference: Reference) -> None:
    bench.edit("config/studies/tiny.yaml", "seeds: 1", "seeds: 1\nresources: {smoke: {runtime: 2}}")
    bench.slow_down(110)
    driver = bench.start("--retries", "0", *bench.targets)
    job = bench.under_way()
    bench.finish(driver)
    bench.check(reference)
    assert bench.cluster.restarts(job) >= 1
    assert "SIGUSR1" in bench.log() and "the time limit is near: queued again" in bench.log()


def test_a_time_limit_without_a_warning_costs_a_retry(bench: Bench, reference: Reference) -> None:
    bench.edit("config/studies/tiny.yaml", "seeds: 1", "seeds: 1\nresources: {smoke: {runtime: 1}}")
    bench.slow_down(70)
    said = bench.run()
    bench.check(reference)
    assert "TIMEOUT" in said and "SIGTERM" in bench.log() and "goes on after" in bench.log()


def test_ctrl_c_of_the_driver_cancels_and_a_new_start_goes_on(
    bench: Bench, reference: Reference
) -> None:
    driver = bench.start()
    bench.under_way()
    os.killpg(driver.pid, signal.SIGINT)
    bench.finish(driver, code=None)
    bench.cluster.wait(lambda: not bench.cluster.jobs(), 60, "the cancelled jobs to end")
    assert not (bench.folder / f"results/cells/{bench.victim}/metrics.json").exists()
    bench.run()
    bench.check(reference)
    assert "goes on after epoch" in bench.log()


def test_a_killed_driver_s_jobs_are_found_by_the_next(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    job = bench.under_way()
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert bench.cluster.jobs("RUNNING")[job]["state"] == "RUNNING"
    bench.run("--unlock")
    bench.run()
    bench.check(reference)
    # Trained by the first driver's job alone; the second's waited for it.
    assert bench.log().count(" epoch 1/") == 1 and "goes on" not in bench.log()


def test_what_a_killed_driver_s_jobs_finished_is_kept(bench: Bench, reference: Reference) -> None:
    driver = bench.start()
    bench.under_way()
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    bench.cluster.wait(lambda: not bench.cluster.jobs(), LIMIT_S, "the jobs to end")
    bench.run("--unlock")
    bench.run()
    bench.check(reference, nothing_kept=False)  # where nothing is to be done, nothing is cleared
    assert bench.log().count(" epoch 1/") == 1
