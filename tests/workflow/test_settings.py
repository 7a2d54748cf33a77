"""config.yaml and what stands on the command line: each mistake is a line, before any job."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project.make(tmp_path_factory.mktemp("settings") / "project")


def dry_run(folder: Path, *args: str) -> tuple[int, str]:
    done = project.snakemake(folder, "-n", *args, check=False)
    return done.returncode, done.stdout + done.stderr


BASE = b"scale: smoke\nstudies: [plain]\n"
# name -> (content of config.yaml, what is said)
FILES = {
    "a key twice": (b"studies: [plain]\n" + BASE,
                    "config/config.yaml:3:1: key 'studies' stands here twice"),
    "not UTF-8": (BASE + b"# \xe9\n", "config/config.yaml: not UTF-8 text (invalid continuation"),
    "a value with two meanings": (BASE + b"partial: yes\n",
                                  "config/config.yaml:3:10: yes is true to some readers"),
    "a number to base 8": (BASE + b"loader_workers: 010\n",
                           "config/config.yaml:3:17: 010 begins with 0"),
    "code that Snakemake would run": (BASE + b"__use_yte__: true\n?print('ran'): {}\n",
                                      "config/config.yaml: __use_yte__: unknown key"),
    "JSON with a key twice": (b'{"scale": "smoke", "scale": "demo", "studies": ["plain"]}',
                              "config/config.yaml:1:20: key 'scale' stands here twice"),
    "nothing": (b"# nothing\n", "config/config.yaml: wants keys with values, holds nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_config_yaml_is_read_strictly(folder, case):
    content, expected = FILES[case]
    (folder / "config/config.yaml").write_bytes(content)
    code, said = dry_run(folder)
    assert code and expected in said and "Traceback" not in said, said
    assert "\nran" not in said


def test_another_configfile_is_read_as_strictly(folder, tmp_path):
    (folder / "config/config.yaml").write_bytes(BASE)
    other = tmp_path / "other.yaml"
    other.write_text("scale: smoke\nloader_workers: 1\nloader_workers: 2\n")
    code, said = dry_run(folder, "--configfile", str(other))
    assert code and f"{other}:3:1: key 'loader_workers' stands here twice" in said
    other.write_text("studies: [augmented]\n")
    code, said = dry_run(folder, "--configfile", str(other))
    assert code == 0 and "study=augmented" in said and "study=plain" not in said


def test_values_of_the_command_line_stand_on_top(folder):
    (folder / "config/config.yaml").write_bytes(BASE + b"data_paths:\n#  imagenet: /x\n")
    for studies in ("augmented,plain", "augmented plain"):
        code, said = dry_run(folder, "--config", f"studies={studies}")
        assert code == 0 and "study=augmented" in said and "study=plain" in said, said
    code, said = dry_run(folder, "--config", "studies=nowhere")
    assert code and "there is no 'nowhere' in config/studies" in said
