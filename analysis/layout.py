"""Layout: the groups of a cell's tree of results, their dimensions and their rows, without the libraries that hold it.

    posterior      per-draw integrands in nats, dims (chain, draw, split): a mean over draws is the estimate, so that
                   ``az.summary`` gives mean, interval and Monte Carlo error of each quantity
    sample_stats   log-densities of the same draws
    aggregate      every estimate, dims (chain, split, quantity): value, standard_error, n, num_draws, bound, flags
    realism        likewise of samples, dims (chain, source, quantity)
    densities      likewise of densities fitted to codes, dims (chain, density, quantity)
    importance_bounds  importance-weighted bounds on log p(x) of held-out images, dims (chain, image); no draws of
                   log p(x|z), which ArviZ's LOO would need: images share no parameters that a fold could leave out
    mixtures       Gaussian mixtures fitted to codes, dims (chain, covariance, components)
    training       curves, dims (chain, epoch)
    constant_data  the image behind each draw
    prior_draws    log_q, log_p of draws of the prior, dims (chain, draw, split), nats
    shells         aggregate_norm, prior_norm: ‖z‖ of draws of the training aggregate and of the prior, (chain, draw)
    codes          of single training images, (chain, code): mean_norm ‖μ‖, and overlap of the bubble with N(0, I):
                   kl_standard (nats), log_bhattacharyya (nats), unit_total_variation (at σ = 1)
    spectrum       eigenvalue of the exact covariance of the training aggregate, descending, (chain, rank)
    subsampling    kl and standard_error of KL(q_S ‖ p) over subsets S of ``size`` images, (chain, split, size), nats
    calibration    share of simulated z with at most a rank among draws of q(z|x), in the least uniform dimension, and
                   lower and upper end of the band that uniform ranks keep to, (chain, rank)
    padding        with inert dimensions appended up to ``padded_dim``, (chain, padded_dim): kl, information,
                   total_variation, and shell_thickness sd‖z‖/E‖z‖
    decoded        of single decoded draws, (chain, source, draw): log_ratio log q_N − log p of the latent (nats) and
                   distance of the image to the nearest real one in feature space
    displacements  of draws of the training aggregate displaced by δ, (chain, displacement): lost (squared Fréchet
                   distance), gain E‖J(z) δ‖² and step E‖g(z + δ) − g(z)‖² (squared pixel values), nats ½ δᵀC⁻¹δ,
                   squared_norm ‖δ‖², with the ``direction`` of each
    samples        pixels, uint8 0…255, (chain, source, image, channel, height, width): the first of each source, with
                   ``title`` and ``formula`` of each (source)

``chain`` is the training seed: replicates are independent trainings and not Markov chains, so ArviZ's ``r_hat``
measures how far seeds disagree. ``draw`` is an independent evaluation draw.
"""

from __future__ import annotations

SPLITS = ("train", "held_out")
ROWS = {"aggregate": "split", "realism": "source", "densities": "density"}
"""Groups of estimates, and what their rows are."""

UNDEFINED = "not defined here"
SCHEMA_VERSION = 3
