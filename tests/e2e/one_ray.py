"""Run by test_s3.py: commands of `itkm`, one after the other, on one small Ray whose training loses a worker once.

    python one_ray.py '[["ingest", ...], ["run", ...], ...]' STEP MARK

STEP is the train step whose worker ends itself after a checkpoint, unless the file MARK says that one has done so. The
last line says in JSON which of Ray's logs hold the values of the variables named AWS_.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

from cut_off import after_a_checkpoint
from ray.cluster_utils import Cluster

from pipelines import train
from pipelines.cli import app
from pipelines.storage import Place


def end_once(mark: str) -> None:
    if not os.path.exists(mark):
        Path(mark).touch()
        os._exit(1)


def main(commands: list[list[str]], step: str, mark: str) -> None:
    train.train_loop = after_a_checkpoint(train.train_loop, Place.at(step), lambda: end_once(mark))
    node = {"num_cpus": 2, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(True, head_node_args=node)
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        for arguments in commands:
            print("$ itkm", *arguments, flush=True)
            app(args=arguments, standalone_mode=False)
        logs = Path(cluster.head_node.get_logs_dir_path())
        secrets = [value.encode() for name, value in os.environ.items() if name in SECRETS]
        found = [
            str(path)
            for path in logs.rglob("*")
            if path.is_file() and any(secret in path.read_bytes() for secret in secrets)
        ]
        cluster.shutdown()
        print(json.dumps({"secrets": len(secrets), "logs": found}), flush=True)
    except BaseException:  # noqa: BLE001 - the last stop of this process
        traceback.print_exc()
        os._exit(
            1
        )  # not by way of threads, which may wait for Ray for ever; Ray's processes end with this one


SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3])
