"""What a cell asks of the cluster: who may say so, who wins, and that no result follows from it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import configs
import pytest

from ablation.config.resources import Resources, Site
from ablation.errors import ConfigError
from ablation.grid import Planner

STUDY, RECIPE, SCALE = "studies/s.yaml", "recipes/r.yaml", "scales/z.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configs.write(tmp_path)


def asked(folder: Path, site: Site | None = None) -> Resources:
    return Planner(folder).plan("s", "z").resources(site or Site())


def add(folder: Path, path: str, text: str) -> None:
    with open(folder / path, "a") as file:
        file.write(text)


def test_the_later_of_site_scale_recipe_study_wins(folder: Path) -> None:
    site = Site(partition="site", account="site", qos="site", constraint="site")
    add(folder, SCALE, "resources: {mem_mb: 1000, runtime: 10, gpus: 1, account: scale, "
        "qos: scale, constraint: scale}\n")  # fmt: skip
    add(folder, RECIPE, "resources: {z: {mem_mb: 2000, qos: recipe, constraint: recipe}}\n")
    add(folder, STUDY, "resources: {z: {gpu_model: a100, constraint: study}}\n")
    found = asked(folder, site)
    assert (found.partition, found.account, found.qos) == ("site", "scale", "recipe")
    assert (found.constraint, found.mem_mb, found.runtime) == ("study", 2000, 10)
    assert (found.gpus, found.gpu_model, found.cpus) == (1, "a100", 1)


def test_another_scale_s_settings_are_not_taken(folder: Path) -> None:
    (folder / "scales/other.yaml").write_text("title: o\n")
    add(folder, STUDY, "resources: {other: {mem_mb: 9999}}\n")
    assert asked(folder).mem_mb == Resources().mem_mb


def test_resources_are_no_part_of_cells_nor_of_the_plan_s_digest(folder: Path) -> None:
    before = Planner(folder).plan("s", "z")
    add(folder, STUDY, "resources: {z: {mem_mb: 9999}}\n")
    add(folder, RECIPE, "resources: {z: {gpus: 4}}\n")
    after = Planner(folder).plan("s", "z")
    assert [c.id for c in after.cells] == [c.id for c in before.cells]
    assert after.digest == before.digest


def test_memory_and_time_are_raised_at_each_attempt_up_to_their_maximum() -> None:
    found = Resources(mem_mb=1000, max_mem_mb=2500, runtime=60, cpus=3)
    assert [found.asked("mem_mb", n) for n in (1, 2, 3)] == [1000, 2000, 2500]
    assert [found.asked("runtime", n) for n in (1, 2, 3)] == [60, 120, 180]
    assert found.asked("cpus", 3) == 3 and found.asked("partition") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resources: {y: {mem_mb: 1}}\n", "there is no 'y'"),
        ("resources: {z: {mem: 1}}\n", "mem_mb"),
        ("resources: {z: {gpu_model: a100}}\n", "gpus is 0"),
        ("resources: {z: {mem_mb: 900, max_mem_mb: 800}}\n", "max_mem_mb 800 is less"),
    ],
)
def test_impossible_requests_are_refused(folder: Path, text: str, said: str) -> None:
    add(folder, STUDY, text)
    with pytest.raises(ConfigError, match=said):
        asked(folder)


MINE = "is the workflow's own; leave it out"
# setting of a study -> what is said; the study is another person's
FOREIGN = {
    'extra: "--nice=5; touch X #"': "extra: --nice=5;: ; has no place in an option of sbatch",
    'extra: "--nice=5 ; touch X"': "extra: --nice=5: ';' is no option of sbatch",
    'extra: "$(touch X)"': "extra: '$(touch' is no option of sbatch; write options alone",
    'extra: "--nice=`touch X`"': "extra: --nice=`touch: ` has no place in an option of sbatch",
    'extra: "--nice=5\\n touch X"': "extra: options stand on one line",
    'extra: "--nice=\'5"': "extra: cannot be split as a shell would (no closing quotation)",
    "extra: evil.sh": "extra: 'evil.sh' is no option of sbatch",
    "extra: --hold -- evil.sh": "extra: '--' is no option of sbatch",
    "extra: --wrap=evil": f"extra: --wrap {MINE}",
    "extra: --wra=evil": f"extra: --wra {MINE}",
    "extra: --output=/home/x": f"extra: --output {MINE}",
    "extra: -o/home/x": f"extra: --output {MINE}",
    "extra: --export=ALL,LD_PRELOAD=x": f"extra: --export {MINE}",
    "extra: -J x": f"extra: --job-name {MINE}",
    "extra: -p gpu": "extra: --partition has a key of its own: write `partition`",
    "extra: --gres=gpu:1": "extra: --gres has a key of its own: write `gpus`",
    "partition: gpu; touch X": "partition: 'gpu; touch X' is no partition of Slurm",
    "partition: --wrap=x": "partition: '--wrap=x' is no partition of Slurm",
    "account: a$(touch X)": "account: 'a$(touch X)' is no account of Slurm",
    "qos: a b": "qos: 'a b' is no quality of service of Slurm",
    "constraint: a`x`": "constraint: 'a`x`' is no constraint of Slurm",
    'gpus: 1, gpu_model: "a100\\n"': "gpu_model: 'a100\\n' is no type of GPU of Slurm",
}


@pytest.mark.parametrize("setting", FOREIGN)
@pytest.mark.parametrize("file", [STUDY, RECIPE, SCALE])
def test_nothing_but_names_and_options_reaches_sbatch(folder, setting, file):
    setting = "{" + setting + "}"
    add(folder, file, f"resources: {setting if file == SCALE else '{z: ' + setting + '}'}\n")
    with pytest.raises(ConfigError) as caught:
        asked(folder)
    said = str(caught.value).replace("\n", "\\n")
    assert FOREIGN[setting[1:-1]].replace("extra: --nice=5: ", "extra: ") in said


OPTIONS = {
    "--exclusive": ["--exclusive"],
    "--nice=5 --hold": ["--nice=5", "--hold"],
    "-x node1 --reservation course": ["--exclude=node1", "--reservation=course"],
    "-xnode1 -H": ["--exclude=node1", "--hold"],
    "--reservation='a course' --licenses=x@y:2": ["--reservation=a course", "--licenses=x@y:2"],
    "--hold evil.sh": ["--hold=evil.sh"],  # no word by itself: sbatch would take it for the script
    "--prefer=a100&nvlink|(x*2)": ["--prefer=a100&nvlink|(x*2)"],
    "": [],
}


@pytest.mark.parametrize("text", OPTIONS)
def test_options_reach_sbatch_as_they_are_meant(text):
    """Through the very command of the plugin, with a shell; `sbatch` prints its arguments."""
    from types import SimpleNamespace

    from snakemake_executor_plugin_slurm.submit_string import get_submit_command

    found = Resources(
        extra=text, gpus=1, gpu_model="a100", constraint="a100&[x|y]", partition="p,q"
    )
    assert Resources(extra=found.extra) == Resources(extra=text)  # read again, the same

    class Asked(dict):
        __getattr__ = dict.__getitem__

    job = SimpleNamespace(
        threads=1,
        is_group=lambda: False,
        resources=Asked(
            slurm_extra=found.extra, constraint=found.constraint, runtime=1, gpu=1, cpus_per_gpu=-1
        ),
    )
    params = dict.fromkeys(("run_uuid", "slurm_logfile", "comment_str", "account", "workdir"), "")
    call = get_submit_command(job, params | {"partition": f"-p {found.partition}"})
    script = f"sbatch() {{ printf '%s\\n' \"$@\"; }}; {call}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    assert words[-len(OPTIONS[text]) :] == OPTIONS[text] or not OPTIONS[text]
    assert words[words.index("-C") + 1] == "a100&[x|y]" and done.stderr == ""
