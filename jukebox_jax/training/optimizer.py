"""How parameters follow gradients: schedule, clipping, AdamW, and the average of the parameters.

The only importer of Optax. A config's `optimizer` section names the fields of `Optimizer`. Nothing
here knows what is trained; which parameters are, and at what share of the rate, is said by `parts`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jukebox_jax.training import parts

MOMENTS = ("float32", "bfloat16", "factored")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OptimizerState:
    """What an optimizer remembers.

    Attributes:
      moments: Optax's state.
      skipped: i32[], steps left out because a gradient was not finite.
      skipped_in_a_row: i32[], of those, the ones since the last good step.
    """

    moments: Any
    skipped: Array
    skipped_in_a_row: Array


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """AdamW with global-norm clipping, linear warm-up and linear decay (paper, appendix B).

    Attributes:
      learning_rate: its highest value.
      warmup: steps over which it rises linearly from 0.
      decay: last steps of the run over which it falls linearly to 0; 0 for none.
      beta1: decay of the first moment.
      beta2: decay of the second moment.
      epsilon: added to the root of the second moment.
      weight_decay: decoupled from the gradient, on kernels and embeddings.
      clip: largest global norm of the gradient; 0 for no clipping.
      average_decay: of the moving average of the parameters; None for the published
        1 - (batch / 8) / 1000, 0 for no average.
      moments: how gradients are remembered. "float32": both of Adam's moments. "bfloat16": the
        first in half the memory; the second moves by less than bfloat16 can tell, and stays
        float32. "factored": of the second only means of rows and columns, from which it is made
        up (Adafactor, Shazeer and Stern 2018), and the first, of what follows from it, in bfloat16.
      accumulate: pieces that a batch is dealt out to, one after the other, to save memory; what
        is learnt is the same.
      freeze: parts that are not trained, as patterns of `parts`, a tuple or separated by commas;
        "codebooks" are those of a VQ-VAE.
      rates: factors of the learning rate of parts, by pattern, or as "pattern=factor,...".
    """

    learning_rate: float = 3e-4
    warmup: int = 100
    decay: int = 0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip: float = 1.0
    average_decay: float | None = None
    moments: str = "float32"
    accumulate: int = 1
    freeze: str | tuple[str, ...] = ()
    rates: str | Mapping[str, float] = ""

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
          ValueError: one is out of its range.
        """
        for name in ("warmup", "decay", "weight_decay", "clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"config.optimizer.{name} = {getattr(self, name)}: 0 or more")
        if self.learning_rate <= 0:
            raise ValueError(f"config.optimizer.learning_rate = {self.learning_rate}: above 0")
        if self.average_decay is not None and not 0 <= self.average_decay < 1:
            raise ValueError(
                f"config.optimizer.average_decay = {self.average_decay}: from 0 to below 1, or None"
            )
        if self.moments not in MOMENTS:
            known = ", ".join(f'"{name}"' for name in MOMENTS)
            raise ValueError(f"config.optimizer.moments = {self.moments!r}: one of {known}")
        if self.accumulate < 1:
            raise ValueError(f"config.optimizer.accumulate = {self.accumulate}: 1 or more pieces")
        parts.read_patterns("config.optimizer.freeze", self.freeze)
        parts.read_factors("config.optimizer.rates", self.rates)

    @property
    def selection(self) -> parts.Selection:
        """Which parameters are trained, and how fast."""
        return parts.Selection(
            parts.read_patterns("config.optimizer.freeze", self.freeze),
            parts.read_factors("config.optimizer.rates", self.rates),
        )

    def schedule(self, step: Array | int, steps: int) -> Array:
        """The learning rate of a step, f32[]; `steps` are those of the whole run."""
        step = jnp.asarray(step, jnp.float32)
        rising = (step + 1) / self.warmup if self.warmup else jnp.ones(())
        falling = (steps - step) / self.decay if self.decay else jnp.ones(())
        return self.learning_rate * jnp.clip(jnp.minimum(rising, falling), 0.0, 1.0)

    def average_decay_for(self, batch: int) -> float:
        """The average's decay at a global batch size."""
        if self.average_decay is not None:
            return self.average_decay
        return max(0.0, 1.0 - batch / 8 / 1000)

    def init(self, params: Any) -> OptimizerState:
        """The state before the first step, of the parameters that are trained."""
        zero = jnp.zeros((), jnp.int32)
        return OptimizerState(self._transform().init(params), zero, zero)

    def update(
        self,
        params: Any,
        grads: Any,
        state: OptimizerState,
        step: Array,
        steps: int,
    ) -> tuple[Any, OptimizerState, Array, dict[str, Array]]:
        """One step; one whose gradient is not finite changes nothing but the counts.

        Args:
          params: the parameters that are trained.
          grads: the gradient, of the same structure.
          state: what `init` or the last step gave.
          step: i32[], steps taken so far.
          steps: steps of the whole run.

        Returns:
          The parameters, the state, whether the gradient was finite (bool[]), and metrics.
        """
        norm = optax.tree.norm(grads)
        finite = jnp.isfinite(norm)
        rate = self.schedule(step, steps)

        def take(params: Any, moments: Any) -> tuple[Any, Any]:
            scale = jnp.minimum(1.0, self.clip / jnp.maximum(norm, 1e-12)) if self.clip else 1.0
            clipped = jax.tree.map(lambda grad: grad * scale, grads)
            updates, moments = self._transform().update(clipped, moments, params)
            factors = self.selection.factors(updates)
            updates = jax.tree.map(lambda one, factor: -rate * factor * one, updates, factors)
            return optax.apply_updates(params, updates), moments

        def keep(params: Any, moments: Any) -> tuple[Any, Any]:
            return params, moments

        params, moments = jax.lax.cond(finite, take, keep, params, state.moments)
        bad = jnp.where(finite, 0, 1)
        state = OptimizerState(
            moments=moments,
            skipped=state.skipped + bad,
            skipped_in_a_row=(state.skipped_in_a_row + bad) * bad,
        )
        metrics = {
            "gradient_norm": norm,
            "learning_rate": rate,
            "skipped": state.skipped,
            "skipped_in_a_row": state.skipped_in_a_row,
        }
        return params, state, finite, metrics

    def _transform(self) -> optax.GradientTransformation:
        """The direction of a step, before the learning rate."""
        return optax.chain(
            *self._scales(),
            optax.add_decayed_weights(
                self.weight_decay,
                mask=_decays,
            )
            if self.weight_decay
            else optax.identity(),
        )

    def _scales(self) -> tuple[optax.GradientTransformation, ...]:
        if self.moments != "factored":
            return (
                optax.scale_by_adam(
                    b1=self.beta1, b2=self.beta2, eps=self.epsilon, mu_dtype=self.moments
                ),
            )

        def decay(step: Array, beta2: Array) -> Array:  # as Adam's, whose bias is corrected
            return beta2 * (1 - beta2**step) / (1 - beta2 ** (step + 1))

        return (
            optax.scale_by_factored_rms(decay_rate=self.beta2, decay_rate_fn=decay),
            optax.ema(self.beta1, debias=True, accumulator_dtype=jnp.bfloat16),
        )


def follow(average: Any, params: Any, decay: float) -> Any:
    """Moves the average of the parameters by one step towards them."""
    return jax.tree.map(lambda mean, leaf: mean + (1 - decay) * (leaf - mean), average, params)


def _decays(params: Any) -> Any:
    """Which leaves are drawn towards 0: neither biases nor norms."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: str(getattr(path[-1], "key", "")) in ("kernel", "embedding"), params
    )
