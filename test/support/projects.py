"""Small libraries of real sound files, configurations that make datasets of them, and a store."""

import json
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
import yaml
from proxy import proxy_to

from drumblender.data.sources import credentials, transfer
from drumblender.data.sources.store import Store

RATE = 8000
NUM_SAMPLES = 4000
BUCKET = "drums"
ACCESS, SECRET = "an-access-key", "a-secret-key"


def decaying_sine(frequency, seconds=0.5, rate=RATE, channels=1, silence=0.0):
    time = np.arange(int(seconds * rate)) / rate
    sound = 0.5 * np.sin(2 * np.pi * frequency * time) * np.exp(-8 * time)
    sound = np.concatenate([np.zeros(int(silence * rate)), sound])
    return np.stack([sound * 0.9**channel for channel in range(channels)], 1)


@pytest.fixture(scope="session")
def sound():
    return decaying_sine


@pytest.fixture(scope="session")
def write_sound():
    def write(path, frequency=440.0, rate=RATE, subtype="PCM_16", **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, decaying_sine(frequency, rate=rate, **options), rate, subtype)
        return path

    return write


@pytest.fixture
def project(tmp_path, monkeypatch, write_sound):
    """A working directory with a raw folder ``raw`` and a configuration ``data.yaml``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOUDFLARE_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("CLOUDFLARE_ACCESS_SECRET_KEY", raising=False)
    return Project(tmp_path, write_sound)


class Project:
    def __init__(self, folder, write_sound):
        self.folder = folder
        self.write_sound = write_sound
        self.data_dir = folder / "dataset" / "drums"
        self.config = folder / "data.yaml"
        self.configure()

    def configure(self, class_path="drumblender.data.ModalDataModule", **init_args):
        """Write the configuration; None removes a key."""
        args = {
            "batch_size": 2,
            "num_workers": 0,
            "meta_file": "meta.json",
            "data_dir": "dataset/drums",
            "data_dir_unprocessed": "raw",
            "sample_rate": RATE,
            "num_samples": NUM_SAMPLES,
            "dataset_kwargs": {"seed": 1},
        }
        if class_path.endswith("ModalDataModule"):
            args.update(hop_length=100, fmin=50, n_bins=48, bins_per_octave=12, num_modes=8)
        args.update(init_args)
        args = {key: value for key, value in args.items() if value is not None}
        content = {"class_path": class_path, "init_args": args}
        self.config.write_text(yaml.safe_dump(content))
        return self

    def fill(self, packs=2, sounds=3):
        """Put ``sounds`` recordings in each of ``packs`` packs."""
        for pack in range(packs):
            for index in range(sounds):
                path = self.folder / "raw" / f"pack {pack}" / f"kick_{index}.wav"
                self.write_sound(path, 120.0 + 7 * index + 50 * pack)
        return self

    def metadata(self):
        return json.loads((self.data_dir / "meta.json").read_text())

    def names(self):
        """File names of the recordings that became part of the dataset."""
        return {item["filename"] for item in self.metadata().values()}

    def files(self, folder=None):
        """Name -> bytes of the sounds and features of the dataset."""
        folder = folder or self.data_dir
        return {path.name: path.read_bytes() for path in sorted((folder / "audio").iterdir())}


@pytest.fixture(scope="session")
def server():
    """An S3 server in a process of its own on loopback: its address."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    address = next(
        match[0]
        for match in (re.search(r"http://[\d.:]+", line) for line in process.stderr)
        if match
    )
    # It writes a line for each request, which somebody has to read.
    threading.Thread(target=process.stderr.read, daemon=True).start()
    yield address
    process.terminate()
    process.wait()


@pytest.fixture
def store(server, client, monkeypatch, tmp_path):
    """A bucket of that server, credentials in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(credentials.ACCESS_KEY, ACCESS)
    monkeypatch.setenv(credentials.SECRET_KEY, SECRET)
    client.create_bucket(Bucket=BUCKET)
    yield Store(server, BUCKET)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
        if keys:
            client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def client(server):
    """A client of the server that owes nothing to the package."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
    )


@pytest.fixture
def proxy(store, monkeypatch):
    """A proxy in front of the server, which does what is wrong as it is told; no pauses."""
    monkeypatch.setattr(transfer, "_PAUSE_S", 0.0)
    with proxy_to(store.url) as proxy:
        proxy.store = Store(proxy.address, BUCKET)
        yield proxy
