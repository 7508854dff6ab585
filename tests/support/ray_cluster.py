"""A Ray cluster of several nodes on this machine, as a program: ``python ray_cluster.py ENVIRONMENTS``.

ENVIRONMENTS is JSON: for each node, what it has in its environment. Its address is printed, and it ends when
stdin does. It is run by the Python that has Ray, and imports nothing of the tests.
"""

import json
import os
import sys


def main() -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for environment in json.loads(sys.argv[1]):
        os.environ.update(environment)
        cluster.add_node(num_cpus=1, object_store_memory=80 << 20, include_dashboard=False)
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
