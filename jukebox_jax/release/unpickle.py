"""Reads a protocol-2 pickle into plain values, without the power to run anything in it.

Pickle is a small stack machine whose instructions may call any function of any installed library.
This machine knows only the instructions that write data, and it calls nothing but the makers that
its user hands it. It knows neither of tensors nor of files.
"""

import dataclasses
import struct
from collections.abc import Callable
from typing import Any

_MARK = object()
_LONGEST_NAME = 256


class UnpickleError(ValueError):
    """Bytes that are no pickle of plain values, with the reason in one line."""


@dataclasses.dataclass(frozen=True)
class Maker:
    """What a class or function that a pickle names stands for.

    Attributes:
      make: makes the value from the pickle's arguments; ours, never what the pickle names.
    """

    make: Callable[..., Any]


class Unknown(dict):
    """Stands for an object of a class that is not known here, and does nothing.

    A dictionary of whatever items and attributes the object had, so that an object which held
    settings can still be read.

    Attributes:
      kind: the name of its class.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind


def unknown(name: str) -> Maker:
    """The maker of stand-ins for a class of this name."""

    def make(*_: Any) -> Unknown:
        return Unknown(name)

    return Maker(make)


def read(
    data: memoryview,
    start: int,
    find: Callable[[str, str], Any],
    persistent: Callable[[Any], Any],
) -> tuple[Any, int]:
    """Reads one pickle.

    Args:
      data: the bytes that hold it.
      start: where it begins.
      find: from a module's name and a name in it to a `Maker`, or to a plain value; raises an
        UnpickleError for what it does not allow.
      persistent: from a persistent id, a plain value, to what it stands for.

    Returns:
      The value, and where the pickle ends.

    Raises:
      UnpickleError: the bytes are no such pickle, or `find` or `persistent` refused.
    """
    machine = _Machine(data, start, find, persistent)
    try:
        return machine.run(), machine.at
    except UnpickleError:
        raise
    except (ValueError, TypeError, LookupError, OverflowError, struct.error) as error:
        raise UnpickleError(f"damaged at byte {machine.at}") from error


class _Machine:
    """The stack machine; every method named after an instruction carries it out."""

    def __init__(
        self,
        data: memoryview,
        start: int,
        find: Callable[[str, str], Any],
        persistent: Callable[[Any], Any],
    ) -> None:
        self.data, self.at = data, start
        self.find, self.persistent = find, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Runs to the instruction that stops, and gives the one value left."""
        while True:
            code = self.take(1)[0]
            if code == ord("."):
                (value,) = self.stack
                return value
            step = _INSTRUCTIONS.get(code)
            if step is None:
                raise UnpickleError(f"damaged or not allowed: instruction {code:#04x}")
            step(self)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise UnpickleError("truncated")
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def number(self, form: str) -> Any:
        """The next number, in a form of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """The next bytes up to a newline, as a name."""
        window = bytes(self.data[self.at : self.at + _LONGEST_NAME])
        name, newline, _ = window.partition(b"\n")
        if not newline:
            raise UnpickleError("damaged: a name without an end")
        self.at += len(name) + 1
        return name.decode("utf-8")

    def marked(self) -> list[Any]:
        """Takes what lies above the last mark."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                values = self.stack[index + 1 :]
                del self.stack[index:]
                return values
        raise UnpickleError("damaged: a mark is missing")

    def pop(self) -> Any:
        """Takes the top value."""
        value = self.stack.pop()
        if value is _MARK:
            raise UnpickleError("damaged: a value is missing")
        return value

    def proto(self) -> None:
        version = self.number("<B")
        if version > 2:
            raise UnpickleError(f"a pickle of protocol {version}; only 2 is understood")

    def mark(self) -> None:
        self.stack.append(_MARK)

    def push_none(self) -> None:
        self.stack.append(None)

    def push_true(self) -> None:
        self.stack.append(True)

    def push_false(self) -> None:
        self.stack.append(False)

    def int32(self) -> None:
        self.stack.append(self.number("<i"))

    def uint8(self) -> None:
        self.stack.append(self.number("<B"))

    def uint16(self) -> None:
        self.stack.append(self.number("<H"))

    def long(self) -> None:
        self.stack.append(int.from_bytes(self.take(self.number("<B")), "little", signed=True))

    def float64(self) -> None:
        self.stack.append(self.number(">d"))

    def text(self) -> None:
        self.stack.append(self.take(self.number("<I")).decode("utf-8", "surrogatepass"))

    def string(self) -> None:
        self.stack.append(self.take(self.number("<i")).decode("latin-1"))

    def short_string(self) -> None:
        self.stack.append(self.take(self.number("<B")).decode("latin-1"))

    def empty_dict(self) -> None:
        self.stack.append({})

    def empty_list(self) -> None:
        self.stack.append([])

    def empty_tuple(self) -> None:
        self.stack.append(())

    def pack(self) -> None:
        self.stack.append(tuple(self.marked()))

    def pack1(self) -> None:
        self.stack.append((self.pop(),))

    def pack2(self) -> None:
        second, first = self.pop(), self.pop()
        self.stack.append((first, second))

    def pack3(self) -> None:
        third, second, first = self.pop(), self.pop(), self.pop()
        self.stack.append((first, second, third))

    def append(self) -> None:
        self.extend([self.pop()])

    def appends(self) -> None:
        self.extend(self.marked())

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Unknown):  # a list of an unknown class is left empty
            raise UnpickleError("damaged: items for something that is no list")

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.update([key, value])

    def set_items(self) -> None:
        self.update(self.marked())

    def update(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise UnpickleError("damaged: entries for something that is no dictionary")
        target.update(zip(values[::2], values[1::2], strict=True))

    def put(self) -> None:
        self.memo[self.number("<B")] = self.stack[-1]

    def long_put(self) -> None:
        self.memo[self.number("<I")] = self.stack[-1]

    def get(self) -> None:
        self.stack.append(self.memo[self.number("<B")])

    def long_get(self) -> None:
        self.stack.append(self.memo[self.number("<I")])

    def name(self) -> None:
        self.stack.append(self.find(self.line(), self.line()))

    def call(self) -> None:
        arguments, maker = self.pop(), self.pop()
        if not isinstance(maker, Maker) or not isinstance(arguments, tuple):
            raise UnpickleError("damaged: a call of something that cannot be called")
        self.stack.append(maker.make(*arguments))

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, Unknown):
            for part in state if isinstance(state, tuple) else (state,):
                target.update(part if isinstance(part, dict) else {})
        elif not isinstance(target, dict):  # what a dictionary carries beside its items is dropped
            raise UnpickleError("damaged: attributes for something that has none")

    def persistent_id(self) -> None:
        self.stack.append(self.persistent(self.pop()))


