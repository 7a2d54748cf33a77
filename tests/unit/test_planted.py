"""Links, pipes and files that others have put where the workflow writes: nothing is written through
them, and what they lead to is not published."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import configs
import pytest
import synthetic
import train_cell
from synthetic import old_cell

from ablation import checkpoint, files, gpus, media, record
from ablation.errors import DataError
from ablation.grid import Planner
from ablation.lease import Lease
from ablation.report_cells import log_text
from ablation.report_study import last_line

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that is nobody's business here."""
    path = tmp_path / "private/secret.txt"
    path.parent.mkdir()
    path.write_text("my secret\n")
    return path


def is_whole(victim: Path) -> bool:
    return victim.read_text() == "my secret\n" and list(victim.parent.iterdir()) == [victim]


# ---- temporary names -----------------------------------------------------------------------------


def plant(path: Path, victim: Path) -> None:
    """Links at every temporary name of a file that could be guessed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(os.getpid() - 50, os.getpid() + 50):
        path.with_name(f".{path.name}.{number}.tmp").symlink_to(victim)
    path.with_name(f".{path.name}.tmp").symlink_to(victim)


def test_nothing_is_written_through_a_temporary_name(tmp_path, victim) -> None:
    folder = tmp_path / "cell"
    for name in ("metrics.json", "weights.pt"):
        plant(folder / name, victim)
    files.write_text(folder / "metrics.json", "{}")
    checkpoint.write_tensors(folder / "weights.pt", {"a": 1})
    assert is_whole(victim) and (folder / "metrics.json").read_text() == "{}"
    assert not (folder / "weights.pt").is_symlink()


def test_a_link_in_a_files_own_place_is_replaced(tmp_path, victim) -> None:
    path = tmp_path / "metrics.json"
    path.symlink_to(victim)
    files.write_text(path, "{}")
    assert is_whole(victim) and not path.is_symlink() and path.read_text() == "{}"


def test_a_name_that_is_taken_is_never_opened(tmp_path, victim, monkeypatch) -> None:
    """Even one that was guessed."""
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "known")
    (tmp_path / ".a.known.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        files.write_text(tmp_path / "a", "x")
    assert is_whole(victim)


# ---- folders of a cell ---------------------------------------------------------------------------


def test_results_are_not_written_through_a_link(tmp_path, victim) -> None:
    for folder in (tmp_path / "cells/a", tmp_path / "cells/b/.kept"):
        folder.parent.mkdir(parents=True)
        folder.symlink_to(victim.parent)
        with pytest.raises(DataError, match=f"{folder}: a link or a file where"):
            record.write_results(
                folder, cell={}, metrics={"epochs": []}, times=[], timing={}, provenance={}
            )
    with pytest.raises(DataError, match="a link or a file where"), Lease(folder / "lease.json"):
        pass
    assert is_whole(victim)


@pytest.mark.parametrize("name", ["", ".kept"])
def test_a_cell_whose_folder_is_a_link_is_refused_before_it_is_trained(
    tmp_path, victim, name
) -> None:
    config = configs.write(tmp_path / "config")
    cell = Planner(config).plan("s", "z").cells[0]
    out = tmp_path / "results/cells" / cell.id
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(victim.parent)
    options = {"study": "s", "scale": "z", "cell": cell.id, "data": tmp_path, "out": out}
    options |= {"checkpoints": tmp_path / "checkpoints", "config-dir": config}
    argv = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    with pytest.raises(DataError, match="a link or a file where a folder of its own is due"):
        train_cell.main([*argv, "--keep"])
    assert is_whole(victim)


def test_results_and_cells_may_be_links_to_a_large_disk(tmp_path) -> None:
    disk = tmp_path / "disk"
    (disk / "cells").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/cells").symlink_to(disk / "cells")
    folder = tmp_path / "results/cells/a"
    content = {"cell": {}, "times": [], "timing": {}, "provenance": {}}
    record.write_results(folder, metrics={"epochs": []}, **content)
    assert (disk / "cells/a/metrics.json").is_file()
    with Lease(folder / "lease.json") as lease:
        assert lease.held()


# ---- what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", record.RESULTS)
def test_only_own_files_are_put_back(tmp_path, victim, name) -> None:
    folder = old_cell(tmp_path, "c3a32ae49246")
    (folder / "weights.pt").write_bytes(b"w")
    kept = Path(shutil.move(folder, tmp_path / "kept"))
    folder.mkdir()
    (kept / name).unlink()
    (kept / name).symlink_to(victim)
    with pytest.raises(DataError, match=f"{kept / name}: a link.* delete {kept}"):
        record.adopt(kept, folder)
    assert not any(path.is_symlink() for path in folder.iterdir()) and is_whole(victim)
    assert not (folder / "metrics.json").exists()


def recalled(folder: Path, log: Path) -> str:
    """A cell's log after it has recalled what was kept in `folder`."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path;"
    code += "from ablation.progress import recall_log; recall_log(Path(sys.argv[2]))"
    with open(log, "w") as file:
        subprocess.run([sys.executable, "-c", code, WORKFLOW, folder], stderr=file, timeout=60)
    return log.read_text()


