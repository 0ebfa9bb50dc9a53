"""A pickle machine that can write data and nothing else."""

import collections
import os
import pathlib
import pickle
from typing import Any

import pytest

from jukebox_jax.release import unpickle
from jukebox_jax.release.unpickle import Maker, Unknown, UnpickleError


def find(module: str, name: str) -> Any:
    if (module, name) == ("collections", "OrderedDict"):
        return Maker(lambda: {})
    if module.startswith("tests"):
        return unpickle.unknown(f"{module}.{name}")
    raise UnpickleError(f"refused {module}.{name}")


def read(data: bytes) -> Any:
    value, end = unpickle.read(memoryview(data), 0, find, lambda key: ("stored", key))
    assert end == len(data)
    return value


PLAIN: dict[str, Any] = {
    "numbers": [0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**40, -(2**70), 1.5, -0.0, 1e300],
    "text": ["", "ascii", "über écho", "\N{MUSICAL SYMBOL G CLEF}"],
    "constants": (None, True, False),
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "nested": {"a": {"b": [{}, [], ["c"]]}, 3: "number", (1, 2): "tuple"},
    "many": list(range(3000)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_come_back(name: str) -> None:
    assert read(pickle.dumps(PLAIN[name], protocol=2)) == PLAIN[name]


def test_sharing_survives() -> None:
    inner = [1]
    first, second = read(pickle.dumps([inner, inner], protocol=2))
    assert first is second


def test_an_ordered_dictionary_becomes_a_plain_one() -> None:
    value = collections.OrderedDict(a=1, b=2)
    value.note = "an attribute"  # type: ignore[attr-defined]
    assert read(pickle.dumps(value, protocol=2)) == {"a": 1, "b": 2}


class Settings(dict):
    """A dictionary with attributes, as old projects keep their settings."""


class Record:
    def __init__(self) -> None:
        self.value = 3


class Items(list):
    """A list of a class of its own."""


@pytest.mark.parametrize(
    ("value", "items"),
    [(Settings(width=8, depth=2), {"width": 8, "depth": 2}), (Record(), {"value": 3})],
    ids=["dictionary", "object"],
)
def test_an_unknown_class_becomes_a_dictionary_that_does_nothing(
    value: Any, items: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pickle.dumps(value, protocol=2).replace(__name__.encode(), b"tests_somewhere")
    found = read(data)
    assert type(found) is Unknown and found == items
    assert found.kind == f"tests_somewhere.{type(value).__name__}"


def test_an_unknown_list_is_left_empty() -> None:
    data = pickle.dumps(Items([1, 2]), protocol=2).replace(__name__.encode(), b"tests_somewhere")
    assert read(data) == {}


class Attack:
    """Runs a command when an ordinary unpickler reads it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_commands_are_refused(protocol: int, tmp_path: pathlib.Path) -> None:
    mark = tmp_path / "ran"
    data = pickle.dumps(Attack(os.system, f"touch {mark}"), protocol=protocol)
    with pytest.raises(UnpickleError) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    assert not mark.exists()
    pickle.loads(data)  # the attack is a real one
    assert mark.exists()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"(S'touch it'\nios\nsystem\n.", id="instance"),
        pytest.param(b"(cos\nsystem\nX\x02\x00\x00\x00ls" + b"o.", id="object"),
        pytest.param(b"\x82\x01.", id="extension"),
        pytest.param(b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93.", id="stack-name"),
        pytest.param(b"X\x05\x00\x00\x00printX\x01\x00\x00\x00a\x85R.", id="call-of-text"),
        pytest.param(b"K\x01K\x02R.", id="call-of-number"),
        pytest.param(b"]K\x01b.", id="attributes-of-a-list"),
        pytest.param(b"K\x01K\x02K\x03s.", id="entry-of-a-number"),
        pytest.param(b"}(K\x01u.", id="odd-entries"),
        pytest.param(b"K\x01K\x02a.", id="append-to-a-number"),
        pytest.param(b"}]K\x01s.", id="a-list-as-key"),
        pytest.param(b"K\x01e.", id="no-mark"),
        pytest.param(b"(0.", id="popping-a-mark"),
        pytest.param(b"h\x05.", id="nothing-remembered"),
        pytest.param(b"K\x01K\x02.", id="two-values"),
        pytest.param(b"K\x01", id="no-end"),
        pytest.param(b"X\xff\xff\xff\xffa.", id="text-longer-than-the-file"),
        pytest.param(b"T\xff\xff\xff\xffa.", id="text-of-negative-length"),
        pytest.param(b"X\x01\x00\x00\x00\xff.", id="no-utf-8"),
        pytest.param(b"c" + b"a" * 5000 + b"\nb\n.", id="endless-name"),
        pytest.param(b"\x80\x05N.", id="new-protocol"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_is_not_plain_data_is_refused(data: bytes) -> None:
    with pytest.raises(UnpickleError):
        read(data)


def test_persistent_ids_are_handed_over() -> None:
    assert read(b"\x80\x02X\x01\x00\x00\x00aQ.") == ("stored", "a")


def test_several_pickles_in_a_row_are_read_one_by_one() -> None:
    data = memoryview(pickle.dumps(1, protocol=2) + pickle.dumps("b", protocol=2))
    first, at = unpickle.read(data, 0, find, lambda key: key)
    second, end = unpickle.read(data, at, find, lambda key: key)
    assert (first, second, end) == (1, "b", len(data))
