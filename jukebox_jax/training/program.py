"""What the compiler made of a step: what devices say to one another, and how much they compute.

A partitioned program is text, a computation after another, and what each device runs. It is read
here, and calls, branches and loops whose number of turns the compiler knows are followed, so that
each operation counts as often as it runs. This file knows that text and nothing of models.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Iterator, Sequence

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
"""The operations that move data between devices."""

Shape = tuple[str, tuple[int, ...]]
"""The name of a type, and dimensions."""

_BITS = {"pred": 8, "bf16": 16, "c64": 64, "c128": 128}  # others end in their number of bits
_COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[^\s(]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(
    r"^\s+(?:ROOT )?%?(?P<name>\S+) = (?P<result>\(.*?\)|\S+) (?P<kind>[a-z][a-z0-9-]*)\("
    r"(?P<rest>.*)$"
)
_SHAPE = re.compile(r"([a-z][a-z0-9]*)\[([0-9,]*)\]")
_CALLED = re.compile(r"(?:to_apply|calls|body|condition|called_computations)=\{?%?([^\s,{}]+)")
_BRANCHES = re.compile(
    r"branch_computations=\{([^}]*)\}|true_computation=%?([^\s,]+), false_computation=%?([^\s,]+)"
)
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_NAME = re.compile(r'op_name="([^"]*)"')


@dataclasses.dataclass(frozen=True)
class Collective:
    """An operation in which devices exchange data.

    Attributes:
      kind: one of `KINDS`.
      shapes: of the arrays, each as every device of a group would hold it whole: gathered, or
        before it is scattered.
      group: devices that take part together.
      times: how often it runs in a step.
      name: where in the model it comes from.
    """

    kind: str
    shapes: tuple[Shape, ...]
    group: int
    times: int
    name: str

    @property
    def payload(self) -> int:
        """Bytes of the whole arrays, over all times."""
        return self.times * sum(size(shape) for shape in self.shapes)

    @property
    def sent(self) -> int:
        """Bytes that a device sends in a step, by the ring algorithms.

        An all-gather, a reduce-scatter or an all-to-all sends (group - 1) / group of the whole,
        an all-reduce twice that, a permutation all of it.
        """
        if self.kind == "collective-permute":
            return self.payload
        ring = self.payload * (self.group - 1) // self.group
        return 2 * ring if self.kind == "all-reduce" else ring


@dataclasses.dataclass
class _Computation:
    """A named part of a program.

    Attributes:
      operations: of the kinds that count.
      flops: floating-point operations of products and convolutions.
      calls: other computations, and how often each is run.
      branches: of each conditional, the computations of which one is run.
    """

    operations: list[Collective]
    flops: int
    calls: list[tuple[str, int]]
    branches: list[tuple[str, ...]]


class Program:
    """A compiled program, read.

    Args:
      text: what `as_text` of a compiled function gives.
    """

    def __init__(self, text: str) -> None:
        self._computations, self._entry = _parse(text)

    def collectives(self) -> tuple[Collective, ...]:
        """The collectives, each with the number of times that it runs.

        Of a conditional the branch that sends most counts.

        Raises:
          ValueError: a loop with collectives in it has no known number of turns.
        """

        @functools.cache
        def within(name: str) -> tuple[Collective, ...]:
            found = []
            for called, times in self._computations[name].calls:
                more = within(called)
                if more and not times:
                    raise ValueError(f"the loop over {called} has no known number of turns")
                found += [dataclasses.replace(one, times=one.times * times) for one in more]
            for names in self._computations[name].branches:
                found += max((within(branch) for branch in names), key=_sent)
            return (*self._computations[name].operations, *found)

        return within(self._entry)

    def flops(self) -> int:
        """Floating-point operations of products and convolutions, on one device.

        A multiplication and its addition are two. A loop whose turns are not known counts once,
        a conditional as its longer branch.
        """

        @functools.cache
        def within(name: str) -> int:
            here = self._computations[name]
            called = sum(within(one) * max(times, 1) for one, times in here.calls)
            return here.flops + called + sum(max(map(within, names)) for names in here.branches)

        return within(self._entry)


def _sent(found: Iterable[Collective]) -> int:
    return sum(one.sent for one in found)


def size(shape: Shape) -> int:
    """Bytes of an array."""
    kind, dimensions = shape
    bits = _BITS.get(kind) or int(re.sub(r"^[a-z]+(\d+).*$", r"\1", kind))
    return -(-math.prod(dimensions) * bits // 8)


def _parse(text: str) -> tuple[dict[str, _Computation], str]:
    computations: dict[str, _Computation] = {}
    entry, current = "", _Computation([], 0, [], [])
    shapes: dict[str, Shape] = {}
    for line in text.splitlines():
        begin = _COMPUTATION.match(line)
        if begin:
            current = computations.setdefault(begin["name"], _Computation([], 0, [], []))
            entry = begin["name"] if begin["entry"] else entry
            shapes = {}
            continue
        instruction = _INSTRUCTION.match(line)
        if not instruction:
            continue
        kind, result, rest = instruction["kind"], instruction["result"], instruction["rest"]
        if not result.startswith("("):
            shapes[instruction["name"]] = next(_shapes(result), ("", ()))
        if kind.removesuffix("-start") in KINDS:
            current.operations.append(_collective(kind, result, rest))
            continue
        if kind in ("dot", "convolution"):
            operands = [shapes[name] for name in re.findall(r"%([^\s,)]+)", rest)[:2]]
            current.flops += _flops(kind, shapes[instruction["name"]], operands, rest)
        turns = 1
        if kind == "while":
            told = _TURNS.search(rest)
            turns = int(told[1]) if told else 0
        current.calls += [(called, turns) for called in _CALLED.findall(rest)]
        for listed, true, false in _BRANCHES.findall(rest):
            names = listed.replace("%", "").split(",") if listed else [true, false]
            current.branches.append(tuple(name.strip() for name in names))
    return computations, entry


def _collective(operation: str, result: str, rest: str) -> Collective:
    kind = operation.removesuffix("-start")
    shapes = list(_shapes(result))
    if operation in ("all-gather-start", "collective-permute-start"):
        shapes = shapes[len(shapes) // 2 :]  # the operands come first
    group = _group(rest)
    if kind == "reduce-scatter":
        shapes = [(name, (group, *dimensions)) for name, dimensions in shapes]
    named = _NAME.search(rest)
    return Collective(kind, tuple(shapes), group, 1, named[1] if named else "")


def _flops(kind: str, result: Shape, operands: Sequence[Shape], rest: str) -> int:
    outputs = math.prod(result[1])
    if kind == "dot":
        contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", rest)
        dimensions = contracted[1].split(",") if contracted else []
        return 2 * outputs * math.prod(operands[0][1][int(one)] for one in dimensions if one)
    labels = re.search(r"dim_labels=\w+_(\w+)->", rest)
    kernel = operands[1][1]
    features = kernel[labels[1].index("o")] if labels else 1
    return 2 * outputs * math.prod(kernel) // max(features, 1)


def _shapes(result: str) -> Iterator[Shape]:
    for kind, dimensions in _SHAPE.findall(result):
        yield kind, tuple(int(number) for number in dimensions.split(",") if number)


def _group(rest: str) -> int:
    """Devices of a group, in any of the forms in which the compiler writes groups."""
    if mesh := re.search(r"replica_groups=@?[^\s,]*?mesh\[(.*?)\]\S* \{([^}]*)\}", rest):
        axes = {name: int(number) for name, number in re.findall(r"'([^']+)'=(\d+)", mesh[1])}
        count = 1
        for name, part in re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", mesh[2]):
            count *= int(part) if part else axes[name]
        return count
    if iota := re.search(r"replica_groups=\[(\d+),(\d+)\]", rest):
        return int(iota[2])
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return len(listed[1].split(","))
    return 2  # of a permutation, which names pairs
