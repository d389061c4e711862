#!/usr/bin/env python3
"""Compare epochs of training from a bucket with epochs from the same dataset on the disk.

    python scripts/benchmark_bucket.py EXPERIMENT [--rounds 3] [--latency 0.02]

EXPERIMENT describes a model, and a dataset that drumblender-dataset has made. It is put into a
bucket on this machine, which answers each request after the latency. Epochs take turns in one
process: from the pack on the disk, from the bucket with an empty cache, and from the bucket again.
Seconds are those of an epoch; those of the processor leave out the server, which is a process of
its own.
"""

import argparse
import http.server
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytorch_lightning as pl

from drumblender.commands.lightning import DrumblenderCLI
from drumblender.commands.train import resolve_files
from drumblender.data.bucket.addresses import place_of
from drumblender.data.sources.credentials import ACCESS_KEY, SECRET_KEY
from drumblender.data.streaming import put


def serve(root: Path, latency: float) -> None:
    """Serve a folder as buckets, for reading only, until the program is ended."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            time.sleep(latency)
            path = root / unquote(urlsplit(self.path).path).lstrip("/")
            whole = path.read_bytes if path.is_file() else None
            if whole is None:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                return self.end_headers()
            size = path.stat().st_size
            asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            begin = int(asked[1]) if asked else 0
            end = min(int(asked[2]) + 1, size) if asked and asked[2] else size
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(end - begin))
            self.send_header("ETag", f'"{size:x}-1"')
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
            self.end_headers()
            with path.open("rb") as file:
                file.seek(begin)
                self.wfile.write(file.read(end - begin))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


class Clock(pl.Callback):
    """Times epochs, and the first batch of each."""

    def on_fit_start(self, trainer, module):
        self.begin = time.perf_counter()

    def on_train_epoch_start(self, trainer, module):
        self.start = time.perf_counter(), time.process_time()

    def on_train_batch_start(self, trainer, module, batch, index):
        if index == 0:
            self.first = time.perf_counter() - self.begin

    def on_train_epoch_end(self, trainer, module):
        self.seconds = time.perf_counter() - self.start[0], time.process_time() - self.start[1]


def epoch(cli, data) -> "tuple[float, float, float]":
    """Train for an epoch: seconds, seconds of the processor, and seconds until the first batch."""
    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(cli.model, datamodule=data)
    return (*clock.seconds, clock.first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("experiment", type=Path, help="YAML of an experiment")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.02, help="of the bucket, in seconds")
    args, options = parser.parse_known_args()
    config = ["-c", str(args.experiment), *options]
    disk = DrumblenderCLI(resolve_files(config), run=False)
    target = disk.datamodule.target
    os.environ.setdefault(ACCESS_KEY, "any")
    os.environ.setdefault(SECRET_KEY, "any")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(target, place_of(f"file://{root}/bucket/drums"))
        command = [sys.executable, __file__, "--serve", str(root), str(args.latency)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        url = server.stdout.readline().strip()
        where = {"data_dir": "s3://bucket/drums", "url": url, "cache_dir": f"{root}/cache"}
        where = [f"--data.init_args.{name}={value}" for name, value in where.items()]
        bucket = DrumblenderCLI(resolve_files([*config, *where]), run=False)
        rows = {"disk": [], "bucket, nothing in the cache": [], "bucket, again": []}
        try:
            for _ in range(args.rounds):
                shutil.rmtree(root / "cache", ignore_errors=True)
                for name, cli in zip(rows, (disk, bucket, bucket)):
                    rows[name].append(epoch(disk, cli.datamodule))
        finally:
            server.kill()
    count = len(disk.datamodule.train_dataset)
    print(f"\n{count} sounds an epoch; medians of {args.rounds} rounds, latency {args.latency} s\n")
    print("| read from | s | s of the processor | s until the first batch | times the disk |")
    print("|---|---|---|---|---|")
    for name, rounds in rows.items():
        wall, processor, first = (statistics.median(column) for column in zip(*rounds))
        ratio = statistics.median(a[0] / b[0] for a, b in zip(rounds, rows["disk"]))
        print(f"| {name} | {wall:.1f} | {processor:.1f} | {first:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), float(sys.argv[3]))
    else:
        main()
