"""What devices say to one another in a step: read from the program that the compiler made.

A partitioned program is text, a computation after another. `read` finds its collective operations
and how often each runs, following calls, branches and loops whose number of turns the compiler
knows. It knows that text and nothing of models: what is sent is told by its shape alone.
"""

import dataclasses
import math
import re
from collections.abc import Iterator

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
"""The operations that move data between devices."""

Shape = tuple[str, tuple[int, ...]]
"""The name of a type, and dimensions."""

_BITS = {"pred": 8, "bf16": 16, "c64": 64, "c128": 128}  # others end in their number of bits
_COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[^\s(]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(
    r"^\s+(?:ROOT )?%?\S+ = (?P<result>\(.*?\)|\S+) (?P<operation>[a-z][a-z0-9-]*)\("
)
_SHAPE = re.compile(r"([a-z][a-z0-9]*)\[([0-9,]*)\]")
_CALLED = re.compile(r"(?:to_apply|calls|body|condition|called_computations)=\{?%?([^\s,{}]+)")
_BRANCHES = re.compile(
    r"branch_computations=\{([^}]*)\}|true_computation=%?(\S+), false_computation=%?([^\s,]+)"
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
    found: list[Collective]
    calls: list[tuple[str, int]]
    branches: list[tuple[str, ...]]


def size(shape: Shape) -> int:
    """Bytes of an array."""
    kind, dimensions = shape
    bits = _BITS.get(kind) or int(re.sub(r"^[a-z]+(\d+).*$", r"\1", kind))
    return -(-math.prod(dimensions) * bits // 8)


def read(text: str) -> tuple[Collective, ...]:
    """The collectives of a program, each with the number of times that it runs.

    Of a conditional the branch that sends most counts.

    Args:
      text: what `as_text` of a compiled function gives.

    Raises:
      ValueError: a loop with collectives in it has no known number of turns.
    """
    computations, entry = _parse(text)
    known: dict[str, tuple[Collective, ...]] = {}

    def within(name: str) -> tuple[Collective, ...]:
        if name in known:
            return known[name]
        here = computations.get(name)
        if here is None:
            return ()
        inside = list(here.found)
        for called, times in here.calls:
            more = within(called)
            if more and not times:
                raise ValueError(f"the loop over {called} has no known number of turns")
            inside += [dataclasses.replace(one, times=one.times * times) for one in more]
        for names in here.branches:
            choices = [within(branch) for branch in names]
            inside += max(choices, key=lambda found: sum(one.sent for one in found))
        known[name] = tuple(inside)
        return known[name]

    return within(entry)


def _parse(text: str) -> tuple[dict[str, _Computation], str]:
    computations: dict[str, _Computation] = {}
    entry, current = "", _Computation([], [], [])
    for line in text.splitlines():
        begin = _COMPUTATION.match(line)
        if begin:
            current = computations.setdefault(begin["name"], _Computation([], [], []))
            entry = begin["name"] if begin["entry"] else entry
            continue
        instruction = _INSTRUCTION.match(line)
        if not instruction:
            continue
        operation = instruction["operation"]
        kind = operation.removesuffix("-start")
        if kind in KINDS:
            current.found.append(_collective(kind, operation != kind, instruction["result"], line))
            continue
        turns = 1
        if operation == "while":
            told = _TURNS.search(line)
            turns = int(told[1]) if told else 0
        current.calls += [(called, turns) for called in _CALLED.findall(line)]
        for listed, true, false in _BRANCHES.findall(line):
            names = listed.replace("%", "").split(",") if listed else [true, false]
            current.branches.append(tuple(name.strip() for name in names))
    return computations, entry


def _collective(kind: str, started: bool, result: str, line: str) -> Collective:
    shapes = list(_shapes(result))
    if started and kind == "all-gather" or started and kind == "collective-permute":
        shapes = shapes[len(shapes) // 2 :]  # the operands come first
    group = _group(line)
    if kind == "reduce-scatter":
        shapes = [(name, (group, *dimensions)) for name, dimensions in shapes]
    named = _NAME.search(line)
    return Collective(kind, tuple(shapes), group, 1, named[1] if named else "")


def _shapes(result: str) -> Iterator[Shape]:
    for kind, dimensions in _SHAPE.findall(result):
        yield kind, tuple(int(number) for number in dimensions.split(",") if number)


def _group(line: str) -> int:
    """Devices of a group, in any of the forms in which the compiler writes groups."""
    if mesh := re.search(r"replica_groups=@?\S*?mesh\[(.*?)\]\S* \{([^}]*)\}", line):
        axes = {name: int(number) for name, number in re.findall(r"'([^']+)'=(\d+)", mesh[1])}
        count = 1
        for name, part in re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", mesh[2]):
            count *= int(part) if part else axes[name]
        return count
    if iota := re.search(r"replica_groups=\[(\d+),(\d+)\]", line):
        return int(iota[2])
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
        return len(listed[1].split(","))
    return 2  # of a permutation, which names pairs
