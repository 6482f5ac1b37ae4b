"""Sampler: a fitted density as files that need torch and safetensors alone.

sampler.py              loads, samples and scores it; the source of :mod:`study.diagnosis.standalone`
sampler.json            shape and type of latents, and what the density is
sampler.safetensors     its parameters, a mixture of normals
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from safetensors.torch import save_file

from analysis.density_fits import FittedDensity
from study.errors import ConfigurationError, EnvironmentFault
from study.files import replacing

PAGE = files("study.diagnosis").joinpath("standalone.py")


def write_sampler(name: str, density: FittedDensity, folder: Path) -> Path:
    """Writes the three files of ``density`` into ``folder``, which it gives.

    Args:
        name: of the density.
        density: fitted to codes.
        folder: made where it is absent.

    Raises:
        ConfigurationError: where the density is no mixture of normals.
        EnvironmentFault: where the files cannot be written.
    """
    parameters = density.density.normals()
    if parameters is None:
        raise ConfigurationError(
            f"{name} is no mixture of normals, which alone can be taken away as torch code; "
            "name aggregate_kernel, gaussian_mixture or moment_normal"
        )
    about = {
        "density": name,
        "latent_shape": list(density.latent_shape),
        "dtype": str(density.dtype).removeprefix("torch."),
        "components": len(parameters["weights"]),
        "held_out_log_density": density.held_out_score.value,
        "chosen": {option: float(value) for option, value in density.choices.items()},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "sampler.safetensors") as aside:
            save_file({part: tensor.cpu().contiguous() for part, tensor in parameters.items()}, aside)
        with replacing(folder / "sampler.json") as aside:
            aside.write_text(json.dumps(about, indent=2), "utf-8")
        with replacing(folder / "sampler.py") as aside:
            aside.write_text(PAGE.read_text("utf-8"), "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"cannot write in {folder}: {error.strerror or error}; choose another folder") from error
    return folder
