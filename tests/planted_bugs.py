"""Planted bugs: each is one edit of the sources and the tests that must notice it.

uv run python tests/planted_bugs.py     plants them one by one in a copy and runs those tests; a survivor is an error
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRELOAD = ["torch", "pyro", "pyro.infer", "numba", "scipy.stats", "sklearn.mixture", "torch._dynamo", "pytest"]
"""Third-party packages that every run needs: imported once, then inherited by forks."""


@dataclass(frozen=True, slots=True)
class Bug:
    """Replaces ``old`` (which occurs once in ``file``) by ``new``; ``tests`` are arguments to pytest."""

    name: str
    file: str
    old: str
    new: str
    tests: str


DIVERGENCE, INFORMATION, AGGREGATE = (
    f"tests/analysis/{name}" for name in ("test_divergence.py", "test_information.py", "aggregate")
)
MOMENT_PARTS, GAIN = "tests/analysis/test_moment_parts.py", "tests/analysis/test_gain.py"
MOMENT_SOURCES = "tests/study/measurement/test_moment_sources.py"
DISPLACEMENTS = "tests/study/measurement/test_displacements.py"
NETWORK_LAWS = "tests/models/test_networks.py -k place"
GEOMETRY, MIXTURES, MOMENTS = (f"tests/analysis/test_{name}.py" for name in ("geometry", "mixtures", "moments"))
PAIRWISE, ESTIMATE = "tests/analysis/test_pairwise.py", "tests/analysis/test_estimate.py"
VAE, PRIORS, LINEAR = (f"tests/models/test_{name}.py" for name in ("vae", "priors", "linear"))
ENGINES, LOOP = "tests/study/run/training/test_engines.py", "tests/study/run/training/test_loop.py"
REFINEMENT = "tests/analysis/test_refinement.py"
LENGTH = "tests/study/design/test_length.py"
LIKELIHOOD, REALISM = "tests/analysis/likelihood", "tests/analysis/realism"

FEW = (
    " -k not (flow or maf or nvp or autoreg or diff or energy or lars or hier or exemplar or full or student or hyper)"
)
"""The laws over every prior, on a few of them: any one notices a bug of the pair or the step."""

BUGS = [
    Bug("sign of KL(q‖p)", "analysis/divergence.py",
        "return Estimate.mean(from_aggregate.log_ratio,", "return Estimate.mean(-from_aggregate.log_ratio,", DIVERGENCE),
    Bug("wrong direction of KL(p‖q)", "analysis/divergence.py",
        "return Estimate.mean(-from_prior.log_ratio,", "return Estimate.mean(from_prior.log_ratio,", DIVERGENCE),
    Bug("log-ratio upside down", "analysis/draws.py",
        "return self.log_aggregate - self.log_prior", "return self.log_prior - self.log_aggregate", DIVERGENCE),
    Bug("total variation of the other half", "analysis/divergence.py",
        "-torch.expm1(t.clamp(max=0.0))", "-torch.expm1(t.clamp(min=0.0))", DIVERGENCE),
    Bug("Jensen–Shannon with p and q exchanged", "analysis/divergence.py",
        "math.log(2) - softplus(t)", "math.log(2) - softplus(-t)", DIVERGENCE),
    Bug("Bhattacharyya of the whole log-ratio", "analysis/divergence.py",
        "lambda t: _log_sech(t / 2).exp()", "lambda t: _log_sech(t).exp()", DIVERGENCE),
    Bug("AUC of the wrong side", "analysis/divergence.py",
        "wins = Estimate.mean(_fraction_below(positive, negative)", "wins = Estimate.mean(_fraction_below(negative, positive)", DIVERGENCE),
    Bug("certified gap against nothing", "analysis/divergence.py",
        "Estimate.mean(log_candidate - log_prior, \"lower\"", "Estimate.mean(log_candidate, \"lower\"", DIVERGENCE),
    Bug("missing log N", "analysis/aggregate/base.py",
        "return self._log_sums(self._points(z), None)[0] - math.log(self.num_components)", "return self._log_sums(self._points(z), None)[0]", AGGREGATE),
    Bug("covariance with σ for σ²", "analysis/aggregate/diagonal.py",
        "yield loc.double(), scale.double().square()", "yield loc.double(), scale.double()", AGGREGATE),
    Bug("covariance of the means alone", "analysis/aggregate/base.py",
        "covariance = self.num_components * self._mean_covariance()", "covariance = 0 * self._mean_covariance()", AGGREGATE),
    Bug("leave-one-out that keeps itself", "analysis/pairwise.py",
        "return torch.logaddexp(without, excluded_log), without",
        "return torch.logaddexp(without, excluded_log), torch.logaddexp(without, excluded_log)", AGGREGATE),
    Bug("dropped 2π in the oracle path", "analysis/pairwise.py",
        "inverse.log().sum(-1) - 0.5 * dims * math.log(2 * math.pi)", "inverse.log().sum(-1)", PAIRWISE),
    Bug("dropped 2π in the kernel", "analysis/pairwise.py",
        "+ dims * math.log(2.0 * math.pi)", "", PAIRWISE),
    Bug("half a log-determinant", "analysis/pairwise.py",
        "2.0 * _log_determinant(scale[first + lane])", "1.0 * _log_determinant(scale[first + lane])", PAIRWISE),
    Bug("closed-form KL without its ½", "analysis/information.py",
        "- torch.log1p(excess)) / 2", "- torch.log1p(excess))", INFORMATION),
    Bug("closed-form KL with ln σ for ln σ²", "analysis/information.py",
        "excess - torch.log1p(excess)", "excess - torch.log1p(excess) / 2", INFORMATION),
    Bug("saturation the wrong way round", "analysis/information.py",
        "- information < SATURATION_NATS", "- information > SATURATION_NATS", INFORMATION),
    Bug("rate against the aggregate", "analysis/draws.py",
        "            \"rate\": self.log_conditional - self.log_prior,\n            \"information\":",
        "            \"rate\": self.log_conditional - self.log_aggregate,\n            \"information\":", INFORMATION),
    Bug("upper end that includes the own component", "analysis/draws.py",
        "\"information_upper\": self.log_conditional - self.log_aggregate_loo", "\"information_upper\": self.log_conditional - self.log_aggregate", INFORMATION),
    Bug("standard error of a sum", "analysis/estimate.py",
        "/ (n * (n - 1)))", "/ (n - 1))", ESTIMATE),
    Bug("groups ignored", "analysis/estimate.py",
        "if groups is None:", "if True:", ESTIMATE),
    Bug("entropy of G forgotten", "analysis/moments.py",
        "float(cross_entropy - gaussian.entropy())", "float(cross_entropy)", MOMENTS),
    Bug("mean of G not halved", "analysis/moment_parts.py",
        "/ prior_variance).sum() / 2\n    variances", "/ prior_variance).sum()\n    variances", MOMENT_PARTS),
    Bug("correlations with the sign turned", "analysis/moment_parts.py",
        "factorised.entropy() - gaussian.entropy()", "gaussian.entropy() - factorised.entropy()", MOMENT_PARTS),
    Bug("certified by the prior in the place of the mean", "analysis/moment_parts.py",
        "\"mean\": (own, prior_variance.sqrt())", "\"mean\": (prior_mean, prior_variance.sqrt())", MOMENT_PARTS),
    Bug("gain not squared", "analysis/gain.py",
        ".double().square().sum(1)", ".double().abs().sum(1)", GAIN),
    Bug("whitening that colours", "study/measurement/sources/aggregate_whitened.py",
        "values**-0.5", "values**0.5", MOMENT_SOURCES),
    Bug("mean of the codes negated", "study/measurement/sources/mean_normal.py",
        "moved_prior(start, start.mean)", "moved_prior(start, -start.mean)", MOMENT_SOURCES),
    Bug("nats by C and not its inverse", "study/measurement/displacements.py",
        ".square() / values).sum()", ".square() * values).sum()", DISPLACEMENTS),
    Bug("an epoch that goes on beyond the last update", "study/run/training/schedule.py",
        "return max(0, min(self.per_epoch, self.updates - epoch * self.per_epoch))", "return self.per_epoch", LOOP),
    Bug("updates counted with the incomplete batch", "study/design/length.py",
        "return num_images // min(batch_size, num_images)", "return -(-num_images // min(batch_size, num_images))", LENGTH),
    Bug("offset with the bias of a squared mean", "analysis/refinement.py",
        "value = (squared - own.sum()) / (n * (n - 1))", "value = squared / n**2", REFINEMENT),
    Bug("refinement that pays no rate", "analysis/refinement.py",
        "return log_likelihood(z) - rate(prior, q, z)", "return log_likelihood(z)", REFINEMENT),
    Bug("refined codes in the place of the encoder's", "study/measurement/estimators/refinement.py",
        "replicate.prior, before, after, draws", "replicate.prior, after, before, draws", "tests/study/measurement/test_calibration_annealing.py -k refinement"),
    Bug("constant per place on every output", "models/networks/spatial.py",
        "PlaceConstant(stem, (height, width)))\n        else", "PlaceConstant(outputs * stem, (height, width)))\n        else", NETWORK_LAWS),
    Bug("overlap that forgets to halve ‖μ‖", "analysis/geometry/overlap.py",
        "/ (2 * math.sqrt(2))", "/ math.sqrt(2)", GEOMETRY),
    Bug("Bhattacharyya width term doubled", "analysis/geometry/overlap.py",
        "(narrowing / 2 - centres", "(narrowing - centres", GEOMETRY),
    Bug("active units by standard deviation", "analysis/geometry/active_units.py",
        "flat(loc).var(0) > threshold", "flat(loc).std(0) > threshold", GEOMETRY),
    Bug("slope in N and not in log N", "analysis/subsampling.py",
        "torch.tensor(self.sizes, dtype=torch.float64).log()", "torch.tensor(self.sizes, dtype=torch.float64)", "tests/analysis/test_subsampling.py"),
    Bug("marginals without log N", "analysis/total_correlation.py",
        " - math.log(len(centres)) - math.log(2 * math.pi) / 2", " - math.log(2 * math.pi) / 2", "tests/analysis/test_total_correlation.py"),
    Bug("BIC with the sign of the likelihood", "analysis/mixtures/mixture.py",
        "return -2 * float(self.log_prob(codes).sum())", "return 2 * float(self.log_prob(codes).sum())", MIXTURES),
    Bug("importance bound without log K", "analysis/likelihood/importance.py",
        ".logsumexp(2) - math.log(size)).mean(1)", ".logsumexp(2)).mean(1)", LIKELIHOOD),
    Bug("annealing path upside down", "analysis/likelihood/annealing.py",
        "(1 - beta) * self.log_initial(z) + beta * self.log_joint(z)", "beta * self.log_initial(z) + (1 - beta) * self.log_joint(z)", LIKELIHOOD),
    Bug("Fréchet with one cross term", "analysis/realism/frechet.py",
        "+ traces - 2 * singular.sum()", "+ traces - singular.sum()", REALISM),
    Bug("Fréchet extrapolated the wrong way", "analysis/realism/frechet.py",
        "extrapolated = GROUPS * whole.cost - (GROUPS - 1)", "extrapolated = (GROUPS + 2) * whole.cost - (GROUPS + 1)", REALISM),
    Bug("influence without transport", "analysis/realism/frechet.py",
        "centred.square().sum(1) - transported", "centred.square().sum(1)", REALISM),
    Bug("kernel distance with its diagonal", "analysis/mean_discrepancy.py",
        "rows] = 0.0", "rows] *= 1.0", REALISM),
    Bug("recall for precision", "analysis/realism/manifold.py",
        "precision=Estimate.mean(hits > 0)", "precision=Estimate.mean(torch.cat(recalled))", REALISM),
    Bug("stale guide: the model draws its own z", "models/objectives/_pair.py",
        "poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace()", "poutine.trace(model).get_trace()", VAE + FEW),
    Bug("β ignored in training", "models/objectives/_pair.py",
        "return scale_and_mask(term, self.scale, self.mask)", "return scale_and_mask(term, 1.0, self.mask)", VAE + FEW),
    Bug("β left in the reported rate", "models/objectives/_pair.py",
        "return scale_and_mask(self.term, 1.0, self.mask)", "return scale_and_mask(self.term, self.scale, self.mask)", VAE + FEW),
    Bug("sampled KL without the posterior", "models/objectives/_pair.py",
        "q.log_prob(z) - p.log_prob(z) if exact is None", "-p.log_prob(z) if exact is None", VAE + FEW),
    Bug("β left in the held-out evaluation", "study/run/training/evaluation.py",
        "images, 1.0).loss", "images, 0.5).loss", LOOP),
    Bug("σ for σ² in the exact posterior", "models/linear.py",
        "/ self.noise**2)\n", "/ self.noise)\n", LINEAR),
    Bug("pseudo-inputs outside [0, 1]", "models/priors/_pseudo_inputs.py",
        "return self.raw_inputs.sigmoid()", "return self.raw_inputs.sigmoid() * 2", f"{PRIORS} -k pseudo"),
    Bug("Adam without bias correction", "study/run/training/step.py",
        "1 - BETA_1**count, 1 - BETA_2**count", "1 + 0 * count, 1 + 0 * count", ENGINES + FEW),
    Bug("all replicates share one noise", "study/run/training/batches.py",
        'stream(r, "training noise"', 'stream(0, "training noise"', LOOP),
    Bug("an epoch that repeats images", "study/run/training/batches.py",
        "torch.randperm(self.num_images,", "torch.randint(self.num_images, (self.num_images,),", LOOP),
    Bug("warm-up that starts at full β", "study/run/training/schedule.py",
        "beta * min(1.0, (update % cycle_updates + 1)", "beta * max(1.0, (update % cycle_updates + 1)", LOOP),
    Bug("a checkpoint that forgets the noise", "study/run/training/loop.py",
        "            batches.restore(saved.tensors)\n", "", LOOP),
]  # fmt: skip


def plant(bug: Bug) -> tuple[str, bool, str]:
    """(name, whether a test failed, what pytest said) of one bug in a copy of its own."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("analysis", "models", "study", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        source = copy / bug.file
        text = source.read_text("utf-8")
        if text.count(bug.old) != 1:
            return bug.name, False, f"{bug.old!r} occurs {text.count(bug.old)} times in {bug.file}"
        source.write_text(text.replace(bug.old, bug.new), "utf-8")
        os.chdir(copy)
        os.environ["NUMBA_CACHE_DIR"] = str(copy / "numba")
        sys.path.insert(0, str(copy))
        import pytest

        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = pytest.main(["-x", "-q", "--no-header", "-p", "no:cacheprovider", *bug.tests.split(" ", 2)])
        import analysis

        if not Path(analysis.__file__).is_relative_to(copy):
            return bug.name, False, "the tests did not import the copy"
        return bug.name, code == pytest.ExitCode.TESTS_FAILED, said.getvalue()[-2_000:]


def survivors(bugs: list[Bug], workers: int = 2) -> Iterator[tuple[str, bool, str]]:
    """Results of every bug, as they come."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        yield from pool.map(plant, bugs)


def main() -> int:
    """Prints one line per bug; the exit code counts survivors."""
    escaped = 0
    for name, caught, said in survivors(BUGS):
        print(f"{'caught  ' if caught else 'SURVIVED'} {name}" + ("" if caught else f"\n{said}"), flush=True)
        escaped += not caught
    print(f"{len(BUGS) - escaped} of {len(BUGS)} caught")
    return escaped


if __name__ == "__main__":
    sys.exit(main())
