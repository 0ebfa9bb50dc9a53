"""Times named pieces of work on this machine, beside the least that it allows.

  python launch/bench.py --works vqvae_encode,prior_decode_b1 --json timings.json
  python launch/bench.py --works decode_1b_b1,decode_1b_b16 --dtype bfloat16

`--works` names any of those of fixed size (all of them by default), `decode_<size>_b<batch>` and
`attention_c<context>`. The floor follows from the rate of a large matrix product and from that of
reading memory, both measured before. On a busy machine only ratios within one run mean anything.
"""

import dataclasses
import json
import pathlib

import command
from absl import flags

WORKS = flags.DEFINE_list("works", [], "names of works, by default those of fixed size")
JSON = flags.DEFINE_string("json", None, "a file to write the timings to as well")
RUNS = flags.DEFINE_integer("runs", 3, "runs after the warm-up; the median counts", lower_bound=1)
DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "compute type of models")


def main() -> None:
    """Times the works one after the other."""
    from jukebox_jax.report import timing, works

    chosen = [works.find(name, DTYPE.value) for name in WORKS.value or works.NAMES]
    on = timing.machine(DTYPE.value)
    print(
        f"{on.device}, {on.cores} cores: {on.operations / 1e9:.4g} GFLOP/s, "
        f"{on.bytes / 1e9:.4g} GB/s, load {on.load:.2f}, {DTYPE.value}",
        flush=True,
    )
    timings = []
    for work in chosen:
        one = timing.measure(work, on, RUNS.value)
        timings.append(one)
        print(
            f"  {one.name}: {one.seconds:.4g} s a step, {one.processor:.4g} of the processor "
            f"({one.what})",
            flush=True,
        )
        if JSON.value:
            record = {
                "machine": dataclasses.asdict(on),
                "dtype": DTYPE.value,
                "works": {one.name: dataclasses.asdict(one) for one in timings},
            }
            pathlib.Path(JSON.value).write_text(json.dumps(record, indent=1) + "\n")
    print("\n" + timing.table(timings))


if __name__ == "__main__":
    command.run("bench", main)
