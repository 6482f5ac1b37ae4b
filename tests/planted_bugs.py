"""Planted bugs: each is one edit of the sources and the test that must notice it.

uv run python tests/planted_bugs.py     plants them one by one and runs those tests; a survivor is an error

A bug is planted as its module is imported, in a process of its own; no file is changed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import io
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRELOAD = [
    *("torch", "pyro", "pyro.infer", "numba", "scipy.stats", "sklearn.mixture", "torch._dynamo", "pytest"),
    *("arviz", "xarray", "netCDF4", "hypothesis", "safetensors.torch", "torch._inductor.compile_fx"),
]
"""Third-party packages that every run needs: imported once, then inherited by forks."""

OPTIONS = ["-x", "-q", "--no-header", "-p", "pytest_timeout", "-p", "no:cacheprovider"]


@dataclass(frozen=True, slots=True)
class Bug:
    """Replaces ``old`` (which occurs once in ``file``) by ``new``; ``tests`` are arguments to pytest."""

    name: str
    file: str
    old: str
    new: str
    tests: str


ANALYSIS, MODELS, STUDY = "tests/analysis", "tests/models", "tests/study"
AGGREGATE = f"{ANALYSIS}/aggregate/test_diagonal.py"
DIVERGENCE, INFORMATION, ESTIMATE, PAIRWISE, MOMENTS, MOMENT_PARTS, GAIN, GEOMETRY, MIXTURES, SUBSAMPLING = (
    f"{ANALYSIS}/test_{name}.py"
    for name in (
        *("divergence", "information", "estimate", "pairwise", "moments"),
        *("moment_parts", "gain", "geometry", "mixtures", "subsampling"),
    )
)
TOTAL_CORRELATION = f"{ANALYSIS}/test_total_correlation.py"
IMPORTANCE, ANNEALING = (f"{ANALYSIS}/likelihood/test_{name}.py" for name in ("importance", "annealing"))
FRECHET, KERNEL_DISTANCE, MANIFOLD = (
    f"{ANALYSIS}/realism/test_{name}.py" for name in ("frechet", "kernel_distance", "manifold")
)
ORTHOGONALITY = f"{ANALYSIS}/test_orthogonality.py"
REFINEMENT = f"{ANALYSIS}/test_refinement.py"
VAE, PRIORS, LINEAR, NETWORK_LAWS = (f"{MODELS}/test_{name}.py" for name in ("vae", "priors", "linear", "networks"))
MOMENT_SOURCES, DISPLACEMENTS = (f"{STUDY}/measurement/test_{name}.py" for name in ("moment_sources", "displacements"))
ENGINES, LOOP, PROCESSES = (f"{STUDY}/run/training/test_{name}.py" for name in ("engines", "loop", "processes"))
LENGTH = f"{STUDY}/design/test_length.py"
DENSITY_FITS = f"{ANALYSIS}/density_fits/test_density_fits.py"

BUGS = [
    Bug("sign of KL(q‖p)", "analysis/divergence.py",
        "return Estimate.mean(from_aggregate.log_ratio,", "return Estimate.mean(-from_aggregate.log_ratio,", DIVERGENCE + "::test_kl_has_its_direction"),
    Bug("wrong direction of KL(p‖q)", "analysis/divergence.py",
        "return Estimate.mean(-from_prior.log_ratio,", "return Estimate.mean(from_prior.log_ratio,", DIVERGENCE + "::test_kl_has_its_direction"),
    Bug("log-ratio upside down", "analysis/draws.py",
        "return self.log_aggregate - self.log_prior", "return self.log_prior - self.log_aggregate", DIVERGENCE + "::test_kl_has_its_direction"),
    Bug("total variation of the other half", "analysis/divergence.py",
        "-torch.expm1(t.clamp(max=0.0))", "-torch.expm1(t.clamp(min=0.0))", DIVERGENCE + "::test_total_variation_of_scaled_normals"),
    Bug("Jensen–Shannon with p and q exchanged", "analysis/divergence.py",
        "math.log(2) - softplus(t)", "math.log(2) - softplus(-t)", DIVERGENCE + "::test_unit_scale_closed_forms"),
    Bug("Bhattacharyya of the whole log-ratio", "analysis/divergence.py",
        "lambda t: _log_sech(t / 2).exp()", "lambda t: _log_sech(t).exp()", DIVERGENCE + "::test_unit_scale_closed_forms"),
    Bug("AUC of the wrong side", "analysis/divergence.py",
        "wins = Estimate.mean(_fraction_below(positive, negative)", "wins = Estimate.mean(_fraction_below(negative, positive)", DIVERGENCE + "::test_unit_scale_closed_forms"),
    Bug("certified gap against nothing", "analysis/divergence.py",
        "Estimate.mean(log_candidate - log_prior, \"lower\"", "Estimate.mean(log_candidate, \"lower\"", DIVERGENCE + "::test_held_out_density_certifies_from_below"),
    Bug("missing log N", "analysis/aggregate/base.py",
        "return self._log_sums(self._points(z), None)[0] - math.log(self.num_components)", "return self._log_sums(self._points(z), None)[0]", AGGREGATE + "::test_densities_match_the_float64_mixture"),
    Bug("covariance with σ for σ²", "analysis/aggregate/diagonal.py",
        "yield loc.double(), scale.double().square()", "yield loc.double(), scale.double()", AGGREGATE + "::test_moments_are_exact"),
    Bug("covariance of the means alone", "analysis/aggregate/base.py",
        "covariance = self.num_components * self._mean_covariance()", "covariance = 0 * self._mean_covariance()", AGGREGATE + "::test_moments_are_exact"),
    Bug("leave-one-out that keeps itself", "analysis/pairwise/__init__.py",
        "return torch.logaddexp(without, excluded_log), without",
        "return torch.logaddexp(without, excluded_log), torch.logaddexp(without, excluded_log)", AGGREGATE + "::test_densities_match_the_float64_mixture"),
    Bug("dropped 2π in the oracle path", "analysis/pairwise/differences.py",
        "inverse.log().sum(-1) - 0.5 * dims * math.log(2 * math.pi)", "inverse.log().sum(-1)", PAIRWISE + "::test_matches_the_float64_mixture"),
    Bug("dropped 2π in the kernel", "analysis/pairwise/kernel.py",
        "+ dims * math.log(2.0 * math.pi)", "", PAIRWISE + "::test_matches_the_float64_mixture"),
    Bug("dropped 2π in the products", "analysis/pairwise/products.py",
        "precision.log().sum(1) + dims * math.log(2 * math.pi)", "precision.log().sum(1)", PAIRWISE + "::test_every_way_gives_the_sum_of_the_others"),
    Bug("products that are always expanded", "analysis/pairwise/products.py",
        "squares.max()) <= LOSS", "squares.max()) <= math.inf", PAIRWISE + "::test_squares_that_would_cancel_are_not_expanded"),
    Bug("half a log-determinant", "analysis/pairwise/kernel.py",
        "2.0 * _log_determinant(scale[first + lane])", "1.0 * _log_determinant(scale[first + lane])", PAIRWISE + "::test_matches_the_float64_mixture"),
    Bug("closed-form KL without its ½", "analysis/information.py",
        "- torch.log1p(excess)) / 2", "- torch.log1p(excess))", INFORMATION + "::test_sampled_rate_agrees_with_closed_form"),
    Bug("closed-form KL with ln σ for ln σ²", "analysis/information.py",
        "excess - torch.log1p(excess)", "excess - torch.log1p(excess) / 2", INFORMATION + "::test_sampled_rate_agrees_with_closed_form"),
    Bug("saturation the wrong way round", "analysis/information.py",
        "- information < SATURATION_NATS", "- information > SATURATION_NATS", INFORMATION + "::test_linear_gaussian_population_is_bracketed"),
    Bug("rate against the aggregate", "analysis/draws.py",
        "            \"rate\": self.log_conditional - self.log_prior,\n            \"information\":",
        "            \"rate\": self.log_conditional - self.log_aggregate,\n            \"information\":", INFORMATION + "::test_surgery_holds_draw_by_draw"),
    Bug("upper end that includes the own component", "analysis/draws.py",
        "\"information_upper\": self.log_conditional - self.log_aggregate_loo", "\"information_upper\": self.log_conditional - self.log_aggregate", INFORMATION + "::test_surgery_holds_draw_by_draw"),
    Bug("standard error of a sum", "analysis/estimate.py",
        "/ (n * (n - 1)))", "/ (n - 1))", ESTIMATE + "::test_mean_of_independent_values"),
    Bug("groups ignored", "analysis/estimate.py",
        "if groups is None:", "if True:", ESTIMATE + "::test_groups_count_images_and_not_draws"),
    Bug("entropy of G forgotten", "analysis/moments.py",
        "float(cross_entropy - gaussian.entropy())", "float(cross_entropy)", MOMENTS + "::test_gaussian_part_is_exact"),
    Bug("mean of G not halved", "analysis/moment_parts.py",
        "/ prior_variance).sum() / 2\n    variances", "/ prior_variance).sum()\n    variances", MOMENT_PARTS + "::test_parts_are_divergences_of_their_own_and_sum_to_that_of_g"),
    Bug("correlations with the sign turned", "analysis/moment_parts.py",
        "factorised.entropy() - gaussian.entropy()", "gaussian.entropy() - factorised.entropy()", MOMENT_PARTS + "::test_parts_are_divergences_of_their_own_and_sum_to_that_of_g"),
    Bug("certified by the prior in the place of the mean", "analysis/moment_parts.py",
        "\"mean\": (own, prior_variance.sqrt())", "\"mean\": (prior_mean, prior_variance.sqrt())", MOMENT_PARTS + "::test_held_out_codes_certify_what_is_known_of_a_linear_model"),
    Bug("gain not squared", "analysis/gain.py",
        ".flatten(2).square().sum(2)", ".flatten(2).abs().sum(2)", GAIN + "::test_of_a_linear_decoder_it_is_the_quadratic_form_of_its_weights"),
    Bug("whitening that colours", "study/measurement/sources/aggregate_whitened.py",
        "values**-0.5", "values**0.5", MOMENT_SOURCES + "::test_a_source_has_the_moments_that_it_says -k aggregate_whitened"),
    Bug("mean of the codes negated", "study/measurement/sources/mean_normal.py",
        "moved_prior(start, start.mean)", "moved_prior(start, -start.mean)", MOMENT_SOURCES + "::test_a_source_has_the_moments_that_it_says -k mean_normal"),
    Bug("nats by C and not its inverse", "study/measurement/displacements.py",
        ".square() / values).sum()", ".square() * values).sum()", DISPLACEMENTS + "::test_gain_step_and_nats_of_a_linear_decoder"),
    Bug("an epoch that goes on beyond the last update", "study/run/training/schedule.py",
        "return max(0, min(self.per_epoch, self.updates - epoch * self.per_epoch))", "return self.per_epoch", LOOP + "::test_a_training_in_updates_makes_as_many"),
    Bug("updates counted with the incomplete batch", "study/design/length.py",
        "return num_images // min(batch_size, num_images)", "return -(-num_images // min(batch_size, num_images))", LENGTH),
    Bug("axes that are not all of the latent's", "analysis/orthogonality.py",
        "_complement(dim * fourth, squared_norm)", "_complement((dim - 1) * fourth, squared_norm)", ORTHOGONALITY),
    Bug("own pairs among the random directions", "analysis/orthogonality.py",
        "squared_norm = (gram.square().sum((1, 2)) - diagonal.square().sum(1)) / pairs", "squared_norm = gram.square().mean((1, 2))", ORTHOGONALITY),
    Bug("units evaluated before what they read is known", "analysis/density_fits/_autoregressive.py",
        "turns = step.order + 1", "turns = step.order", DENSITY_FITS + "::test_draws_of_a_flow_invert_it_in_one_pass_through_its_networks"),
    Bug("whole networks for each dimension of a draw", "analysis/density_fits/_autoregressive.py",
        "units = (due[depth] == turn)", "units = (due[depth] <= turn)", DENSITY_FITS + "::test_draws_of_a_flow_invert_it_in_one_pass_through_its_networks"),
    Bug("spline that begins a bin late", "analysis/density_fits/_spline.py",
        ".tril(-1)", ".tril()", DENSITY_FITS + "::test_splines_are_those_of_zuko"),
    Bug("a decoding for each displacement of a draw", "analysis/gain.py",
        'return vmap(lambda tangent: jvp(decoder, (points,), (tangent,))[1], randomness="same")(tangents)', "return torch.stack([jvp(decoder, (points,), (tangent,))[1] for tangent in tangents])", GAIN + "::test_displacements_of_one_draw_share_its_decoding"),
    Bug("distance by gain without the gain", "analysis/gain.py",
        "centres.transpose(0, 1) - z)", "centres.transpose(0, 1))", ORTHOGONALITY + "::test_the_way_to_the_nearest_centre_is_weighted_by_the_gain"),
    Bug("offset with the bias of a squared mean", "analysis/refinement.py",
        "value = (squared - own.sum()) / (n * (n - 1))", "value = squared / n**2", REFINEMENT),
    Bug("refinement that pays no rate", "analysis/refinement.py",
        "return log_likelihood(z) - rate(prior, q, z)", "return log_likelihood(z)", REFINEMENT),
    Bug("a choice of images that is the first of them", "study/measurement/replicate.py",
        "return self._order[:num]", "return torch.arange(len(self))[:num]",
        "tests/study/measurement/test_measurement.py::test_a_choice_of_images_is_one_of_all_of_them_and_grows"),
    Bug("seeds in common that count twice", "study/answers/pooling.py",
        "best[bisect_left(lasts, cell.seeds[0])]", "best[-1]",
        "tests/study/answers/test_pooling.py::test_seeds_that_two_cells_share_do_not_count_twice"),
    Bug("refined codes in the place of the encoder's", "study/measurement/estimators/refinement.py",
        "replicate.prior, before, after, draws", "replicate.prior, after, before, draws", "tests/study/measurement/test_calibration_annealing.py -k refinement"),
    Bug("a bias beside the shared one", "models/networks/spatial.py",
        "outputs, bias=not shared)", "outputs, bias=True)", NETWORK_LAWS + "::test_biases_are_those_of_the_other_twin"),
    Bug("constant per place on every output", "models/networks/spatial.py",
        "PlaceConstant(stem, (height, width)))\n        else", "PlaceConstant(outputs * stem, (height, width)))\n        else", NETWORK_LAWS + "::test_a_constant_per_place_is_where_it_is_asked_for_and_starts_at_nothing"),
    Bug("overlap that forgets to halve ‖μ‖", "analysis/geometry/overlap.py",
        "/ (2 * math.sqrt(2))", "/ math.sqrt(2)", GEOMETRY + "::test_unit_total_variation_depends_on_the_norm_alone"),
    Bug("Bhattacharyya width term doubled", "analysis/geometry/overlap.py",
        "(narrowing / 2 - centres", "(narrowing - centres", GEOMETRY + "::test_bhattacharyya_against_quadrature"),
    Bug("active units by standard deviation", "analysis/geometry/active_units.py",
        "flat(loc).var(0) > threshold", "flat(loc).std(0) > threshold", GEOMETRY + "::test_active_units"),
    Bug("slope in N and not in log N", "analysis/subsampling.py",
        "torch.tensor(self.sizes, dtype=torch.float64).log()", "torch.tensor(self.sizes, dtype=torch.float64)", SUBSAMPLING + "::test_disjoint_components_have_slope_minus_one"),
    Bug("marginals without log N", "analysis/total_correlation.py",
        " - math.log(len(centres)) - math.log(2 * math.pi) / 2", " - math.log(2 * math.pi) / 2", TOTAL_CORRELATION + "::test_two_components_on_the_diagonal"),
    Bug("BIC with the sign of the likelihood", "analysis/mixtures/mixture.py",
        "return -2 * float(self.log_prob(codes).sum())", "return 2 * float(self.log_prob(codes).sum())", MIXTURES + "::test_same_start_same_path_as_scikit_learn"),
    Bug("importance bound without log K", "analysis/likelihood/importance.py",
        ".logsumexp(2) - math.log(size)).mean(1)", ".logsumexp(2)).mean(1)", IMPORTANCE + "::test_exact_guide_has_weights_without_variance"),
    Bug("annealing path upside down", "analysis/likelihood/annealing.py",
        "(1 - beta) * self.log_initial(z) + beta * self.log_joint(z)", "beta * self.log_initial(z) + (1 - beta) * self.log_joint(z)", ANNEALING + "::test_sandwich_brackets_log_evidence"),
    Bug("Fréchet with one cross term", "analysis/realism/frechet.py",
        "+ traces - 2 * singular.sum()", "+ traces - singular.sum()", FRECHET + "::test_closed_form_of_commuting_covariances"),
    Bug("Fréchet extrapolated the wrong way", "analysis/realism/frechet.py",
        "extrapolated = GROUPS * whole.cost - (GROUPS - 1)", "extrapolated = (GROUPS + 2) * whole.cost - (GROUPS + 1)", FRECHET + "::test_intervals_cover_and_means_are_true"),
    Bug("influence without transport", "analysis/realism/frechet.py",
        "centred.square().sum(1) - transported", "centred.square().sum(1)", FRECHET + "::test_intervals_cover_and_means_are_true"),
    Bug("kernel distance with its diagonal", "analysis/mean_discrepancy.py",
        "rows] = 0.0", "rows] *= 1.0", KERNEL_DISTANCE + "::test_sum_over_pairs"),
    Bug("recall for precision", "analysis/realism/manifold.py",
        "precision=Estimate.mean(hits > 0)", "precision=Estimate.mean(torch.cat(recalled))", MANIFOLD + "::test_brute_force"),
    Bug("stale guide: the model draws its own z", "models/objectives/_pair.py",
        "poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace()", "poutine.trace(model).get_trace()", VAE + "::test_objective_equals_pyros_mean_field_elbo_with_its_gradients -k gaussian_mixture"),
    Bug("β ignored in training", "models/objectives/_pair.py",
        "return scale_and_mask(term, self.scale, self.mask)", "return scale_and_mask(term, 1.0, self.mask)", VAE + "::test_objective_equals_pyros_mean_field_elbo_with_its_gradients -k gaussian_mixture"),
    Bug("β left in the reported rate", "models/objectives/_pair.py",
        "return scale_and_mask(self.term, 1.0, self.mask)", "return scale_and_mask(self.term, self.scale, self.mask)", VAE + "::test_objective_equals_pyros_mean_field_elbo_with_its_gradients -k gaussian_mixture"),
    Bug("sampled KL without the posterior", "models/objectives/_pair.py",
        "q.log_prob(z) - p.log_prob(z) if exact is None", "-p.log_prob(z) if exact is None", VAE + "::test_objective_equals_pyros_mean_field_elbo_with_its_gradients -k gaussian_mixture"),
    Bug("β left in the held-out evaluation", "study/run/training/evaluation.py",
        "images, 1.0).loss", "images, 0.5).loss", LOOP + "::test_held_out_loss_is_the_negative_elbo_whatever_beta"),
    Bug("σ for σ² in the exact posterior", "models/linear.py",
        "/ self.noise**2)\n", "/ self.noise)\n", LINEAR + "::test_elbo_has_no_variance"),
    Bug("pseudo-inputs outside [0, 1]", "models/priors/_pseudo_inputs.py",
        "return self.raw_inputs.sigmoid()", "return self.raw_inputs.sigmoid() * 2", PRIORS + "::test_vamp_is_the_aggregate_posterior_of_its_pseudo_inputs"),
    Bug("Adam without bias correction", "study/run/training/step.py",
        "1 - torch.exp(math.log(beta) * count)", "1 + 0 * count * beta", ENGINES + "::test_pure_step_updates_as_the_eager_engine_does -k shared"),
    Bug("gradients that Adam reads in another order", "study/run/training/traced.py",
        "gradients[name].contiguous()", "gradients[name]", ENGINES + "::test_traced_engine_updates_as_the_eager_engine_does[vamp-conv]"),
    Bug("all replicates share one noise", "study/run/training/batches.py",
        'stream(r, "training noise"', 'stream(0, "training noise"', LOOP + "::test_replicates_share_order_binarisation_and_noise_across_cells"),
    Bug("an epoch that repeats images", "study/run/training/batches.py",
        "torch.randperm(self.num_images,", "torch.randint(self.num_images, (self.num_images,),", LOOP + "::test_an_epoch_sees_each_image_at_most_once"),
    Bug("warm-up that starts at full β", "study/run/training/schedule.py",
        "beta * min(1.0, (update % cycle_updates + 1)", "beta * max(1.0, (update % cycle_updates + 1)", LOOP + "::test_schedules"),
    Bug("a checkpoint that forgets the noise", "study/run/training/updates.py",
        "            batches.restore(tensors)\n", "", LOOP + "::test_interrupted_run_resumes_bit_for_bit"),
    Bug("each process computes the first part of a batch", "study/run/training/share.py",
        "return slice(self.rank * own, (self.rank + 1) * own)", "return slice(0, own)", PROCESSES + "::test_the_shares_of_a_batch_make_up_the_batch"),
    Bug("each process has the noise of the first", "study/run/training/share.py",
        "parts.select(dim + 1, self.rank)", "parts.select(dim + 1, 0)", PROCESSES + "::test_the_shares_of_a_batch_make_up_the_batch"),
]  # fmt: skip


class Planted(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Imports the module at ``path`` with ``source`` in the place of what the file says, and leaves others alone."""

    def __init__(self, path: Path, source: str) -> None:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        super().__init__(name, str(path))
        self.source = source
        self.is_imported = False

    def find_spec(self, fullname, path=None, target=None):
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )

    def get_code(self, fullname):
        self.is_imported = True
        return self.source_to_code(self.source, self.path)


def plant(bug: Bug) -> tuple[str, bool, str]:
    """(name, whether a test failed, what pytest said) of one bug, in a process that has not imported the sources."""
    path = ROOT / bug.file
    text = path.read_text("utf-8")
    if text.count(bug.old) != 1:
        return bug.name, False, f"{bug.old!r} occurs {text.count(bug.old)} times in {bug.file}"
    planted = Planted(path, text.replace(bug.old, bug.new))
    sys.meta_path.insert(0, planted)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    gc.freeze()  # so that pytest, which collects garbage, does not go through torch each time
    import pytest

    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
        if "@njit" in text or "numba" in text:
            os.environ["NUMBA_CACHE_DIR"] = folder  # else kernels of the sound source stand in for those of the planted
        code = pytest.main([*OPTIONS, *bug.tests.split(" ", 2)])
    if not planted.is_imported:
        return bug.name, False, f"the tests did not import {bug.file}"
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
