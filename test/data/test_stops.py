"""Commands that are killed, interrupted, starved of disk or run twice."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from drumblender.commands.dataset import main
from drumblender.data.sources import credentials

CRASH = Path(__file__).parent / "crash.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture(scope="module")
def commander():
    """Runs commands in forks of one process: gives a function of the project and options."""
    process = subprocess.Popen(
        [sys.executable, str(CRASH)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def ask(project, **options):
        environment = {key: os.environ.get(key, "") for key in KEYS}
        what = {"cwd": str(project.folder), "environment": environment, "options": options}
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert "failure" not in answer, answer["failure"]
        return answer

    yield ask
    process.stdin.close()
    process.wait()


@pytest.fixture
def stop_everywhere(commander, project):
    """Stop ``drumblender-dataset data.yaml`` at changes of the disk; gives how often."""

    def stop(sig, step, *argv, remove=(), restore=()):
        if "DRUMBLENDER_TEST_EVERY_STOP" in os.environ:
            step = 1
        return commander(
            project,
            argv=["data.yaml", "--num_workers", "1", *argv],
            sig=sig,
            step=step,
            data_dir="dataset/drums",
            meta_file="meta.json",
            remove=["dataset", *remove],
            restore=restore,
        )["stops"]

    return stop


KEYS = (credentials.ACCESS_KEY, credentials.SECRET_KEY)
# Not at every change: DRUMBLENDER_TEST_EVERY_STOP does that, in minutes.
BOTH = pytest.mark.parametrize(
    ("sig", "step"), [(signal.SIGKILL, 9), (signal.SIGINT, 13)], ids=["kill", "ctrl-c"]
)


def put_kit(project):
    """A kit in an archive in the raw folder."""
    xml = "<k><instrument><name>Snare</name><filename>1.wav</filename></instrument></k>"
    content = project.write_sound(project.folder / "1.wav", 300.0).read_bytes()
    with tarfile.open(project.folder / "raw" / "Kit.h2drumkit", "w:gz") as tar:
        for name, data in (("drumkit.xml", xml.encode()), ("1.wav", content)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.slow
@BOTH
def test_preprocessing_may_stop_anywhere(project, stop_everywhere, sig, step):
    project.fill(packs=1, sounds=1)
    put_kit(project)

    assert stop_everywhere(sig, step) >= 4


@pytest.mark.slow
@BOTH
def test_an_update_may_stop_anywhere(project, stop_everywhere, sig, step):
    project.fill(packs=1, sounds=2)
    assert main(["data.yaml", "--preprocess", "--num_workers", "1"]) == 0
    shutil.move("dataset", "before")
    project.write_sound(project.folder / "raw" / "pack 0" / "kick_1.wav", 333.0)

    assert stop_everywhere(sig, step, "--preprocess", restore=[("before", "dataset")]) >= 4


def put_into_store(project, store, sounds=2):
    """The dataset as an archive in the bucket, and nothing of it left here."""
    project.fill(packs=1, sounds=sounds).configure(
        url=store.url, bucket="drums", archive="v1.tar.gz"
    )
    assert main(["data.yaml", "--archive", "v1.tar.gz", "--upload", "v1.tar.gz"]) == 0
    expected = project.files()
    shutil.rmtree("dataset")
    shutil.rmtree("raw")
    os.remove("v1.tar.gz")
    return expected


@pytest.mark.slow
@BOTH
def test_downloading_and_unpacking_may_stop_anywhere(project, store, stop_everywhere, sig, step):
    put_into_store(project, store)

    remove = ["v1.tar.gz", ".v1.tar.gz.part", ".v1.tar.gz.part.json"]
    assert stop_everywhere(sig, step // 2, remove=remove) >= 4


@pytest.mark.slow
def test_downloading_a_raw_folder_may_stop_anywhere(project, store, client, stop_everywhere):
    project.fill(packs=2, sounds=2).configure(url=store.url, bucket="drums", prefix="lib/v1")
    for path in (project.folder / "raw").rglob("*.wav"):
        key = f"lib/v1/{path.relative_to(project.folder / 'raw').as_posix()}"
        client.put_object(Bucket="drums", Key=key, Body=path.read_bytes())

    assert stop_everywhere(signal.SIGKILL, 23, remove=["raw"]) >= 4


def command(project, *args):
    script = "import sys; from drumblender.commands.dataset import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", script, "data.yaml", *args],
        cwd=project.folder,
        env={**ENVIRONMENT, **{k: os.environ[k] for k in KEYS if k in os.environ}},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_a_command_that_is_killed_in_the_middle_of_a_download_goes_on_there(
    project, proxy, announcing
):
    expected = put_into_store(project, proxy.store, sounds=50)
    proxy.requests.clear()
    proxy.fail(after=300_000, how="stall")
    command = announcing("drumblender.commands.dataset", "data.yaml", cwd=project.folder)
    command.wait_for_steps(1)
    assert proxy.stalled.wait(60)
    command.process.kill()
    command.end()
    assert not project.data_dir.exists()
    assert not (project.folder / "v1.tar.gz").exists()

    assert main(["data.yaml"]) == 0

    assert project.files() == expected
    assert proxy.ranges() == [None, f"bytes={1 << 18}-"]


@pytest.mark.slow
def test_two_commands_at_once_download_once_and_one_says_that_it_waits(project, proxy):
    expected = put_into_store(project, proxy.store)
    proxy.requests.clear()
    proxy.fail(after=2000, how="stall", method="GET")
    codes = []
    first = threading.Thread(target=lambda: codes.append(main(["data.yaml"])))
    first.start()
    assert proxy.stalled.wait(60)  # it holds the lock by now
    second = command(project)
    for line in second.stderr:
        if "Waiting for another process that prepares dataset/drums" in line:
            break
    else:
        pytest.fail("the second did not wait")
    proxy.release.set()

    first.join()
    second.communicate()
    assert [*codes, second.returncode] == [0, 0]
    assert project.files() == expected
    assert len([r for r in proxy.ranges() if r is None]) == 1
    assert not list(project.folder.glob(".*.part*"))


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half(project, store, commander):
    expected = put_into_store(project, store)
    for size, what in ((4000, "v1.tar.gz cannot be written"), (15000, "cannot be unpacked")):
        if size == 15000:
            store.download("v1.tar.gz", project.folder / "v1.tar.gz")
        result = commander(project, argv=["data.yaml"], limit=size)
        error = result["output"].splitlines()[-1]
        assert result["code"] == 1
        assert error.startswith("error: ")
        assert what in error
        assert "File too large" in error
        assert "make room" in error
        assert not project.data_dir.exists()

    assert main(["data.yaml", "--verify"]) == 0
    assert project.files() == expected


def test_a_full_disk_stops_preprocessing_which_goes_on_later(project, commander):
    project.fill(packs=1, sounds=2)

    result = commander(project, argv=["data.yaml", "--num_workers", "1"], limit=15000)

    assert result["code"] == 1
    assert "make room" in result["output"].splitlines()[-1]
    assert not project.data_dir.exists()
    assert main(["data.yaml", "--verify", "--num_workers", "1"]) == 0
    assert len(project.metadata()) == 2


def test_an_object_that_is_damaged_in_the_store_is_got_again_when_it_is_right(
    project, store, client
):
    expected = put_into_store(project, store)
    good = client.get_object(Bucket="drums", Key="v1.tar.gz")["Body"].read()
    for bad in (good[: len(good) // 2], good[:-200] + bytes(100) + good[-100:]):
        client.put_object(Bucket="drums", Key="v1.tar.gz", Body=bad)
        assert main(["data.yaml"]) == 1
        assert not project.data_dir.exists()

    client.put_object(Bucket="drums", Key="v1.tar.gz", Body=good)
    assert main(["data.yaml", "--verify"]) == 0
    assert project.files() == expected


@pytest.mark.parametrize("option", [(), ("--debug",)])
def test_credentials_are_in_no_output_of_a_command(project, proxy, commander, option):
    project.configure(url=proxy.address, bucket="drums", archive="v1.tar.gz")
    proxy.fail(status=403, method="HEAD")

    result = commander(project, argv=["data.yaml", *option])

    assert result["code"] == 1
    assert "403" in result["output"]
    assert ("Traceback" in result["output"]) == bool(option)
    for secret in (os.environ[key] for key in KEYS):
        assert secret not in result["output"]
