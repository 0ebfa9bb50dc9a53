"""Says what works on this machine and what to install for the rest, in under a minute.

    python launch/doctor.py

Exits with 1 if something that is installed does not work.
"""

import sys

import command


def main() -> None:
    """Examines this machine."""
    from jukebox_jax.report import doctor

    broken = 0
    for finding in doctor.examine():
        print(doctor.line(finding), flush=True)
        broken += finding.state == doctor.BROKEN
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    command.run("doctor", main)
