#!/usr/bin/env python3
"""Make a dataset in a bucket on several hosts, while hosts are killed and added.

    python scripts/hosts.py [--latency 0.02] [--faults 0.02] [--folder FOLDER]

The hosts are processes of this machine. Each has its own working, home and temporary folder, and an
address of its own in the range of the loopback. Between them is an S3 server (moto) that answers
late, and now and then with 503 or not to the end. The script

1. makes the dataset of the bundled one-shots on one host, without a cluster,
2. begins it on two hosts that Ray connects, and kills one of them with all its processes,
3. adds a third host, and kills the driver,
4. gives the same command again, and has the dataset verified on the cluster.

It prints what was read twice, whether all objects are the same bytes as in 1, and how much disk
each host needed. It needs the extra cluster, and moto.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple
from urllib.parse import unquote, urlsplit

REPOSITORY = Path(__file__).resolve().parent.parent
BUCKET, RAW = "drums", "recordings"
KEYS = {
    "CLOUDFLARE_ACCESS_KEY_ID": "an-access-key",
    "CLOUDFLARE_ACCESS_SECRET_KEY": "a-secret-key",
}


class Host:
    """A machine, as far as processes of this one can be one.

    Args:
        number: its number, from 1, which is in its address.
        folder: folder for the folders of all hosts.
    """

    def __init__(self, number: int, folder: Path):
        self.address = f"127.0.0.{number}"
        self.folder = folder / f"host-{number}"
        for name in ("home", "tmp", "work"):
            (self.folder / name).mkdir(parents=True)
        self.environment = {
            **os.environ,
            **KEYS,
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self.sessions: List[int] = []
        self.of_ray = ""
        self.most_disk = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def start(self, *command: str) -> subprocess.Popen:
        """Start a command on this host, in a session of its own."""
        process = subprocess.Popen(
            command,
            cwd=self.folder / "work",
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.sessions.append(process.pid)
        return process

    def join(self, head: Optional[str] = None, cores: int = 1) -> str:
        """Start Ray on this host; returns the address of the head."""
        if head is None:
            self.of_ray = tempfile.mkdtemp(dir="/tmp", prefix="ray-")  # names of sockets are short
        where = (
            ["--head", "--port=0", "--include-dashboard=false", f"--temp-dir={self.of_ray}"]
            if head is None
            else [f"--address={head}"]
        )
        process = self.start(
            *(sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start"),
            *where,
            *("--block", f"--num-cpus={cores}", f"--node-ip-address={self.address}"),
        )
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            match = re.search(r"--address='?([\d.]+:\d+)", line)
            if head is None and match:
                head = match[1]
            if "--block" in line and head is not None:
                break
        else:
            raise SystemExit("".join(said))
        threading.Thread(target=process.stdout.read, daemon=True).start()
        return head

    def kill(self) -> int:
        """Kill all processes of this host; returns their number."""
        count = 0
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                session = int((path / "stat").read_text().rpartition(")")[2].split()[3])
                if session in self.sessions:
                    os.kill(int(path.name), signal.SIGKILL)
                    count += 1
        if self.of_ray:
            shutil.rmtree(self.of_ray, ignore_errors=True)
        return count

    def seconds(self) -> float:
        """Return the processor time that the processes of this host have used and still live."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                status = path.read_text().rpartition(")")[2].split()
                if int(status[3]) in self.sessions:
                    ticks += sum(map(int, status[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _watch(self) -> None:
        """Note how much the temporary folder has held at most."""
        while self.folder.exists():
            size = 0
            for path in (self.folder / "tmp").rglob("*"):
                with contextlib.suppress(OSError):
                    size += path.stat().st_size if path.is_file() else 0
            self.most_disk = max(self.most_disk, size)
            time.sleep(0.2)


class Network:
    """A network between the hosts and a store, with latency and faults.

    Args:
        upstream: address of the store.
        latency: seconds before each answer.
        faults: share of requests that fail: half of them by 503, half by an end in the middle.

    Attributes:
        address: its address.
        reads: how often each object was read.
        failed: number of requests that failed.
    """

    def __init__(self, upstream: str, latency: float = 0.0, faults: float = 0.0):
        self.reads: Dict[str, int] = {}
        self.failed = 0
        chance = random.Random(0)
        lock = threading.Lock()
        host = urlsplit(upstream).netloc
        network = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Passes requests on."""

            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

            def handle(self) -> None:
                """Bear connections that end."""
                with contextlib.suppress(ConnectionError):
                    super().handle()

            def forward(self) -> None:
                """Pass one request on, or let it fail."""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                time.sleep(latency)
                with lock:
                    draw = chance.random() / faults if faults else 1.0
                    network.failed += draw < 1
                if draw < 0.5:
                    return self.answer(503, [("Content-Length", "0")], b"")
                connection = http.client.HTTPConnection(host, timeout=60)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                content = response.read()
                drop = ("transfer-encoding", "connection", "content-length")
                kept = [(k, v) for k, v in response.getheaders() if k.lower() not in drop]
                length = response.getheader("Content-Length") or str(len(content))
                if draw < 1 and self.command == "GET" and len(content) > 100:
                    content, self.close_connection = content[: len(content) // 2], True
                elif self.command == "GET":
                    with lock:
                        name = unquote(self.path.partition("?")[0])
                        network.reads[name] = network.reads.get(name, 0) + 1
                self.answer(response.status, [*kept, ("Content-Length", length)], content)

            def answer(self, status: int, headers: List[Tuple[str, str]], content: bytes) -> None:
                """Write an answer."""
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{server.server_address[1]}"


@contextlib.contextmanager
def store() -> Iterator[str]:
    """Start an S3 server, and give its address."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = (re.search(r"http://[\d.:]+", line) for line in process.stderr)
    address = next(match[0] for match in found if match)
    threading.Thread(target=process.stderr.read, daemon=True).start()
    try:
        yield address
    finally:
        process.terminate()
        process.wait()


def client_of(address: str) -> Any:
    """Return a client of the store that owes nothing to the package."""
    import boto3

    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys)
    client.create_bucket(Bucket=BUCKET)
    return client


def send(client: Any, folder: Path) -> int:
    """Put the recordings of a folder into the bucket; returns their number."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (".flac", ".wav")]
    for path in paths:
        key = f"{RAW}/{path.relative_to(folder).as_posix()}"
        client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
    return len(paths)


def objects(client: Any, prefix: str) -> Dict[str, bytes]:
    """Return the content of all objects below a prefix."""
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        for item in page.get("Contents", ()):
            body = client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            found[item["Key"][len(prefix) :]] = body
    return found


def configure(host: Host, url: str, out: str) -> str:
    """Write the configuration of a dataset; returns its name."""
    address = f"s3://{BUCKET}"
    arguments = {
        "data_dir": f"{address}/{out}",
        "data_dir_unprocessed": f"{address}/{RAW}",
        "url": url,
        "hop_length": 256,
    }
    content = {"class_path": "drumblender.data.ModalDataModule", "init_args": arguments}
    (host.folder / "work" / f"{out}.yaml").write_text(json.dumps(content))
    return f"{out}.yaml"


def dataset(host: Host, *arguments: str) -> subprocess.Popen:
    """Start drumblender-dataset on a host."""
    code = "import sys; from drumblender.commands.dataset import main; sys.exit(main())"
    return host.start(sys.executable, "-c", code, *arguments)


def finished(process: subprocess.Popen) -> str:
    """Wait for a command that has to succeed; returns what it said."""
    said = process.communicate()[0]
    if process.returncode:
        raise SystemExit(said)
    return said


def wait_for_blocks(client: Any, out: str, count: int) -> None:
    """Wait until so many blocks of a dataset are made."""
    while len([name for name in objects(client, f"{out}/made/")]) < count:
        time.sleep(0.3)


def read_of(network: Network) -> Dict[str, int]:
    """Return how often each recording was read to the end."""
    folder = f"/{BUCKET}/{RAW}/"
    sounds = (".wav", ".flac")
    return {
        name: count
        for name, count in network.reads.items()
        if name.startswith(folder) and name.endswith(sounds)
    }


def run(folder: Path, latency: float, faults: float) -> None:
    """Do what this script says, and print what came of it."""
    hosts = [Host(number, folder) for number in (1, 2, 3)]
    with store() as upstream:
        client = client_of(upstream)
        count = send(client, REPOSITORY / "audio" / "one-shots")
        network = Network(upstream, latency, faults)
        name = configure(hosts[0], upstream, "alone")
        finished(dataset(hosts[0], name, "--preprocess", "--block_size", "8", "--num_workers", "1"))
        alone = objects(client, "alone/")
        blocks = len([key for key in alone if key.startswith("made/")])
        print(f"One host: {count} recordings in {blocks} blocks.", flush=True)
        try:
            head = hosts[0].join()
            hosts[1].join(head)
            name = configure(hosts[0], network.address, "many")
            command = (name, "--preprocess", "--block_size", "8", "--cluster", head)
            driver = dataset(hosts[0], *command)
            wait_for_blocks(client, "many", 2)
            while not hosts[1].most_disk:  # until it has begun to work
                time.sleep(0.05)
            print(f"Killed host 2 ({hosts[1].kill()} processes) after 2 blocks.", flush=True)
            hosts[2].join(head)
            wait_for_blocks(client, "many", blocks // 2)
            os.killpg(driver.pid, signal.SIGKILL)
            driver.communicate()
            made = len(objects(client, "many/made/"))
            print(f"Added host 3, and killed the driver after {made} blocks.", flush=True)
            print(finished(dataset(hosts[0], *command, "--verify")).splitlines()[-2])
        finally:
            for host in hosts:
                host.kill()
        many = objects(client, "many/")
        reads = read_of(network)
        twice = sum(times > 1 for times in reads.values())
        print(f"The same bytes in all {len(many)} objects: {many == alone}.")
        print(
            f"{network.failed} requests failed; {twice} of {len(reads)} recordings were read again."
        )
        for number, host in enumerate(hosts, 1):
            print(f"Host {number} held at most {host.most_disk / 1e6:.1f} MB of temporary files.")
    if many != alone or len(reads) != count:
        raise SystemExit("Something is missing, or not the same.")


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before an answer")
    parser.add_argument("--faults", type=float, default=0.02, help="share of requests that fail")
    parser.add_argument("--folder", type=Path, help="folder for the hosts (default: temporary)")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=args.folder, prefix="hosts-"))
    try:
        run(folder, args.latency, args.faults)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
