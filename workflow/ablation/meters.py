"""Energy, load and power of a cell, epoch by epoch, from meters that the machine has.

Two meters are read: NVML (GPU energy, load and power) and Linux' powercap (energy of the CPU
packages, "RAPL"). What has no meter is None, never an estimate; a driver's error makes the epoch's
reading None and the training goes on. Nothing here touches a result.

What the numbers hold:

- `gpu_energy_j`: the GPUs of the cell, from the driver's own counter (Volta and later).
- `cpu_energy_j`: all CPU packages of the machine, without memory and mainboard. A package has no
  meter for one process: other jobs on the machine are in it.
- `energy_j`: the sum of those that the machine can read, which `energy_source` names ("nvml",
  "rapl", "nvml+rapl"): only numbers of one source may be compared.
- `gpu_load_percent`: mean over time of NVML's utilisation, the share of the last sample period (a
  sixth of a second to one second) in which a kernel ran, and over the cell's GPUs.
- `gpu_power_w`: energy by time, summed over the GPUs.

Each reading spans the time since the one before: training, evaluation and saving.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
READINGS = ("energy_j", "gpu_energy_j", "cpu_energy_j", "gpu_load_percent", "gpu_power_w")
NOTHING: dict[str, Any] = {**dict.fromkeys(READINGS), "energy_source": None}
"""What a cell without any meter records."""

# A package at 250 W wraps its counter of 262 kJ each 17 minutes: it is read far more often. NVML
# renews the load each second at most.
_PERIOD_S = 0.5


class Counter:
    """Joules from a counter that only rises, until it wraps.

    read: the counter in joules; it may raise. wraps_at: joules at which it begins anew; None for a
    counter that never does, so that a fall is an error.
    """

    def __init__(self, read: Callable[[], float], wraps_at: float | None = None) -> None:
        self.read, self.wraps_at = read, wraps_at
        self.last: float | None = None
        self.joules, self.whole = 0.0, False

    def poll(self) -> None:
        """Add what was used since the last look; a look that fails leaves a gap."""
        try:
            now = self.read()
        except Exception:  # a driver may raise anything, and no training ends for a meter
            self.last, self.whole = None, False
            return
        if self.last is not None:
            used = now - self.last
            if used < 0 and self.wraps_at is not None:
                used += self.wraps_at
            if used < 0:
                self.whole = False
            else:
                self.joules += used
        self.last = now

    def take(self) -> float | None:
        """Joules since the last call; None when there was a gap in between."""
        self.poll()
        taken = self.joules if self.whole else None
        self.joules, self.whole = 0.0, self.last is not None
        return taken


class Meter:
    """Reads its counters in a thread of its own; one reading an epoch."""

    def __init__(
        self,
        gpu: Sequence[Counter] = (),
        cpu: Sequence[Counter] = (),
        loads: Sequence[Callable[[], float]] = (),
        period_s: float = _PERIOD_S,
    ) -> None:
        self.gpu, self.cpu, self.loads = gpu, cpu, loads
        self.period_s = period_s
        parts = (("nvml", gpu), ("rapl", cpu))
        self.source = "+".join(name for name, counters in parts if counters) or None
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._samples: list[float] = []
        self._since, self._whole = 0.0, True

    def start(self, *, whole: bool = True) -> None:
        """Begin the first epoch.

        whole: False when a part of it was trained in an earlier attempt: what that part used is
        not known, so the first reading is empty.
        """
        with self._lock:
            self._take(self.gpu), self._take(self.cpu)
            self._samples, self._since, self._whole = [], time.monotonic(), whole
        if self._thread is None and (self.gpu or self.cpu or self.loads):
            self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
            self._thread.start()

    def epoch(self) -> dict[str, Any]:
        """READINGS and `energy_source` since `start` or the last call."""
        with self._lock:
            gpu, cpu = self._take(self.gpu), self._take(self.cpu)
            self._sample()
            now = time.monotonic()
            spent, self._since = now - self._since, now
            samples, self._samples = self._samples, []
            whole, self._whole = self._whole, True
        if not whole:
            return {**NOTHING, "energy_source": self.source}
        parts = [joules for joules, counters in ((gpu, self.gpu), (cpu, self.cpu)) if counters]
        return {
            "energy_j": sum(parts) if parts and None not in parts else None,
            "gpu_energy_j": gpu,
            "cpu_energy_j": cpu,
            "gpu_load_percent": sum(samples) / len(samples) if samples else None,
            "gpu_power_w": None if gpu is None or spent <= 0 else gpu / spent,
            "energy_source": self.source,
        }

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.period_s):
            with self._lock:
                for counter in (*self.gpu, *self.cpu):
                    counter.poll()
                self._sample()

    def _sample(self) -> None:
        with contextlib.suppress(Exception):
            if self.loads:
                self._samples.append(sum(load() for load in self.loads) / len(self.loads))

    @staticmethod
    def _take(counters: Sequence[Counter]) -> float | None:
        taken = [counter.take() for counter in counters]
        return sum(taken) if taken and None not in taken else None


def open_meter(
    *devices: Any, powercap: Path = POWERCAP, nvml: Any = None, period_s: float = _PERIOD_S
) -> Meter:
    """The meters of the devices that a cell computes on (torch.device, the first one's machine).

    Without any meter the `Meter` reads nothing but None. powercap, nvml: for tests; nvml is the
    module pynvml (package nvidia-ml-py), which need not be installed.
    """
    gpu, loads = [], []
    handles = list(_handles([d for d in devices if d.type == "cuda"], nvml))
    for library, handle in handles:
        counter = Counter(_joules(library, handle))
        counter.poll()
        if counter.last is not None:
            gpu.append(counter)
        load = _load(library, handle)
        with contextlib.suppress(Exception):
            load()
            loads.append(load)
    # A part of the cell's GPUs would look like all of them.
    gpus = sum(d.type == "cuda" for d in devices)
    gpu, loads = (part if len(part) == gpus else [] for part in (gpu, loads))
    return Meter(gpu, list(cpu_counters(powercap)), loads, period_s)


def _handles(devices: Sequence[Any], nvml: Any) -> Iterator[tuple[Any, Any]]:
    """NVML's handles of torch's GPUs, as far as there are any."""
    if not devices:
        return
    try:
        if nvml is None:
            import pynvml as nvml
        nvml.nvmlInit()
    except Exception:  # no package, no driver, or one that does not answer
        return
    for device in devices:
        try:
            # By its id: CUDA_VISIBLE_DEVICES and CUDA's own order make numbers of them useless.
            handle = nvml.nvmlDeviceGetHandleByUUID(gpu_uuid(device))
        except Exception:
            continue
        if not _shared(nvml, handle):
            yield nvml, handle


def gpu_uuid(device: Any) -> bytes:
    """NVML's name of a torch GPU, e.g. b"GPU-2d1a...": the same whatever is visible."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()


def _shared(nvml: Any, handle: Any) -> bool:
    """Whether the GPU is cut into instances (MIG): its meters are those of all of them."""
    try:
        return nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
    except Exception:  # a GPU that knows no instances
        return False


def _joules(nvml: Any, handle: Any) -> Callable[[], float]:
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3  # mJ


def _load(nvml: Any, handle: Any) -> Callable[[], float]:
    return lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)


def cpu_counters(powercap: Path = POWERCAP) -> Iterator[Counter]:
    """The counters of all CPU packages; none when one of them cannot be read.

    AMD's stand below `intel-rapl` too. Left out: `intel-rapl-mmio`, the same package once more;
    `psys`, the mainboard with the packages in it; and zones within a package. Since Linux 5.10
    `energy_uj` is readable by root alone, unless the site allows it.
    """
    counters = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        try:
            if not re.fullmatch(r"intel-rapl:\d+", zone.name) or not _package(zone):
                continue
            wraps_at = int((zone / "max_energy_range_uj").read_text()) / 1e6
        except (OSError, ValueError):
            return
        counter = Counter(_microjoules(zone / "energy_uj"), wraps_at)
        counter.poll()
        if counter.last is None:
            return
        counters.append(counter)
    yield from counters


def _package(zone: Path) -> bool:
    return (zone / "name").read_text().startswith("package-")


def _microjoules(path: Path) -> Callable[[], float]:
    return lambda: int(path.read_text()) / 1e6
