"""Meters: what is read is right, what cannot be read is None, and nothing ends the training."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ablation import meters
from ablation.meters import NOTHING, READINGS, Counter, Meter, open_meter

RANGE_UJ = 262_143_328_850  # of a real package
CPU = SimpleNamespace(type="cpu")
SLOW = 3600.0  # no sample of the thread falls into the test


def gpu(uuid: str = "aaaa") -> SimpleNamespace:
    return SimpleNamespace(type="cuda", uuid=uuid)


@pytest.fixture(autouse=True)
def uuids(monkeypatch):
    monkeypatch.setattr(meters, "gpu_uuid", lambda device: f"GPU-{device.uuid}".encode())


class FakeError(Exception):
    """NVMLError."""


class FakeNVML:
    """The part of pynvml that is used, with its names and units."""

    NVML_DEVICE_MIG_ENABLE = 0x1
    NVMLError = FakeError

    def __init__(self, **gpus: dict) -> None:
        self.gpus = {f"GPU-{uuid}".encode(): state for uuid, state in gpus.items()}
        self.broken: set[str] = set()

    def _fail(self, name: str) -> None:
        if name in self.broken:
            raise FakeError(name)

    def nvmlInit(self) -> None:
        self._fail("nvmlInit")

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> dict:
        if uuid not in self.gpus:
            raise FakeError("Not Found")
        return self.gpus[uuid]

    def nvmlDeviceGetMigMode(self, handle: dict) -> list[int]:
        if "mig" not in handle:
            raise FakeError("Not Supported")
        return [handle["mig"], handle["mig"]]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: dict) -> int:
        self._fail("energy")
        return handle["mj"]

    def nvmlDeviceGetUtilizationRates(self, handle: dict) -> SimpleNamespace:
        self._fail("load")
        return SimpleNamespace(gpu=handle["load"], memory=3)


def powercap(folder: Path, *energies_uj: int) -> Path:
    """/sys/class/powercap of a machine with so many packages, with all that else lies there."""
    for number, energy in enumerate(energies_uj):
        zone = f"intel-rapl:{number}"
        _zone(folder / zone, f"package-{number}", energy)
        _zone(folder / f"{zone}:0", "core", 5)
        _zone(folder / f"{zone}:1", "dram", 7)
    _zone(folder / f"intel-rapl:{len(energies_uj)}", "psys", 11)
    _zone(folder / "intel-rapl-mmio:0", "package-0", 13)
    (folder / "intel-rapl").mkdir()
    (folder / "intel-rapl/enabled").write_text("1\n")
    return folder


def _zone(folder: Path, name: str, energy_uj: int) -> None:
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")


def spend(folder: Path, energy_uj: int, package: int = 0) -> None:
    """Renamed into place: the thread never reads a file that is half written."""
    path = folder / f"intel-rapl:{package}/energy_uj"
    path.with_name("new").write_text(f"{energy_uj}\n")
    path.with_name("new").rename(path)


def opened(*devices: object, **options: object) -> Meter:
    return open_meter(*devices, **{"period_s": SLOW, **options})


def test_no_meter_reads_none_and_starts_no_thread(tmp_path):
    meter = opened(CPU, powercap=tmp_path / "absent")
    meter.start()
    assert meter.epoch() == NOTHING and meter.source is None and meter._thread is None
    assert set(NOTHING) == {*READINGS, "energy_source"}


def test_packages_are_added_up_and_nothing_else_is(tmp_path):
    folder = powercap(tmp_path, 1_000_000, 50_000_000)
    meter = opened(CPU, powercap=folder)
    meter.start()
    spend(folder, 3_500_000), spend(folder, 60_000_000, 1)
    for zone in ("intel-rapl:0:0", "intel-rapl:2", "intel-rapl-mmio:0"):
        (folder / zone / "energy_uj").write_text("999000000\n")
    found = meter.epoch()
    assert found["energy_j"] == found["cpu_energy_j"] == pytest.approx(12.5)
    assert found["energy_source"] == meter.source == "rapl"
    assert [found[k] for k in READINGS if k.startswith("gpu")] == [None] * 3
    assert meter.epoch()["energy_j"] == 0  # since the last call
    meter.close()


def test_a_counter_that_wraps_goes_on(tmp_path):
    folder = powercap(tmp_path, RANGE_UJ - 2_000_000)
    meter = opened(CPU, powercap=folder)
    meter.start()
    spend(folder, 1_000_000)
    assert meter.epoch()["energy_j"] == pytest.approx(3.0)


def test_the_thread_sees_every_wrap(tmp_path):
    """Two wraps within one epoch, which its ends alone would not tell from none."""
    folder = powercap(tmp_path, 0)
    meter = open_meter(CPU, powercap=folder, period_s=0.001)
    meter.start()
    for energy in (RANGE_UJ // 2, 0) * 2:
        spend(folder, energy)
        wanted, counter = energy / 1e6, meter.cpu[0]
        for _ in range(10_000):
            if counter.last == wanted:
                break
            time.sleep(0.001)
    found = meter.epoch()["energy_j"]
    meter.close()
    assert found == pytest.approx(2 * RANGE_UJ / 1e6)
    assert not meter._thread.is_alive()


@pytest.mark.parametrize("damage", ["unlink", "text"])
def test_what_is_unreadable_at_first_is_no_meter(tmp_path, damage):
    folder = powercap(tmp_path, 1, 1)
    file = folder / "intel-rapl:1/energy_uj"
    file.unlink() if damage == "unlink" else file.write_text("")
    meter = opened(CPU, powercap=folder)
    meter.start()
    assert meter.epoch() == NOTHING  # one package of two would look like the machine's energy


def test_what_becomes_unreadable_is_none_until_it_is_read_at_both_ends(tmp_path):
    folder = powercap(tmp_path, 0)
    meter = opened(CPU, powercap=folder)
    meter.start()
    file = folder / "intel-rapl:0/energy_uj"
    file.unlink()
    assert meter.epoch()["energy_j"] is None
    file.write_text("5000000\n")
    assert meter.epoch()["energy_j"] is None  # its beginning is not known
    file.write_text("6000000\n")
    found = meter.epoch()
    assert found["energy_j"] == pytest.approx(1.0) and found["energy_source"] == "rapl"


def test_a_gpu_is_found_by_its_id_and_read_in_joules(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    nvml = FakeNVML(other={"mj": 0, "load": 0}, aaaa={"mj": 5_000, "load": 80})
    meter = opened(gpu(), powercap=tmp_path, nvml=nvml)
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(meters.time, "monotonic", lambda: next(clock))
    meter.start()
    nvml.gpus[b"GPU-aaaa"]["mj"] = 1_205_000
    found = meter.epoch()
    assert found == {
        "energy_j": 1200.0, "gpu_energy_j": 1200.0, "cpu_energy_j": None,
        "gpu_load_percent": 80.0, "gpu_power_w": 120.0, "energy_source": "nvml",
    }  # fmt: skip


def test_energy_is_the_sum_of_what_the_source_names(tmp_path):
    nvml = FakeNVML(aaaa={"mj": 0, "load": 0}, bbbb={"mj": 0, "load": 50})
    folder = powercap(tmp_path, 0)
    meter = opened(gpu(), gpu("bbbb"), powercap=folder, nvml=nvml)
    meter.start()
    nvml.gpus[b"GPU-aaaa"]["mj"], nvml.gpus[b"GPU-bbbb"]["mj"] = 1000, 2000
    spend(folder, 500_000)
    found = meter.epoch()
    assert (found["gpu_energy_j"], found["cpu_energy_j"], found["energy_j"]) == (3.0, 0.5, 3.5)
    assert found["gpu_load_percent"] == 25.0 and found["energy_source"] == "nvml+rapl"
    nvml.broken.add("energy")
    spend(folder, 900_000)
    found = meter.epoch()
    assert found["energy_j"] is found["gpu_energy_j"] is found["gpu_power_w"] is None
    assert found["cpu_energy_j"] == pytest.approx(0.4) and found["gpu_load_percent"] == 25.0


def test_load_is_the_mean_of_the_samples_of_one_epoch():
    values = iter([10.0, 20.0, 60.0, 99.0])
    meter = Meter(loads=[lambda: next(values)], period_s=SLOW)
    meter.start()
    meter._sample(), meter._sample()
    assert meter.epoch()["gpu_load_percent"] == 30.0
    assert meter.epoch()["gpu_load_percent"] == 99.0
    assert meter.epoch()["gpu_load_percent"] is None  # the driver raises: no sample


def test_a_driver_that_fails_in_the_middle(tmp_path):
    nvml = FakeNVML(aaaa={"mj": 0, "load": 1})
    meter = open_meter(gpu(), powercap=tmp_path, nvml=nvml, period_s=0.001)
    meter.start()
    nvml.broken |= {"energy", "load"}
    meter.epoch()
    found = meter.epoch()
    assert all(found[key] is None for key in READINGS) and found["energy_source"] == "nvml"
    nvml.broken.clear()
    meter.epoch()
    assert meter.epoch()["energy_j"] == 0 and meter._thread.is_alive()
    meter.close()


def test_a_counter_that_falls_without_wrapping_is_no_energy():
    values = iter([10.0, 4.0, 5.0])
    counter = Counter(lambda: next(values))
    counter.poll()
    counter.take()
    assert counter.take() == 1.0
    values = iter([10.0, 4.0, 4.5])
    counter = Counter(lambda: next(values))
    counter.take()
    assert counter.take() is None


@pytest.mark.parametrize(
    ("broken", "state"),
    [
        ("nvmlInit", {"mj": 0, "load": 1}),
        ("", {"mj": 0, "load": 1, "mig": 1}),
        ("", None),
    ],
    ids=["no driver", "cut into instances", "unknown to NVML"],
)
def test_gpus_without_a_meter(tmp_path, broken, state):
    nvml = FakeNVML(**({"aaaa": state} if state else {}))
    nvml.broken.add(broken)
    meter = opened(gpu(), powercap=tmp_path, nvml=nvml)
    meter.start()
    assert meter.epoch() == NOTHING


def test_a_gpu_that_counts_no_energy_still_has_a_load(tmp_path):
    nvml = FakeNVML(aaaa={"mj": 0, "load": 42, "mig": 0})
    nvml.broken.add("energy")
    meter = opened(gpu(), powercap=tmp_path, nvml=nvml)
    meter.start()
    assert meter.epoch() == {**NOTHING, "gpu_load_percent": 42.0}
    meter.close()


def test_a_part_of_the_gpus_is_no_meter(tmp_path):
    nvml = FakeNVML(aaaa={"mj": 0, "load": 1})
    meter = opened(gpu(), gpu("bbbb"), powercap=tmp_path, nvml=nvml)
    meter.start()
    assert meter.epoch() == NOTHING


def test_the_cpu_alone_never_asks_for_nvml(tmp_path):
    assert opened(CPU, powercap=tmp_path, nvml=FakeNVML(aaaa={"mj": 0, "load": 1})).source is None


def test_without_the_package_there_is_no_meter(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)  # import raises ImportError
    assert opened(gpu(), powercap=tmp_path).source is None


def test_an_epoch_begun_in_an_earlier_attempt_has_no_reading(tmp_path):
    folder = powercap(tmp_path, 0)
    meter = opened(CPU, powercap=folder)
    meter.start(whole=False)
    spend(folder, 1_000_000)
    assert meter.epoch() == {**NOTHING, "energy_source": "rapl"}
    spend(folder, 3_000_000)
    assert meter.epoch()["energy_j"] == 2.0
