import os
import re
import signal
import subprocess
import sys

import pytest
from pages import Visitor
from small_models import drum

from drumblender.commands.app import main


def start(*arguments, **environment):
    """Start the command; gives the process and the address that it prints."""
    code = "import sys; from drumblender.commands.app import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for line in process.stdout:
        found = re.search(r"http://\S+/", line)
        if found:
            return process, found[0]
    pytest.fail(process.communicate()[1])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_page_is_served_until_the_program_is_stopped(tmp_path, number, code):
    path = drum(tmp_path / "kick.wav")
    process, address = start("--no_browser", "--device", "cpu", path)
    try:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        visitor = Visitor(address)
        assert visitor.ask("GET", "session").json()["drums"]["0"]["name"] == "kick.wav"
        assert visitor.make(changes={"pitch": 2})["seconds"] > 0.3
    finally:
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in said


@pytest.mark.slow
def test_the_model_is_named_on_the_page():
    process, address = start("--no_browser", "--device", "cpu", "--model", "drums")
    try:
        about = Visitor(address).ask("GET", "about").json()
        assert (about["model"], about["is_measured"]) == ("drums", False)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "needs|give a password"),
        (["--host", "0.0.0.0", "--password", ""], 2, "--password is empty"),
        (["--port", "70000"], 2, "--port is 70000; give a number from 0 to 65535"),
        (["--host", "192.0.2.1", "--password", "x"], 1, "--host: 192.0.2.1:0 cannot be opened"),
        (["a", "b", "c", "d", "e"], 2, "5 DRUMS are too many"),
        (["--share"], 2, "--share"),
        (["--model", "drumz"], 2, "no model drumz"),
        (["missing.wav"], 1, "missing.wav does not exist"),
    ],
)
def test_a_wrong_request_ends_in_a_sentence(arguments, code, said, capsys, monkeypatch):
    monkeypatch.delenv("DRUMBLENDER_PASSWORD", raising=False)
    assert main([*arguments, "--no_browser", "--device", "cpu"]) == code
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert len(error.splitlines()) == 1


def test_what_is_missing_is_named_with_what_installs_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["--no_browser"]) == 2
    assert 'pip install "drumblender[app]"' in capsys.readouterr().err
