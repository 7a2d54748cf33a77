"""A real Slurm controller and two nodes with pretend GPUs on this machine, in a scratch folder.

Everything (keys, sockets, spools, logs, GPUs) lies in the folder; nothing of the machine's own
Slurm or munge is used or changed, and several clusters can stand side by side.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "scancel", "srun")
NODES = ("n0", "n1")

# cred_expire: else a requeued job waits 121 s. config_overrides: nodes may claim more CPUs and
# memory than the machine has. JobFileAppend: else a requeue empties the job's log.
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={run}/munge.sock,cred_expire=10
CredType=cred/munge
MpiDefault=none
StateSaveLocation={run}/ctld
SlurmctldPidFile={run}/slurmctld.pid
SlurmctldLogFile={run}/slurmctld.log
SlurmdSpoolDir={run}/slurmd.%n
SlurmdPidFile={run}/slurmd.%n.pid
SlurmdLogFile={run}/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=3,sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
JobFileAppend=1
MinJobAge=300
KillWait={kill_wait}
CompleteWait=0
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=60
AccountingStorageType=accounting_storage/none
NodeName=n[0-1] NodeAddr=127.0.0.1 NodeHostname={host} Port={ports} CPUs=8 Boards=1 \
SocketsPerBoard=1 CoresPerSocket=8 ThreadsPerCore=1 RealMemory=64000 Gres=gpu:fake:4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 PriorityTier=10 State=UP
PartitionName=high Nodes=ALL MaxTime=60 PriorityTier=100 State=UP
"""


