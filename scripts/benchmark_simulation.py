#!/usr/bin/env python3
"""Simulate how long large libraries take on many machines, what they cost, and what limits them.

    python scripts/benchmark_simulation.py [--core_ms 125] [--cores 8] [--price 0.34]

The rates are those that scripts/benchmark_large.py and scripts/benchmark_engines.py measure. Prices
and limits of the store are list prices of S3, and of a machine of eight virtual cores on demand.
Workers take blocks one after the other. A block waits for the driver, which hands blocks over one
at a time, for the store, which answers so many requests a second in all, and for the network of its
machine. Now and then a machine is taken away, loses the blocks it works on, and comes back after
five minutes.
"""

import argparse
import heapq
import random
from dataclasses import dataclass
from typing import Dict, List


@dataclass(frozen=True)
class Rates:
    """What things take.

    Attributes:
        core_ms: of a core for a sound.
        list_us: of a core for a recording that is listed.
        gather_us: of the driver for a sound when the dataset is made whole.
        dispatch_ms: of the driver for a block.
        read_kb: of a recording.
        write_kb: of a sound in a pack.
        block: sounds in a block.
        gets: requests a second that the store answers, for reading.
        puts: the same for writing.
        page_s: of a request that lists a thousand names.
        network_mb: bytes a second of a machine, in MB.
        lost: machines that are taken away, for each and hour.
    """

    core_ms: float = 125.0
    list_us: float = 350.0
    gather_us: float = 30.0
    dispatch_ms: float = 3.0
    read_kb: float = 300.0
    write_kb: float = 673.0
    block: int = 69
    gets: float = 5500.0
    puts: float = 3500.0
    page_s: float = 0.1
    network_mb: float = 1000.0
    lost: float = 0.05


@dataclass(frozen=True)
class Prices:
    """What things cost, in dollars.

    Attributes:
        hour: of a machine.
        gets: of a million requests that read.
        puts: of a million requests that write or list.
        month: of a terabyte of the dataset for a month.
    """

    hour: float = 0.34
    gets: float = 0.4
    puts: float = 5.0
    month: float = 23.0


@dataclass
class Outcome:
    """What a simulation came to.

    Attributes:
        hours: from the command to the last manifest.
        listing: hours of that until all is listed.
        gathering: hours of that in which the dataset is made whole.
        again: blocks that were made again, because a machine was lost.
        busy: what was how much of the time in use, 0 to 1.
    """

    hours: float
    listing: float
    gathering: float
    again: int
    busy: Dict[str, float]


def simulate(sounds: int, nodes: int, cores: int, rates: Rates, seed: int = 0) -> Outcome:
    """Simulate one run."""
    chance = random.Random(seed)
    workers = nodes * cores
    folders = min(workers, max(1, sounds // 500))  # that are listed at the same time
    listing = sounds / folders * (rates.list_us * 1e-6 + rates.page_s / 1000)
    blocks = -(-sounds // rates.block)
    parts = 3  # that are written: the list of a block, its pack and its manifest
    listing = max(listing, blocks / min(rates.puts, 16 / 0.05))
    driver = reads = writes = listing
    networks = [listing] * nodes
    losses = sorted(
        (time, node)
        for node in range(nodes)
        for time in _losses(chance, rates.lost, 3 * sounds * rates.core_ms / 3.6e6 / workers + 1)
    )
    gone = {node: [time for time, where in losses if where == node] for node in range(nodes)}
    free = [(listing, worker) for worker in range(workers)]
    heapq.heapify(free)
    left, again, end, computed = blocks, 0, listing, 0.0
    while left:
        start, worker = heapq.heappop(free)
        node = worker % nodes
        driver = max(driver, start) + rates.dispatch_ms / 1000
        start = max(start, driver)
        reads = max(reads, start) + (rates.block + 1) / rates.gets
        size = rates.block * (rates.read_kb + rates.write_kb) / 1000
        networks[node] = max(networks[node], start) + size / rates.network_mb
        compute = rates.block * rates.core_ms / 1000 * chance.gauss(1.0, 0.1)
        done = max(start + max(compute, 0.1), reads, networks[node]) + 0.2
        writes = max(writes, done) + parts / rates.puts
        done = max(done, writes - parts / rates.puts + 0.001)
        while gone[node] and gone[node][0] < start:
            gone[node].pop(0)
        if gone[node] and gone[node][0] < done:
            again += 1
            heapq.heappush(free, (gone[node][0] + 300.0, worker))
            continue
        computed += compute
        left -= 1
        end = max(end, done)
        heapq.heappush(free, (done, worker))
    gathering = max(sounds * rates.gather_us * 1e-6, blocks / min(rates.gets, 16 / 0.03))
    total = end + gathering
    span = max(end - listing, 1e-9)
    busy = {
        "cores": computed / workers / span,
        "reading requests": (blocks * (rates.block + 1)) / rates.gets / span,
        "writing requests": blocks * parts / rates.puts / span,
        "network": blocks * rates.block * (rates.read_kb + rates.write_kb) / 1000
        / rates.network_mb / nodes / span,
        "driver": blocks * rates.dispatch_ms / 1000 / span,
    }  # fmt: skip
    return Outcome(total / 3600, listing / 3600, gathering / 3600, again, busy)


def _losses(chance: random.Random, rate: float, hours: float) -> List[float]:
    """Return the seconds at which a machine is taken away."""
    times, time = [], 0.0
    while rate > 0:
        time += chance.expovariate(rate)
        if time > hours:
            break
        times.append(3600 * time)
    return times


def table(rates: Rates, prices: Prices, cores: int) -> str:
    """Return a table in Markdown."""
    head = "sounds, machines, hours, of which listing and last step, limited by, machines ($), "
    head += "requests ($), dataset (TB), a month of it ($)"
    names = head.split(", ")
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for sounds in (100_000, 1_000_000, 10_000_000):
        for nodes in (1, 10, 100):
            found = simulate(sounds, nodes, cores, rates)
            limit = max(found.busy, key=found.busy.__getitem__)
            serial = found.listing + found.gathering
            if serial > found.hours / 2:
                limit = "listing and last step"
            blocks = sounds / rates.block
            gets = (sounds + 3 * blocks) / 1e6 * prices.gets
            puts = (3 * blocks + sounds / 1000) / 1e6 * prices.puts
            size = sounds * rates.write_kb / 1e9
            lines.append(
                f"| {sounds:,} | {nodes} | {found.hours:.2f} | {serial:.2f} | {limit} | "
                f"{found.hours * nodes * prices.hour:.2f} | {gets + puts:.2f} | {size:.2f} | "
                f"{size * prices.month:.0f} |".replace(",", " ")
            )
    return "\n".join(lines)


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--core_ms", type=float, default=Rates.core_ms, help="of a core, a sound")
    parser.add_argument("--cores", type=int, default=8, help="cores of a machine")
    parser.add_argument("--price", type=float, default=Prices.hour, help="dollars of its hour")
    parser.add_argument("--dispatch_ms", type=float, default=Rates.dispatch_ms, help="of a block")
    parser.add_argument("--list_us", type=float, default=Rates.list_us, help="of a recording")
    parser.add_argument("--gather_us", type=float, default=Rates.gather_us, help="of a sound")
    args = parser.parse_args()
    rates = Rates(
        core_ms=args.core_ms,
        dispatch_ms=args.dispatch_ms,
        list_us=args.list_us,
        gather_us=args.gather_us,
    )
    print(table(rates, Prices(hour=args.price), args.cores))


if __name__ == "__main__":
    main()