_INSTRUCTIONS: dict[int, Callable[[_Machine], None]] = {
    0x80: _Machine.proto,
    ord("("): _Machine.mark,
    ord("N"): _Machine.push_none,
    0x88: _Machine.push_true,
    0x89: _Machine.push_false,
    ord("J"): _Machine.int32,
    ord("K"): _Machine.uint8,
    ord("M"): _Machine.uint16,
    0x8A: _Machine.long,
    ord("G"): _Machine.float64,
    ord("X"): _Machine.text,
    ord("T"): _Machine.string,
    ord("U"): _Machine.short_string,
    ord("}"): _Machine.empty_dict,
    ord("]"): _Machine.empty_list,
    ord(")"): _Machine.empty_tuple,
    ord("t"): _Machine.pack,
    0x85: _Machine.pack1,
    0x86: _Machine.pack2,
    0x87: _Machine.pack3,
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("s"): _Machine.set_item,
    ord("u"): _Machine.set_items,
    ord("q"): _Machine.put,
    ord("r"): _Machine.long_put,
    ord("h"): _Machine.get,
    ord("j"): _Machine.long_get,
    ord("c"): _Machine.name,
    ord("R"): _Machine.call,
    0x81: _Machine.call,  # a class in place of a function: the same to us
    ord("b"): _Machine.build,
    ord("Q"): _Machine.persistent_id,
}
