"""Run by test_command.py: `itkm doctor` on three simulated nodes, one of which has a GPU that only Ray knows of."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import ray
from ray.cluster_utils import Cluster

from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.schema import REJECTED_SCHEMA
from itkm_core.corpus.writer import ACCEPTED_SCHEMA, finish_corpus, write_shard
from pipelines.config import load_config
from pipelines.console import Console
from pipelines.doctor.ask import ask, cluster_nodes
from pipelines.doctor.command import DoctorRequest, doctor
from pipelines.doctor.judge_cluster import judge_out
from pipelines.doctor.probe import read_marks, write_mark

MEMORY = 100 * 2**20


def made_corpus(root: Path) -> None:
    """Pictures of one byte: the doctor looks at none."""
    num = 40
    rows = pa.table(
        {
            "uri": [f"{i:03d}.png" for i in range(num)],
            "scenario": ["uvi"] * num,
            "group": [i % 2 for i in range(num)],
            "camera": [0] * num,
            "tracklet": [-1] * num,
            "frame": [-1] * num,
            "split": ["train"] * num,
            "person": [-1] * num,
            "clothes": [-1] * num,
            "height": [64] * num,
            "width": [32] * num,
            "num_bytes": [1] * num,
            "digest": [image_digest(b"x")] * num,
        },
        schema=ACCEPTED_SCHEMA,
    )
    shards = [(0, 20), (20, 40)]
    for shard, (start, stop) in enumerate(shards):
        write_shard(str(root), shard, start, rows.slice(start, stop - start), [b"x"] * 20)
    finish_corpus(str(root), rows, shards, REJECTED_SCHEMA.empty_table())


def stuck(seconds: float) -> str:
    time.sleep(seconds)
    return "answered"


def main(base: Path) -> None:
    made_corpus(base / "corpus")
    own = {"object_store_memory": MEMORY, "include_log_monitor": False}  # a process less
    head = {"num_cpus": 0, "include_dashboard": False, **own}
    cluster = Cluster(True, head_node_args=head)
    for gpus in (0, 1):
        cluster.add_node(num_cpus=1, num_gpus=gpus, **own)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    pool = ThreadPoolExecutor(1)
    try:
        nodes = cluster_nodes()
        (alone,) = [node for node in nodes if node.gpus]
        # It takes its time to find out, which is time for everything else.
        begun = time.monotonic()
        late = pool.submit(ask, nodes, stuck, lambda node: (600.0 if node is alone else 0.0,), 40)
        request = DoctorRequest(
            load_config("tiny"), str(base / "corpus"), str(base / "runs" / "mine"), 240
        )
        failed = doctor(request, Console(width=300, color_system=None))
        print("failed:", failed)
        print("left behind:", [str(path) for path in (base / "runs").rglob("*")])

        # One of the nodes has another folder under the name.
        places = {node.id: str(base / ("own" if node is alone else "shared")) for node in nodes}
        ids = list(places)
        wrote = ask(nodes, write_mark, lambda node: (places[node.id], node.id), 240)
        read = ask(nodes, read_marks, lambda node: (places[node.id], ids), 240)
        names = {node.id: "alone" if node is alone else "other" + node.id for node in nodes}
        assert not any("error" in found for found in read.of.values())
        views = {
            names[one]: [names[other] for other in found["seen"]] for one, found in read.of.items()
        }
        assert not wrote.silent
        assert np.all([not found.get("error") for found in wrote.of.values()])
        line = judge_out("OUT", {}, views)
        print("apart:", line.verdict, "alone read what alone wrote" in line.seen)

        answers = late.result()
        assert set(answers.of) == {node.id for node in nodes if node is not alone}
        print("silent:", answers.silent == {alone.id: "no answer within 40 s"})
        print("in time:", time.monotonic() - begun < 200)
    finally:
        pool.shutdown()
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
