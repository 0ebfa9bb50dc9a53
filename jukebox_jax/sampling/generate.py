"""Logits to a code, and one window filled with codes by one loop on the device.

A window is `context` codes of which the first are known. `begin` reads those in one pass, `advance`
draws code after code up to a position and can be called again from there, `generate` is both. All
are pure. The noise of a code is a function of its song's key and of its absolute position alone,
so nothing that is drawn depends on batches, windows, chunks or interruptions. What steers drawing
(temperature, filters, guidance, forced codes, a function on the logits) is data or left out.
Nothing here knows where windows lie or what a song is.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jukebox_jax.prior import prior
from jukebox_jax.prior.conditioning import Conditioning
from jukebox_jax.prior.prior import Params, Prior
from jukebox_jax.prior.transformer import Cache

_BURST = 16
"""Codes between two looks at whether the window is full: on a GPU each look stalls the device."""

Hook = Callable[[Array, int, Array, Array], Array]
"""A traced function of logits f32[batch, bins], the level, positions in the song's level i32[batch]
and the codes before i32[batch, context], the latest last and -1 where the window holds none; it
gives back logits, -inf for a code that is not to be drawn. It must leave one."""

_COLUMNS = 64  # a long cumulative sum is taken in rows of this many


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Decoding:
    """A window that is being filled.

    Attributes:
      window: i32[batch, context], the codes so far and whatever stood behind them. Negative ones
        are lyric tokens that a model with a joint vocabulary drew.
      cache: what the layers remember of the positions before `position`.
      position: i32[], where the next code belongs.
    """

    window: Array
    cache: Cache
    position: Array


def generate(
    model: Prior,
    params: Params,
    window: Array,
    known: Array | int,
    until: Array | int,
    conditioning: Conditioning,
    keys: Array,
    *,
    start: Array | int = 0,
    temperature: Array | float = 1.0,
    top_k: Array | int | None = None,
    top_p: Array | float | None = None,
    guidance: Array | float | None = None,
    forced: Array | None = None,
    hook: Hook | None = None,
    level: int = 0,
) -> Array:
    """Fills a window from `known` to `until`.

    One compilation serves all windows of a model and a batch size: what is known, what is wanted,
    where the window lies and the settings are data. A setting that is off (0 or None)
    leaves its computation out.

    Args:
      model: the prior.
      params: its parameters; `prior.unstack` them once to save a copy in each call.
      window: i32[batch, context]; from `known` on it does not matter.
      known: how many codes are given, from 0 to context.
      until: the position to stop before; codes from there on come back as they were.
      conditioning: what `prior.condition` gave; with guidance that of 2 * batch songs, those that
        are guided towards and then what they are guided away from.
      keys: [batch] typed random keys, one a song, of its seed and the level.
      start: absolute position of the window's first code, for the noise; one, or i32[batch].
      temperature: divides the logits; above 0. One number, one a song, or [batch, context], one a
        place of the window, as the next three.
      top_k: draw among the codes whose logit is not below the k-th largest. 1 draws the most
        probable code, of equals the one of lower index.
      top_p: draw among the fewest codes whose probability together exceeds this.
      guidance: how far logits go from the unconditional ones, 0, by way of the conditional ones,
        1, and beyond (classifier-free guidance, Ho and Salimans 2022, equation 6 with w + 1).
      forced: i32[batch, context], codes that are taken as they are; negative where one is drawn.
      hook: changes logits, see `Hook`, after guidance and before all else; static, so that each
        is compiled once: give the same function again.
      level: what the hook is told; static.

    Returns:
      i32[batch, context]. Where the vocabulary of the logits is larger than `model.bins`, the
      surplus comes first, and a code drawn from it is negative. Where nothing could be drawn, as
      of logits that are no numbers, stands `model.bins`.

    Raises:
      ValueError: a setting given as a plain number lies out of range.
    """
    _check(temperature, top_k, top_p)
    batch = window.shape[0]
    if guidance is not None:
        window = jnp.tile(window, (2, 1))
    state = begin(model, params, window, known, conditioning)
    settings = dict(temperature=temperature, top_k=_or_off(top_k), top_p=_or_off(top_p))
    state = advance(
        model,
        params,
        state,
        until,
        conditioning,
        keys,
        start=start,
        guidance=guidance,
        forced=forced,
        hook=hook,
        level=level,
        **settings,
    )
    return state.window[:batch]


@functools.partial(jax.jit, static_argnames=("model", "read"))
def begin(
    model: Prior,
    params: Params,
    window: Array,
    known: Array | int,
    conditioning: Conditioning,
    *,
    read: int | None = None,
) -> Decoding:
    """Reads the known codes of a window in one pass.

    Args:
      model: as in `generate`, and so are the others.
      params: see there.
      window: see there.
      known: see there.
      conditioning: see there.
      read: how many codes the pass computes, `known` or more, see `reading`; by default all of
        the window. Each value is another compilation.
    """
    cache = prior.prefill(model, params, window[:, :read], known, conditioning)
    return Decoding(window=window, cache=cache, position=jnp.asarray(known, jnp.int32))


def reading(model: Prior, known: int) -> int:
    """How many codes `begin` has to compute to read `known` of a window.

    They and the lyrics in front fill whole rows; of the numbers that do, some eight are used, so
    that few programs are compiled.
    """
    rows = (model.prefix + model.context) // model.block
    step = math.ceil(rows / 8) * model.block
    return min(
        math.ceil((model.prefix + max(known, 1)) / step) * step - model.prefix, model.context
    )


@functools.partial(jax.jit, static_argnames=("model", "hook", "level"), donate_argnames="state")
def advance(
    model: Prior,
    params: Params,
    state: Decoding,
    until: Array | int,
    conditioning: Conditioning,
    keys: Array,
    *,
    start: Array | int = 0,
    temperature: Array | float = 1.0,
    top_k: Array | int | None = None,
    top_p: Array | float | None = None,
    guidance: Array | float | None = None,
    forced: Array | None = None,
    hook: Hook | None = None,
    level: int = 0,
) -> Decoding:
    """Draws the codes from `state.position` to `until`; the state that is passed in is used up.

    Arguments as in `generate`, but that a setting is off only as None, and that with guidance the
    state is one of 2 * batch windows, of which the second half repeats the first.
    """
    until = jnp.asarray(until, jnp.int32)
    starts = jnp.broadcast_to(jnp.asarray(start, jnp.int32), keys.shape)

    def one(_: Any, state: Decoding) -> Decoding:
        # A burst that reaches `until` draws its last code again and again. That changes nothing:
        # the same code goes to the same place, in the window and in the cache.
        position = _on_all_cores(jnp.minimum(state.position, until - 1))
        before = jax.lax.dynamic_index_in_dim(
            state.window, jnp.maximum(position - 1, 0), axis=1, keepdims=False
        )
        logits, cache = prior.step(model, params, before, conditioning, state.cache, position)
        if guidance is not None:
            logits = _guided(logits, _column(_now(guidance, position)))
        if hook is not None:
            logits = _hooked(hook, level, logits, model.bins, starts, state.window, position)
        kept = keep(
            logits,
            temperature=_now(temperature, position),
            top_k=_now(top_k, position),
            top_p=_now(top_p, position),
        )
        code = draw(kept, noise(keys, starts + position)) - (logits.shape[-1] - model.bins)
        if forced is not None:
            given = _now(forced, position)
            code = jnp.where(given >= 0, given, code)
        if guidance is not None:
            code = jnp.tile(code, 2)
        window = jax.lax.dynamic_update_slice_in_dim(state.window, code[:, None], position, axis=1)
        return Decoding(window=window, cache=cache, position=position + 1)

    return jax.lax.while_loop(
        lambda state: state.position < until,
        lambda state: jax.lax.fori_loop(0, _BURST, one, state),
        state,
    )


def _on_all_cores(position: Array) -> Array:
    """The same position, sorted.

    XLA for a CPU takes a loop for small whose every operation it can put into one function, however
    large the arrays: jax 0.12 decoded one song on one core, at half the pace, and compiled that
    function for minutes. A sort it cannot put there.
    """

    def sort(position: Array) -> Array:
        return jax.lax.sort(jnp.stack([position, position]))[0]

    return jax.lax.platform_dependent(position, cpu=sort, default=lambda position: position)


def noise(keys: Array, position: Array | int) -> Array:
    """The noise that decides one code: f32[batch] in [0, 1), from [batch] keys and its places."""
    places = jnp.broadcast_to(jnp.asarray(position), keys.shape)
    one = jax.vmap(lambda key, place: jax.random.uniform(jax.random.fold_in(key, place)))
    return one(keys, places)


def keep(
    logits: Array,
    *,
    temperature: Array | float = 1.0,
    top_k: Array | int | None = None,
    top_p: Array | float | None = None,
) -> Array:
    """Divides logits by the temperature and takes away what is not to be drawn.

    Both filters find their threshold by bisection over the bits of a float, 32 sums instead of a
    sort. Where both are on, top_p counts the probability of what top_k left.

    Args:
      logits: f32[batch, bins].
      temperature: f32[] or f32[batch], above 0.
      top_k: i32[] or i32[batch]; None for off, and 0 for a song that does without.
      top_p: f32[] or f32[batch]; None for off, and 0 for a song that does without.

    Returns:
      f32[batch, bins], -inf where a code is taken away. At least one is left.
    """
    logits = logits / _column(temperature)
    if top_k is not None:
        order = _sortable(logits)
        threshold = _threshold(order, jnp.ones_like(logits), _column(top_k) - 1.0)
        left = order >= threshold
        best = jnp.arange(logits.shape[-1]) == jnp.argmax(logits, axis=-1, keepdims=True)
        left = jnp.where(_column(top_k) == 1, best, left | (_column(top_k) <= 0))
        logits = jnp.where(left, logits, -jnp.inf)
    if top_p is not None:
        order, share = _sortable(logits), jax.nn.softmax(logits, axis=-1)
        threshold = _threshold(order, share, _column(top_p))
        above, equal = order > threshold, order == threshold
        before = jnp.sum(jnp.where(above, share, 0), axis=-1, keepdims=True)
        before = before + _cumulative(jnp.where(equal, share, 0)) - share
        # Of equals on the threshold only so many are left as it takes, those of lower index.
        left = above | (equal & (before <= _column(top_p)))
        off = (_column(top_p) <= 0) | (_column(top_p) >= 1)
        logits = jnp.where(left | off, logits, -jnp.inf)
    return logits


def draw(logits: Array, uniform: Array) -> Array:
    """Draws by the inverse of the cumulative distribution.

    One uniform number a song costs a tenth of Gumbel noise on every logit.

    Args:
      logits: f32[batch, bins]; those of -inf are never drawn.
      uniform: f32[batch] in [0, 1).

    Returns:
      i32[batch]; the number of bins, which no code has, where logits leave nothing to draw: some
      are no numbers, or all are -inf.
    """
    weights = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
    sums = jnp.where(weights > 0, _cumulative(weights), 0)
    target = uniform[:, None] * jnp.max(sums, axis=-1, keepdims=True)
    places = jnp.arange(logits.shape[-1], dtype=jnp.int32)
    return jnp.min(jnp.where(sums > target, places, logits.shape[-1]), axis=-1)


def _threshold(order: Array, weights: Array, limit: Array) -> Array:
    """The largest number such that the weights of what is not below it exceed the limit.

    Args:
      order: u32[batch, bins].
      weights: f32[batch, bins].
      limit: [batch or 1, 1].

    Returns:
      u32[batch, 1], one of each row's numbers (or 0, where the limit is never exceeded).
    """

    def bit(index: Array, threshold: Array) -> Array:
        higher = threshold | (jnp.uint32(1 << 31) >> index.astype(jnp.uint32))
        weight = jnp.sum(jnp.where(order >= higher, weights, 0), axis=-1, keepdims=True)
        return jnp.where(weight > limit, higher, threshold)

    return jax.lax.fori_loop(0, 32, bit, jnp.zeros((order.shape[0], 1), jnp.uint32))


def _sortable(values: Array) -> Array:
    """Floats as unsigned integers of the same order; both zeros become one."""
    bits = jax.lax.bitcast_convert_type(jnp.where(values == 0, 0, values), jnp.uint32)
    return jnp.where(bits >> 31 == 1, ~bits, bits | jnp.uint32(1 << 31))


def _cumulative(values: Array) -> Array:
    """Cumulative sums over the last axis, in rows, since one long sum is slow."""
    batch, length = values.shape
    rows = math.ceil(length / _COLUMNS)
    grid = jnp.pad(values, ((0, 0), (0, rows * _COLUMNS - length))).reshape(batch, rows, _COLUMNS)
    inside = jnp.cumsum(grid, axis=-1)
    before = jnp.cumsum(inside[..., -1:], axis=1) - inside[..., -1:]
    return (inside + before).reshape(batch, rows * _COLUMNS)[:, :length]


def _now(setting: Any, position: Array) -> Any:
    """What of a setting holds at one place of the window, where it has one a place."""
    if getattr(setting, "ndim", 0) < 2:
        return setting
    return jax.lax.dynamic_index_in_dim(setting, position, axis=1, keepdims=False)


def _guided(logits: Array, guidance: Array) -> Array:
    """f32[batch, ...] of f32[2 * batch, ...]; just the conditional ones where guidance is 1."""
    towards, away = jnp.split(logits, 2)
    return jnp.where(guidance == 1, towards, away + guidance * (towards - away))


def _hooked(
    hook: Hook,
    level: int,
    logits: Array,
    bins: int,
    starts: Array,
    window: Array,
    position: Array,
) -> Array:
    """Logits as a hook leaves them; it sees those of codes alone."""
    batch, context = logits.shape[0], window.shape[1]
    before = jnp.roll(jnp.maximum(window[:batch], 0), -position, axis=1)
    before = jnp.where(jnp.arange(context) >= context - position, before, -1)
    surplus, own = jnp.split(logits, [logits.shape[1] - bins], axis=1)
    own = hook(own, level, starts + position, before)
    # What is drawn of the surplus becomes code 0, and so goes where that goes.
    surplus = jnp.where(own[:, :1] == -jnp.inf, -jnp.inf, surplus)
    return jnp.concatenate([surplus, own], axis=1)


def _column(setting: Array | float) -> Array:
    """A setting of all songs, or of each, as [1 or batch, 1]."""
    return jnp.asarray(setting, jnp.float32).reshape(-1, 1)


def _or_off(setting: Any) -> Any:
    return None if isinstance(setting, (int, float)) and not setting else setting


def _check(temperature: Any, top_k: Any, top_p: Any) -> None:
    """Refuses plain numbers out of range; what is traced cannot be looked at."""
    if isinstance(temperature, (int, float)) and not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature={temperature}: give a number above 0, or top_k=1 for the most probable"
        )
    if isinstance(top_k, (int, float)) and (top_k < 0 or top_k != int(top_k)):
        raise ValueError(f"top_k={top_k}: give a whole number, 0 for off")
    if isinstance(top_p, (int, float)) and not 0 <= top_p <= 1:
        raise ValueError(f"top_p={top_p}: give a probability from 0 to 1, 0 for off")
