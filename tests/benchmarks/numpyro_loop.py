"""NumPyro's VAE under ``lax.fori_loop``: run by ``training_step.py --peers`` in an environment of its own.

python numpyro_loop.py BATCH UPDATES     prints the seconds of the updates, compilation excluded
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import lax, random
from jax.example_libraries import stax
from numpyro.infer import SVI, TraceMeanField_ELBO

HIDDEN, LATENT, NUM_IMAGES = 400, 32, 6_000


def encoder():
    return stax.serial(
        stax.Dense(HIDDEN), stax.Relu, stax.Dense(HIDDEN), stax.Relu, stax.FanOut(2),
        stax.parallel(stax.Dense(LATENT), stax.serial(stax.Dense(LATENT), stax.Softplus)),
    )  # fmt: skip


def decoder():
    return stax.serial(stax.Dense(HIDDEN), stax.Relu, stax.Dense(HIDDEN), stax.Relu, stax.Dense(784))


def model(batch):
    decode = numpyro.module("decoder", decoder(), (len(batch), LATENT))
    with numpyro.plate("images", len(batch)):
        z = numpyro.sample("z", dist.Normal(0, 1).expand([LATENT]).to_event(1))
        numpyro.sample("x", dist.Bernoulli(logits=decode(z)).to_event(1), obs=batch)


def guide(batch):
    encode = numpyro.module("encoder", encoder(), (len(batch), 784))
    loc, scale = encode(batch)
    with numpyro.plate("images", len(batch)):
        numpyro.sample("z", dist.Normal(loc, scale).to_event(1))


def main(batch_size: int, updates: int) -> None:
    prototypes = random.uniform(random.PRNGKey(0), (50, 784))
    data = (prototypes[random.randint(random.PRNGKey(1), (NUM_IMAGES,), 0, 50)] > 0.5).astype(jnp.float32)
    svi = SVI(model, guide, numpyro.optim.Adam(1e-3), TraceMeanField_ELBO())
    order = random.permutation(random.PRNGKey(2), NUM_IMAGES)
    state = svi.init(random.PRNGKey(3), data[:batch_size])
    batches = NUM_IMAGES // batch_size

    @jax.jit
    def train(state):
        def body(i, carry):
            state, _ = carry
            rows = lax.dynamic_slice_in_dim(order, (i % batches) * batch_size, batch_size)
            return svi.update(state, data[rows])

        return lax.fori_loop(0, updates, body, (state, 0.0))

    jax.block_until_ready(train(state))
    start = time.perf_counter()
    jax.block_until_ready(train(state))
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
