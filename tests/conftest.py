"""What every test shares: eight simulated CPU devices, true float32, and a compilation cache."""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")  # or each command begins twice
# Most of the time goes into compiling, and the compiler's last stage takes half of that.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(__file__).parent / ".cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture(scope="session")
def reference() -> pathlib.Path:
    """The folder of numbers and small checkpoints that the 2020 release computed."""
    return pathlib.Path(__file__).parent / "data" / "reference"
