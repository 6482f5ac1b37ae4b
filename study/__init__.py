"""Study: experiments over latent dimensions and priors: grids, training, measurement, storage, answer."""
