"""People an hour on a node and on a cluster, simulated: ``python -m benchmarks.scale.simulate``.

Every person is a task of its own. A task waits for the scheduler, which starts so many a second,
and for a free place on a node: so many processors and so much memory as tasks ask for. It takes as
long as one alone was measured to take, longer or shorter by chance, and longer the fuller its node
is, for processors of a node share its memory's bandwidth. It reads and writes so many bytes and
makes so many files on the file system that all nodes share; where these are more than that gives,
everything takes longer. Nothing else is modelled: no queue of other users, no failed node.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from dataclasses import dataclass

HOUR = 3600.0


@dataclass(frozen=True)
class Site:
    """A cluster: nodes, the shared file system, and the scheduler.

    Attributes
    ----------
    nodes, cores, mem_gb
        Nodes, and the processors and memory of each.
    mb_s, files_s
        What the shared file system moves, and how many files it makes, a second.
    starts_s
        Tasks that the scheduler starts a second.
    full_slowdown
        How much longer a task takes on a full node than alone.
    """

    nodes: int
    cores: int = 64
    mem_gb: float = 256.0
    mb_s: float = 5000.0
    files_s: float = 5000.0
    starts_s: float = 10.0
    full_slowdown: float = 1.3


@dataclass(frozen=True)
class Task:
    """What a person costs: seconds alone on two processors, memory asked for, shared files."""

    name: str
    seconds: float
    mem_gb: float
    read_mb: float
    written_mb: float
    files: int
    cores: int = 2
    start_s: float = 5.0
    spread: float = 0.15


@dataclass(frozen=True)
class Outcome:
    """What a cluster made of it; ``use`` is how much of each resource was used, 1 being all."""

    people_an_hour: float
    at_once: int
    use: dict[str, float]

    @property
    def limit(self) -> str:
        """The resource of which most was used."""
        return max(self.use, key=lambda name: self.use[name])


def simulate(site: Site, task: Task, people: int, seed: int = 1) -> Outcome:
    """Send people to a cluster and see how long all take.

    Parameters
    ----------
    site, task
        The cluster, and what a person costs.
    people
        How many.
    seed
        Of what is left to chance.
    """
    chance = random.Random(seed)
    by_core, by_memory = site.cores // task.cores, int(site.mem_gb // task.mem_gb)
    places = site.nodes * min(by_core, by_memory)
    full = places * task.cores / (site.nodes * site.cores)
    slower = 1 + (site.full_slowdown - 1) * full
    free = [0.0] * places
    heapq.heapify(free)
    end = busy = 0.0
    for number in range(people):
        begin = max(heapq.heappop(free), number / site.starts_s)
        length = task.start_s + task.seconds * slower * chance.lognormvariate(0, task.spread)
        busy += length
        end = max(end, begin + length)
        heapq.heappush(free, begin + length)
    megabytes = people * (task.read_mb + task.written_mb)
    # what the file system cannot give in the time makes all of it longer
    end = max(end, megabytes / site.mb_s, people * task.files / site.files_s)
    share = busy / (places * end)
    use = {
        "processors": share * places * task.cores / (site.nodes * site.cores),
        "memory": share * places * task.mem_gb / (site.nodes * site.mem_gb),
        "file system, bytes": megabytes / end / site.mb_s,
        "file system, files": people * task.files / end / site.files_s,
        "scheduler": people / end / site.starts_s,
    }
    return Outcome(people / end * HOUR, places, use)


def main() -> int:
    """Print people an hour for a node and a hundred, from raw images and from masks."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale.simulate",
        description="People an hour on a cluster, from what one person was measured to take.",
    )
    for name, default, what in (
        ("raw-s", 124.0, "seconds of a person from raw images, two processors"),
        ("raw-gb", 4.0, "memory that such a task asks for"),
        ("given-s", 57.0, "seconds of a person from given masks and warps, two processors"),
        ("given-gb", 4.0, "memory that such a task asks for"),
    ):
        parser.add_argument(f"--{name}", type=float, default=default, help=what)
    parser.add_argument("--people", type=int, default=10_000)
    chosen = parser.parse_args()
    tasks = (
        Task("raw T1w and FLAIR", chosen.raw_s, chosen.raw_gb, 38, 75, 75),
        Task("masks, warps and ten maps", chosen.given_s, chosen.given_gb, 93, 62, 91),
    )
    print("| nodes | from | at once | people an hour | all of them | what limits | processors | "
          "memory | file system (bytes, files) | scheduler |")  # fmt: skip
    print(f"| ---: | --- | ---: | ---: | ---: | --- |{' ---: |' * 4}")
    for nodes in (1, 100):
        for task in tasks:
            found = simulate(Site(nodes), task, chosen.people)
            shares = [f"{share:.0%}" for share in found.use.values()]
            shares[2:4] = [", ".join(shares[2:4])]
            hours = chosen.people / found.people_an_hour
            print(f"| {nodes} | {task.name} | {found.at_once} | {found.people_an_hour:,.0f} | "
                  f"{hours:.1f} h | {found.limit} | {' | '.join(shares)} |")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