def test_a_kept_log_that_is_a_link_is_not_published(tmp_path, victim) -> None:
    kept, log = tmp_path / "cell/.kept", tmp_path / "log"
    kept.mkdir(parents=True)
    (kept / "log.txt").symlink_to(victim)
    assert recalled(kept, log) == "" and is_whole(victim)
    assert os.path.samefile(kept / "log.txt", log)  # what was planted is gone
    log.write_text("said before\n")
    log.unlink()
    assert recalled(kept, log) == "said before\n"
    (kept / "log.txt").unlink()
    os.mkfifo(kept / "log.txt")
    assert recalled(kept, log) == ""


def test_a_log_is_not_kept_in_a_folder_that_is_a_link(tmp_path, victim) -> None:
    kept = tmp_path / "cell/.kept"
    kept.parent.mkdir()
    kept.symlink_to(victim.parent)
    assert "a link or a file where" in recalled(kept, tmp_path / "log")
    assert is_whole(victim)


def test_a_log_that_is_a_link_is_not_in_the_report(tmp_path, victim) -> None:
    log = tmp_path / "cell.log"
    log.symlink_to(victim)
    assert log_text(log)[0] == "" and "secret" not in last_line(log)


@pytest.mark.parametrize("name", ["studies", "cells"])
def test_pages_are_not_deleted_through_a_link(tmp_path, victim, name) -> None:
    """Pages of an earlier choice of studies go, and only those."""
    from ablation.place import Place
    from ablation.report import build

    page = victim.rename(victim.with_name("index.html"))
    out = tmp_path / "results/report"
    out.mkdir(parents=True)
    (out / name).symlink_to(page.parent)
    with pytest.raises(DataError, match=f"{out / name}: a link or a file where"):
        build(Place("z", ("s",), tmp_path / "results", out, tmp_path / "config"))
    assert page.is_file()


# ---- folders that everybody may write ------------------------------------------------------------


def beton(tmp_path: Path) -> Path:
    path = tmp_path / "data/set-0123/train.beton"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    return path


def test_a_beton_that_another_has_put_there_is_not_read(tmp_path) -> None:
    """Of the same size, at the name that a copy once had."""
    medium = tmp_path / "shm"
    planted = medium / "set-0123/train.beton"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"evil")
    target, copied = media.place(beton(tmp_path), medium)
    assert copied and target.read_bytes() == b"mine"
    assert target.parents[1].stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "shared"])
def test_a_folder_for_copies_that_is_not_ours_is_refused(tmp_path, victim, kind) -> None:
    mine = tmp_path / f"shm/ablation-{os.geteuid()}"
    mine.parent.mkdir()
    if kind == "link":
        mine.symlink_to(victim.parent)
    elif kind == "file":
        mine.touch()
    else:
        mine.mkdir()
        mine.chmod(0o777)
    with pytest.raises(DataError, match=f"{mine}: a folder that this user alone may write"):
        media.place(beton(tmp_path), tmp_path / "shm")
    assert is_whole(victim)


def test_a_lock_of_a_gpu_is_no_link_and_no_pipe(tmp_path, victim, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(gpus, "_held", [])
    name = f"ablation-gpu-{os.geteuid()}-"
    (tmp_path / f"{name}0.lock").symlink_to(victim.parent / "new")
    os.mkfifo(tmp_path / f"{name}1.lock")
    assert len(gpus.take(1, tmp_path)) == 1
    assert is_whole(victim)


# ---- how to make it again ------------------------------------------------------------------------


def test_what_a_cell_says_of_its_command_is_not_shown(tmp_path) -> None:
    """It comes from the plan: a reader pastes it into a shell."""
    from ablation.frames import StudyData
    from ablation.place import Place
    from ablation.report_cells import cell_pages
    from ablation.report_study import _command
    from ablation.results import read_cell

    plan = Planner(configs.write(tmp_path / "config")).plan("s", "z")
    cell, cells = plan.cells[0], tmp_path / "results/cells"
    synthetic.write_cell(plan, cell, cells, None, True, "2", False)
    about = cells / cell.id / "cell.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"command": "rm -r ~ #"}))
    records = {cell.id: read_cell(cells / cell.id, cell.id)}
    place = Place("z", ("s",), Path("results"), tmp_path, tmp_path / "config")
    data = StudyData(plan, None)
    (page,) = cell_pages([data], records, {}, {cell.id}, place)
    wanted = (
        "python workflow/train_cell.py --study s --scale z --variant lr=0.1 --seed 0 "
        f"--data results/{cell.dataset.directory} --out results/cells/{cell.id} "
        "--checkpoints results/checkpoints"
    )
    assert page["command"] == wanted and _command(data, (records, {}), place)[1] == wanted
