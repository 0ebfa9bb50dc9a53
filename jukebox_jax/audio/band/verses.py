"""Words for songs: lines of verse with a wished number of syllables and a rhyme.

A word is written with hyphens between its syllables, and a line comes out as its syllables, each
with what stands after it (a space, a comma and a space, or nothing). Verses tell, choruses call,
bridges hum. Nothing here knows of notes or of sound.
"""

import numpy as np

ENDINGS: tuple[tuple[str, ...], ...] = (
    ("in the night", "by the light", "out of sight", "burn-ing bright", "hold-ing tight"),
    ("an-y day", "on the way", "far a-way", "here to stay", "let it play"),
    ("in the sky", "by and by", "sail-ing high", "ask me why", "say good-bye"),
    ("in the rain", "on the train", "down the lane", "on the plain", "like a chain"),
    ("deep and blue", "on-ly you", "fresh as dew", "ev-er true", "break-ing through"),
    ("to the sea", "wild and free", "you and me", "by the tree", "wait for me"),
    ("on the ground", "all a-round", "lost and found", "with no sound", "home-ward bound"),
    ("in the snow", "soft and slow", "row by row", "long a-go", "let it go"),
    ("in the spring", "on the wing", "hear it ring", "let us sing", "queen and king"),
    ("on the sand", "hand in hand", "through the land", "with the band"),
    ("in a dream", "down the stream", "by the gleam", "like a beam"),
    ("like the moon", "com-ing soon", "af-ter noon", "hum a tune"),
    ("from the heart", "from the start", "worlds a-part", "play your part"),
)
"""Ends of lines, three syllables each, in groups that rhyme."""

_NOUNS = {
    1: "moon road star wind rain bird train fox ship bell lamp fire hill voice box",
    2: "riv-er morn-ing cit-y gar-den shad-ow moun-tain sum-mer win-ter lan-tern win-dow thun-der",
    3: "mem-o-ry har-mon-y mel-o-dy but-ter-fly hur-ri-cane night-in-gale",
}
_ADJECTIVES = {
    1: "old bright cold wild dark sweet quick blue young last next",
    2: "sil-ver gold-en gen-tle qui-et hol-low hap-py vel-vet cop-per e-ven fuz-zy",
    3: "beau-ti-ful won-der-ful e-lec-tric re-mem-bered for-got-ten",
}
_VERBS = {
    1: "sings waits calls turns shines burns sleeps runs jumps",
    2: "fol-lows lin-gers wan-ders trem-bles whis-pers keeps_time",
    3: "is_call-ing is_sing-ing is_danc-ing is_fall-ing keeps_turn-ing",
}
_PRONOUNS = ("we sing", "you wait", "we dream", "they call", "we run", "you smile")
_OWNERS = ("the", "my", "your", "one", "that")
_OPENERS = {1: ("and", "so", "when", "oh"), 2: ("for now", "and so", "oh when")}
_CALLS = {
    1: ("sing", "dance", "oh", "hey"),
    2: ("hold on", "come home", "sing out", "stay close", "oh yes"),
    3: ("come with me", "sing with me", "stay with me", "turn it up", "jump and shout"),
    4: ("take me with you", "move a lit-tle", "leave it be-hind", "give me an-swers"),
    5: ("let the mu-sic play", "we are danc-ing now", "feel the riv-er run"),
}
_HUMS = ("la", "na", "oh", "hey", "doo", "mm")


def line(
    kind: str, count: int, rhyme: int, rng: np.random.Generator, after: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """A line of verse.

    Args:
      kind: "verse", "chorus" or "bridge".
      count: its syllables, at least 1.
      rhyme: which group of `ENDINGS` it ends on, counted round and round; bridges hum and short
        lines call, without a rhyme.
      rng: where its words come from.
      after: the line before, which does not end on the same word.

    Returns:
      `count` syllables, each with the space or comma after it; none after the last.
    """
    if kind == "bridge":
        sound, other = rng.choice(_HUMS, 2, replace=False)
        hums = [other if place % 4 == 3 else sound for place in range(count - 1)] + [other]
        return _syllables(" ".join(hums))
    if count < 3:
        return _syllables(_pick(_CALLS[count], rng))
    fresh = [one for one in ENDINGS[rhyme % len(ENDINGS)] if not after or _last(one) != after[-1]]
    ending = _pick(fresh, rng)
    start = _call(count - 3, rng) if kind == "chorus" else _clause(count - 3, rng)
    return _syllables(f"{start} {ending}".strip())


def _call(count: int, rng: np.random.Generator) -> str:
    calls = []
    while count:
        size = int(rng.integers(min(count, 2), min(count, 5) + 1))
        calls.append(_pick(_CALLS[size], rng) + ",")
        count -= size
    return " ".join(calls)


def _clause(count: int, rng: np.random.Generator) -> str:
    """A subject and a verb; what they leave of the syllables goes to adjectives and an opener."""
    if count < 3:
        return ("", "oh,", _pick(_PRONOUNS, rng))[count]
    words: list[str] = []
    while count > 9:
        words.append(_call(2, rng))
        count -= 2
    if count > 6 or (count > 4 and rng.random() < 0.3):
        size = int(rng.integers(1, 3))
        words.append(_pick(_OPENERS[size], rng))
        count -= size
    sizes = [
        (verb, noun, count - 1 - verb - noun)
        for verb in _VERBS
        for noun in _NOUNS
        if count - 1 - verb - noun in (0, *_ADJECTIVES)
    ]
    verb, noun, rest = sizes[int(rng.integers(len(sizes)))]
    words.append(_pick(_OWNERS, rng))
    if rest:
        words.append(_pick(_ADJECTIVES[rest].split(), rng))
    words.append(_pick(_NOUNS[noun].split(), rng))
    words.append(_pick(_VERBS[verb].split(), rng).replace("_", " "))
    return " ".join(words)


def _last(text: str) -> str:
    return _syllables(text)[-1]


def _pick(choices: list[str] | tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _syllables(text: str) -> tuple[str, ...]:
    parts = [part for word in text.split() for part in f"{word} ".split("-")]
    return (*parts[:-1], parts[-1].strip())
