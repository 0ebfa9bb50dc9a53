"""What all commands share: here, that they begin with large pages of memory."""

import os
import pathlib
import platform
import subprocess
import sys

import pytest

LAUNCH = pathlib.Path(__file__).resolve().parent.parent / "launch"
SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
import command

def main():
    print(os.getpid(), repr(os.environ.get("GLIBC_TUNABLES")), sys.flags.optimize, command.words)

command.run("script", main)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="large pages are asked of glibc")
@pytest.mark.parametrize(
    ("before", "after"),
    [(None, "glibc.malloc.hugetlb=1"), ("", ""), ("glibc.malloc.check=0", "glibc.malloc.check=0")],
)
def test_a_command_begins_with_large_pages(
    tmp_path: pathlib.Path, before: str | None, after: str
) -> None:
    """In the same process, as it was called; what the user sets stays."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
    environment |= {"JAX_PLATFORMS": "cpu"} | ({} if before is None else {"GLIBC_TUNABLES": before})
    process = subprocess.Popen(
        [sys.executable, "-O", str(script), str(LAUNCH), "two words", "$x"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert said.split("\n")[0] == f"{process.pid} {after!r} 1 ['two words', '$x']"
