"""Several processes of one command on this machine's CPUs, as a small pod to try things on.

`start` begins them, tells each how to find the others, and ends them all when one is lost.
"""

import os
import signal
import socket
import subprocess
import sys
import time

GRACE = 15.0
"""Seconds in which the others may end by themselves when one is lost."""


def child() -> bool:
    """Whether this process was begun by `start`, or by another launcher that counts processes."""
    return "JAX_PROCESS_ID" in os.environ


def start(count: int) -> int:
    """Runs this command in so many processes, until all have ended.

    SIGTERM and Ctrl-C are passed on to all. Where a process is lost, one line says which, and the
    others are ended within `GRACE` seconds.

    Returns:
      The exit status: 0 where all ended well, that of the first that did not otherwise.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    shared = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(count)}
    running = [
        subprocess.Popen(
            [sys.executable, *sys.argv],
            env={"JAX_PLATFORMS": "cpu", **os.environ, **shared, "JAX_PROCESS_ID": str(index)},
        )
        for index in range(count)
    ]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: [one.send_signal(got) for one in running])
    status, deadline = 0, float("inf")
    while any(one.poll() is None for one in running):
        for index, process in enumerate(running):
            if process.poll() and not status:
                status, deadline = _status(process), time.monotonic() + GRACE
                print(
                    f"train: process {index} {_ended(process)}: ending the others; the same "
                    "command goes on from the last checkpoint",
                    file=sys.stderr,
                )
        if time.monotonic() > deadline:
            for process in running:
                process.kill()
        time.sleep(0.05)
    return status or max(_status(process) for process in running)


def _status(process: subprocess.Popen) -> int:
    code = process.returncode or 0
    return code if code >= 0 else 128 - code


def _ended(process: subprocess.Popen) -> str:
    code = process.returncode
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
