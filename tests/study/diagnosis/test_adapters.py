"""Adapters: models of other packages give the codes and images that they give themselves."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from analysis.randomness import stream
from study.diagnosis import diagnose
from study.diagnosis.adapters import adapted, registered
from study.diagnosis.diagnose import evaluation
from study.diagnosis.evidence import Evidence
from study.diagnosis.questions.mismatch import certified
from study.errors import ConfigurationError
from study.run.data.loading import load

FEW = evaluation(draws=40, samples=20, importance=(1, 2), importance_images=3, densities=())


def images(num=80, channels=1, side=8):
    return torch.rand(num, channels, side, side, generator=stream(0, "images of adapters"))


class Pair(nn.Module):
    """A VAE as Pyro's tutorial writes it."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(64, 6), nn.Linear(3, 64)

    def model(self, x):
        pyro.module("dec", self.dec)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), 3), x.new_ones(len(x), 3)).to_event(1))
            logits = self.dec(z).reshape(-1, 1, 8, 8)
            pyro.sample("x", dist.Bernoulli(logits=logits, validate_args=False).to_event(3), obs=x)

    def guide(self, x):
        pyro.module("enc", self.enc)
        with pyro.plate("data", len(x)):
            loc, raw = self.enc(x.flatten(1)).chunk(2, 1)
            pyro.sample("z", dist.Normal(loc, raw.exp()).to_event(1))


def test_a_pyro_pair_is_diagnosed_as_its_networks_are():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pair = Pair()
    pyro.clear_param_store()
    encode, decode = adapted((pair.model, pair.guide))
    found = Evidence(diagnose(encode, decode, images=images(), evaluate=FEW).tree, {})
    assert not found("aggregate/train/elbo").is_refused

    def by_hand(x):
        loc, raw = pair.enc(x.flatten(1)).chunk(2, 1)
        return loc, raw.exp()

    own = diagnose(
        by_hand,
        lambda z: dist.Bernoulli(logits=pair.dec(z).reshape(-1, 1, 8, 8), validate_args=False),
        images=images(),
        evaluate=FEW,
    )
    for address in ("aggregate/train/rate", "aggregate/train/elbo", "aggregate/held_out/log_px"):
        assert found.number(address) == pytest.approx(Evidence(own.tree, {}).number(address), rel=1e-5)
    pyro.clear_param_store()


def test_what_has_no_adapter_says_which_there_are():
    assert {"pyro_pair", "diffusers", "pythae", "scvi"} <= registered().keys()
    with pytest.raises(ConfigurationError, match=r"no adapter for torch.*pythae"):
        adapted(nn.Linear(2, 2))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the other package
def test_diffusers_codes_are_those_in_which_people_sample():
    diffusers = pytest.importorskip("diffusers")
    model = diffusers.AutoencoderKL(
        block_out_channels=(8,),
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=8,
        latent_channels=2,
        scaling_factor=0.5,
        shift_factor=0.25,
    ).eval()
    encode, decode = adapted(model)
    few = images(4, 3)
    with torch.no_grad():
        q = model.encode(2 * few - 1).latent_dist
        loc, scale = encode(few)
        torch.testing.assert_close(loc, (q.mean - 0.25) * 0.5)
        torch.testing.assert_close(scale, q.std * 0.5)
        torch.testing.assert_close(decode(loc), (model.decode(q.mean).sample / 2 + 0.5).clamp(0, 1))
    few = evaluation(draws=20, samples=20, densities=(), omit=("gain",))  # its decoder is slow
    answer = diagnose(encode, decode, images=images(80, 3), evaluate=few)
    assert answer.cell.latent_shape == tuple(loc.shape[1:])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the other package
def test_a_pythae_vae_trained_on_mnist_is_diagnosed():
    models = pytest.importorskip("pythae.models")
    data = load("mnist_5k")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.VAE(models.VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce"))
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(30):
            for rows in torch.randperm(len(data.images)).split(128):
                optimiser.zero_grad()
                model({"data": data.images[rows]}).loss.backward()
                optimiser.step()
    encode, decode = adapted(model.train())
    answer = diagnose(
        encode,
        decode,
        images=data.images,
        held_out=data.held_out_images,
        labels=data.labels,
        held_out_labels=data.held_out_labels,
        evaluate=evaluation(draws=500, samples=500),
    )
    assert model.training
    found = Evidence(answer.tree, dict(answer.details))
    with torch.no_grad():
        output = model.eval()({"data": data.held_out_images})
        code = model.encoder(data.held_out_images)
    loc, scale = code.embedding, (code.log_covariance / 2).exp()
    rate = ((loc.square() + scale.square() - 1) / 2 - scale.log()).sum(1).mean()  # of all, where draws are of 500
    own = found("aggregate/held_out/rate")
    assert abs(own.value - float(rate)) < 4 * own.standard_error
    assert 0 < found.number("aggregate/held_out/reconstruction_error") < 0.03
    assert output.recon_x.shape == data.held_out_images.shape
    assert certified(found)
    levels = [found.number(f"realism/{name}/squared_frechet") for name in ("aggregate_train", "moment_normal", "prior")]
    assert levels == sorted(levels)
    assert answer.best == "gaussian_mixture"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the other package
def test_scvi_models_give_the_codes_of_their_cells(tmp_path, monkeypatch):
    scvi = pytest.importorskip("scvi")
    monkeypatch.chdir(tmp_path)  # training writes logs where it runs
    adata = scvi.data.synthetic_iid(batch_size=60)
    scvi.model.SCVI.setup_anndata(adata, batch_key="batch")
    model = scvi.model.SCVI(adata, n_latent=3)
    model.train(max_epochs=2)
    encode, decode = adapted(model)
    assert decode is None
    cells = torch.arange(adata.n_obs)
    few = cells[[7, 3, 11]]
    torch.testing.assert_close(encode(few)[0], torch.tensor(model.get_latent_representation(indices=few.numpy())))
    answer = diagnose(encode, images=cells, evaluate=FEW)
    assert answer.cell.latent_dim == 3
    found = Evidence(answer.tree, dict(answer.details))
    rows = found.record("outliers", "row")
    loc, scale = encode(torch.tensor(rows))
    cost = ((loc.square() + scale.square() - 1) / 2 - scale.log()).sum(1)
    assert found.record("outliers", "rate") == pytest.approx(cost.numpy(), rel=1e-4)
