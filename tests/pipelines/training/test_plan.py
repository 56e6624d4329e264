"""How many training workers, and what each asks of its machine."""

from __future__ import annotations

import pytest

from pipelines.config import make_config
from pipelines.training.jobs import plan_trainers

LAPTOP = [{"CPU": 8.0}]
GANG = [{"CPU": 96.0, "GPU": 8.0}, {"CPU": 96.0, "GPU": 8.0}]
CASES = [
    # machines, overrides, workers, CPUs and GPUs of each
    (LAPTOP, [], 1, 8, 0),
    (LAPTOP, ["compute.num_workers=2"], 2, 4, 0),
    ([{"CPU": 2.0}], ["compute.num_workers=4"], 4, 0.5, 0),
    (GANG, [], 16, 12, 1),
    # A machine without GPUs came: its CPUs are no place for a worker.
    ([*GANG, {"CPU": 16.0}], [], 16, 12, 1),
    ([{"CPU": 0.0, "driver": 1.0}, *GANG], [], 16, 12, 1),
    # One worker is on one machine, the largest.
    ([{"CPU": 4.0}, {"CPU": 16.0}, {"CPU": 2.0}], [], 1, 16, 0),
    ([{"CPU": 4.0}, {"CPU": 4.0}, {"CPU": 4.0}], ["compute.num_workers=2"], 2, 4, 0),
    ([{"CPU": 5.0}, {"CPU": 3.0}], ["compute.num_workers=2"], 2, 3, 0),
    ([{"CPU": 10.0, "GPU": 2.0}, {"CPU": 4.0, "GPU": 2.0}], [], 4, 2, 1),
    ([{"CPU": 8.0, "GPU": 1.0}], ["compute.gpus_per_worker=0.5"], 2, 4, 0.5),
    ([{"CPU": 8.0, "GPU": 1.0}], ["compute.gpus_per_worker=0"], 1, 8, 0),
    ([{"CPU": 40.0, "GPU": 1.0}], ["compute.gpus_per_worker=0.2"], 5, 8, 0.2),
    ([{"CPU": 40.0, "GPU": 1.0}], ["compute.gpus_per_worker=0.1"], 10, 4, 0.1),
]


@pytest.mark.parametrize(("machines", "overrides", "workers", "cpus", "gpus"), CASES)
def test_workers_fit_the_machines(machines, overrides, workers, cpus, gpus):
    total = {name: sum(machine.get(name, 0.0) for machine in machines) for name in ("CPU", "GPU")}
    found = plan_trainers(make_config({}, overrides).compute, total, machines)
    assert (found.number, found.cpus, found.gpus) == (workers, cpus, gpus)
    assert found.threads == max(1, int(cpus))


def test_workers_that_no_machine_has_room_for_wait_for_an_autoscaler():
    config = make_config({}, ["compute.num_workers=8", "compute.gpus_per_worker=1"])
    found = plan_trainers(config.compute, {"CPU": 2.0}, [{"CPU": 2.0}])
    assert (found.number, found.cpus, found.gpus) == (8, 0.25, 1.0)
