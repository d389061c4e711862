"""The answers of every command, asked of the command that does the least."""

import os
import subprocess
import sys

import pytest

LIST = "import sys; from drumblender.commands.synth import main; sys.exit(main(['--list_models']))"


@pytest.mark.skipif(os.name == "nt", reason="platform: Windows has no pipes that can be asked")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_is_gone_is_no_error(unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-c", LIST]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")