def why_not() -> str | None:
    """Why no cluster can be started here, in one line; None if it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no Slurm here ({', '.join(missing)} missing): `make setup-slurm` installs it"
    if os.geteuid() != 0:
        return "Slurm's daemons are started by root only, and this is not root"
    return None


class NoCluster(Exception):
    """The daemons could not be started on this machine."""


class Cluster:
    """The daemons, and what tests ask and do to them."""

    def __init__(self, run: Path) -> None:
        self.run = run
        # As Slurm's own programs see it: nothing of a cluster that this machine belongs to.
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}
        self.env["PATH"] = f"{run / 'bin'}:{self.env['PATH']}"
        self.kill_wait = 5

    # -- start and stop ----------------------------------------------------------------------

    def start(self) -> None:
        """Write the configuration and start munged, the controller and both nodes."""
        for name in ("ctld", *(f"slurmd.{node}" for node in NODES)):
            (self.run / name).mkdir(parents=True)
        host = socket.gethostname().split(".")[0]
        first = _free_ports(3)
        conf = CONF.format(
            run=self.run, host=host, ctld_port=first, kill_wait=self.kill_wait,
            ports=f"{first + 1}-{first + 2}",
        )  # fmt: skip
        (self.run / "slurm.conf").write_text(conf)
        self._wrap_programs()
        (self.run / "gres.conf").write_text(
            f"AutoDetect=off\nNodeName=n[0-1] Name=gpu Type=fake File={self.run}/gpu[0-3]\n"
        )
        try:
            for number in range(4):  # plain files are refused as GPUs
                os.mknod(self.run / f"gpu{number}", 0o20600, os.makedev(195, number))
            self._start_munge()
            self.start_controller()
            for node in NODES:
                self._run("slurmd", "-N", node)
            self.wait(lambda: self.idle() == set(NODES), 60, "both nodes to be idle")
        except (OSError, subprocess.SubprocessError, TimeoutError) as error:
            raise NoCluster(f"Slurm's daemons do not start here: {error}\n{self.logs()}") from None

    def _wrap_programs(self) -> None:
        """Slurm's programs with our configuration: the executor takes SLURM_CONF out of jobs."""
        (self.run / "bin").mkdir()
        for name in ("sbatch", "squeue", "scontrol", "scancel", "srun", "sinfo", "sacct", "sshare",
                     "sacctmgr", "slurmctld", "slurmd"):  # fmt: skip
            if real := shutil.which(name):
                script = self.run / "bin" / name
                script.write_text(f'#!/bin/sh\nSLURM_CONF={self.run}/slurm.conf exec {real} "$@"\n')
                script.chmod(0o755)

    def _start_munge(self) -> None:
        key = self.run / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = {"key-file": key, "socket": "munge.sock", "pid-file": "munged.pid",
                 "log-file": "munged.log", "seed-file": "munged.seed"}  # fmt: skip
        self._run("munged", "--force", *(f"--{k}={self.run / v}" for k, v in files.items()))

    def start_controller(self) -> None:
        """Start the controller; it goes on from its saved state."""
        self._run("slurmctld")
        self.wait(lambda: "UP" in self.ask("scontrol", "ping", check=False), 60, "the controller")

    def stop_controller(self) -> None:
        """Kill the controller; jobs go on."""
        controller = psutil.Process(int((self.run / "slurmctld.pid").read_text()))
        controller.terminate()
        controller.wait(30)

    def stop(self) -> None:
        """End every job, then every process that belongs to this cluster."""
        with contextlib.suppress(subprocess.SubprocessError, TimeoutError):
            jobs = list(self.jobs())
            if jobs:
                self.ask("scancel", *jobs, check=False)
                self.wait(lambda: not self.jobs(), 30, "jobs to end")
        for _ in range(3):
            found = self.processes()
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            psutil.wait_procs(found, timeout=10)

    def processes(self) -> list[psutil.Process]:
        """The daemons and what jobs left: told by the folder in command line or PATH."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid == os.getpid():
                    continue
                own = str(self.run)
                if own in " ".join(process.cmdline()) or own in process.environ().get("PATH", ""):
                    found.append(process)
        return found

    # -- questions ---------------------------------------------------------------------------

    def ask(self, *command: object, check: bool = True) -> str:
        """Output of one of Slurm's programs."""
        done = subprocess.run(
            [str(word) for word in command],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def jobs(self, *states: str) -> dict[str, dict[str, str]]:
        """Jobs in the queue by id, those in some states alone: state, node, cell, restarts."""
        wanted = states or ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING")
        # The executor names the rule and its wildcards in the job's comment.
        lines = self.ask(
            "squeue", "-h", "-t", ",".join(wanted), "-o", "%i|%T|%N|%k|%b"
        ).splitlines()
        rows = [line.split("|") for line in lines]
        return {
            row[0]: {"state": row[1], "node": row[2], "comment": row[3], "gres": row[4]}
            for row in rows
        }

    def job_of(self, cell: str, *states: str) -> str | None:
        """The id of a cell's job, None when it has none."""
        found = [job for job, row in self.jobs(*states).items() if cell in row["comment"]]
        return found[0] if found else None

    def restarts(self, job: str) -> int:
        """How often Slurm has put a job back into the queue."""
        text = self.ask("scontrol", "show", "job", job)
        return int(text.split("Restarts=")[1].split()[0])

    def idle(self) -> set[str]:
        """Nodes that wait for work."""
        lines = self.ask("sinfo", "-h", "-N", "-o", "%N %t", check=False).splitlines()
        return {line.split()[0] for line in lines if line.split()[1] == "idle"}

    def wait(self, what: Callable[[], object], seconds: float, name: str) -> None:
        """Wait until `what()` is true; TimeoutError with the daemons' logs when it does not."""
        deadline = time.monotonic() + seconds
        while not what():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s for {name}\n{self.logs()}")
            time.sleep(0.25)

    def logs(self, lines: int = 15) -> str:
        """The last lines of every daemon's log, and the queue."""
        parts = []
        for log in sorted(self.run.glob("*.log")):
            parts += [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-lines:]]
        with contextlib.suppress(subprocess.SubprocessError):
            parts += ["--- squeue", self.ask("squeue", "-a", "-t", "all", check=False)]
            parts += ["--- sinfo", self.ask("sinfo", "-N", "-l", check=False)]
        return "\n".join(parts)

    def _words(self, command: tuple[object, ...]) -> list[str]:
        program, *words = (str(word) for word in command)
        ours = self.run / "bin" / program
        return [str(ours) if ours.exists() else program, *words]

    def _run(self, *command: object) -> None:
        """Start a daemon, which goes into the background by itself."""
        # Not through pipes: a daemon that keeps one open would be waited for without end.
        with open(self.run / "start.log", "ab") as log:
            subprocess.run(
                self._words(command), env=self.env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, check=True, timeout=60,
            )  # fmt: skip


def _free_ports(number: int) -> int:
    """The first of some ports in a row that nobody listens on."""
    for first in range(17_000 + os.getpid() % 5000 * 3, 65_000, number):
        sockets = [socket.socket() for _ in range(number)]
        try:
            for offset, one in enumerate(sockets):
                one.bind(("127.0.0.1", first + offset))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise NoCluster("no free ports")
