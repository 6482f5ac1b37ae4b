"""Bad input at the command line: the named exit code, one sentence that names the fault, nothing written or lost."""

import os
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch

from study.cli import main

CONFIGURATION, DATA, ENVIRONMENT = 2, 3, 4

FILES = {
    "twice.yaml": "settings:\n  beta: 1\n  beta: 2\n",
    "unclosed.yaml": "factors:\n  beta: [1, 2\n",
    "tab.yaml": "settings:\n\tbeta: 1\n",
    "list.yaml": "- digits\n",
    "named.yaml": "name: ../../elsewhere\nsettings: {beta: 1}\n",
    "empty.yaml": "",
    "two.yaml": "settings: {beta: 1}\n---\nsettings: {beta: 2}\n",
    "section.yaml": "setings: {}\n",
    "typo.yaml": "settings: {train: {epoch: 3}}\n",
    "factor.yaml": "factors: {latent_dims: [2, 4]}\n",
    "scalar_factor.yaml": "factors: {latent_dim: 2}\n",
    "empty_factor.yaml": "factors: {latent_dim: []}\n",
    "both.yaml": "settings: {beta: 1}\nfactors: {beta: [1, 2]}\n",
    "dotted.yaml": "settings: {train.epochs: 1, train: {epochs: 2}}\n",
    "object.yaml": "settings: !!python/object/apply:os.system [touch pwned]\n",
    "binary.yaml": b"\xff\xfe\x00\x01",
    "good.yaml": "settings: {train: {epochs: 1}}\n",
    "data/corrupt/MNIST/raw/train-images-idx3-ubyte": b"garbage",
    "data/corrupt/MNIST/raw/train-labels-idx1-ubyte": b"garbage",
    "data/corrupt/MNIST/raw/t10k-images-idx3-ubyte": b"garbage",
    "data/corrupt/MNIST/raw/t10k-labels-idx1-ubyte": b"garbage",
    "data/images/a/broken.png": b"not a picture",
    "data/nothing/README": "no images",
    "results/digits/cells/000000000000/manifest.json": "{}",
}

CASES = [
    # the words after `latent-study`, the exit code, and what the sentence must name
    ("rum", CONFIGURATION, ["rum"]),
    ("export results ''", CONFIGURATION, ["words that say something", "variable is not set"]),
    ("gather results --into=", CONFIGURATION, ["words that say something", "--into="]),
    ("run two.yaml", CONFIGURATION, ["two.yaml", "line 2", "a single document", "another document"]),
    ("diagnose good.yaml --draws 99999999999", CONFIGURATION, ["draws", "99999999999"]),
    ("diagnose good.yaml --name ../x", CONFIGURATION, ["'../x' cannot be the name of a file"]),
    ("diagnose .hidden.npz", CONFIGURATION, ["'.hidden' cannot be the name of a file", "rename"]),
    ("--versoin", CONFIGURATION, ["--versoin"]),
    ("run --dryrun", CONFIGURATION, ["--dryrun", "--dry-run"]),
    ("run --workers", CONFIGURATION, ["--workers"]),
    ("summary --format xml", CONFIGURATION, ["xml", "csv"]),
    ("summary elsewhere", CONFIGURATION, ["elsewhere"]),
    ("summary results", CONFIGURATION, ["no finished cell", "results/digits"]),
    ("status elsewhere", CONFIGURATION, ["elsewhere"]),
    ("status results extra", CONFIGURATION, ["extra"]),
    ("list prior", CONFIGURATION, ["'prior'", "did you mean 'priors'"]),
    # studies
    ("run digit", CONFIGURATION, ["preset 'digit'", "did you mean 'digits'"]),
    ("run absent.yaml", CONFIGURATION, ["absent.yaml", "No such file"]),
    ("run data/", CONFIGURATION, ["data/", "directory"]),
    ("run twice.yaml", CONFIGURATION, ["twice.yaml", "line 3", "'beta' occurs twice"]),
    ("run unclosed.yaml", CONFIGURATION, ["unclosed.yaml", "line 3"]),
    ("run tab.yaml", CONFIGURATION, ["tab.yaml", "line 2"]),
    ("run list.yaml", CONFIGURATION, ["list.yaml", "settings and factors"]),
    ("run named.yaml", CONFIGURATION, ["named.yaml", "the name of its file"]),
    ("run empty.yaml", CONFIGURATION, ["empty.yaml", "settings and factors"]),
    ("run section.yaml", CONFIGURATION, ["'setings'", "did you mean 'settings'"]),
    ("run typo.yaml", CONFIGURATION, ["'train.epoch'", "did you mean 'train.epochs'"]),
    ("run factor.yaml", CONFIGURATION, ["'latent_dims'", "did you mean 'latent_dim'"]),
    ("run scalar_factor.yaml", CONFIGURATION, ["factors.latent_dim", "list"]),
    ("run empty_factor.yaml", CONFIGURATION, ["empty_factor.yaml", "latent_dim", "at least one value"]),
    ("run both.yaml", CONFIGURATION, ["both.yaml", "beta is set twice"]),
    ("run dotted.yaml", CONFIGURATION, ["dotted.yaml", "train.epochs is set twice"]),
    ("run object.yaml", CONFIGURATION, ["object.yaml", "line 1", "python/object"]),
    ("run binary.yaml", CONFIGURATION, ["binary.yaml", "UTF-8"]),
    # overrides
    ("run digits beta", CONFIGURATION, ["key=value", "'beta'"]),
    ("run digits =4", CONFIGURATION, ["key=value", "'=4'"]),
    ("run digits beta=", CONFIGURATION, ["beta=", "needs a value"]),
    ("run beta=[1", CONFIGURATION, ["beta=[1"]),
    ("run beta=1,,2", CONFIGURATION, ["beta=1,,2"]),
    ("run beta=1 beta=2", CONFIGURATION, ["beta is given twice"]),
    ("run betta=1", CONFIGURATION, ["'betta'", "did you mean 'beta'"]),
    ("run train.epoch=1", CONFIGURATION, ["'train.epoch'", "did you mean 'train.epochs'"]),
    ("run trian.epochs=1", CONFIGURATION, ["'trian'", "did you mean 'train'"]),
    ("run train=3", CONFIGURATION, ["train is a group", "train.epochs"]),
    ("run beta.scale=1", CONFIGURATION, ["'beta.scale'"]),
    ("run train.engine=eager,compiled", CONFIGURATION, ["train.engine", "cannot be a factor"]),
    # parts
    ("run prior=vmap", CONFIGURATION, ["prior 'vmap'", "did you mean 'vamp'"]),
    ("run prior=vamp,standart_normal", CONFIGURATION, ["'standart_normal'", "did you mean 'standard_normal'"]),
    ("run posterior=normal", CONFIGURATION, ["posterior 'normal'", "diagonal_normal"]),
    ("run network=cnn", CONFIGURATION, ["network 'cnn'", "conv, gated, mlp"]),
    ("run likelihood=bernouli", CONFIGURATION, ["likelihood 'bernouli'", "did you mean 'bernoulli'"]),
    ("run objective=iwae2", CONFIGURATION, ["objective 'iwae2'"]),
    ("run dataset=minst", CONFIGURATION, ["dataset 'minst'", "did you mean 'mnist'"]),
    ("run prior=3", CONFIGURATION, ["prior", "name", "3"]),
    ("run prior.component=5", CONFIGURATION, ["'prior.component'", "did you mean 'prior.components'"]),
    ("run prior=standard_normal prior.components=5", CONFIGURATION, ["prior.components", "standard_normal"]),
    ("run prior=vamp prior.components=0", CONFIGURATION, ["prior.components", "at least 1", "0"]),
    ("run prior=vamp prior.components=2.5", CONFIGURATION, ["prior.components", "integer", "2.5"]),
    ("run prior=vamp prior.components=many", CONFIGURATION, ["prior.components", "integer", "'many'"]),
    ("run prior=gaussian_mixture prior.spread=-1", CONFIGURATION, ["prior.spread", "positive", "-1"]),
    ("run posterior.min_scale=0", CONFIGURATION, ["posterior.min_scale", "positive"]),
    ("run digits network.hidden=128", CONFIGURATION, ["network.hidden", "list in brackets", "128"]),
    ("run digits network.hidden=[0]", CONFIGURATION, ["network.hidden", "at least 1", "0"]),
    ("run network=conv network.channels=[8]", CONFIGURATION, ["network.channels"]),
    ("run network=conv image_size=30", CONFIGURATION, ["multiples of 4", "30×30", "image_size"]),
    # values
    ("run latent_dim=0", CONFIGURATION, ["latent_dim", "positive integer", "0"]),
    ("run latent_dim=2,-8", CONFIGURATION, ["latent_dim", "positive integer", "-8"]),
    ("run latent_dim=2.5", CONFIGURATION, ["latent_dim", "16x8x8", "2.5"]),
    ("run latent_dim=16x", CONFIGURATION, ["latent_dim", "16x8x8", "'16x'"]),
    ("run latent_dim=99999999999999999999", CONFIGURATION, ["D = 99999999999999999999", "cannot be built"]),
    ("run beta=-1", CONFIGURATION, ["beta", "must not be negative", "-1"]),
    ("run beta=.nan", CONFIGURATION, ["beta", "finite", "nan"]),
    ("run beta=high", CONFIGURATION, ["beta", "number", "'high'"]),
    ("run seeds=0", CONFIGURATION, ["seeds", "must be at least 1"]),
    ("run seeds=true", CONFIGURATION, ["seeds", "integer", "True"]),
    ("run train.epochs=-3", CONFIGURATION, ["train.epochs", "must be at least 1", "-3"]),
    ("run train.learning_rate=0", CONFIGURATION, ["train.learning_rate", "must be positive"]),
    ("run train.schedule=cosin", CONFIGURATION, ["train.schedule", "'cosine'", "'cosin'"]),
    ("run train.precision=fp16", CONFIGURATION, ["train.precision", "'bf16'", "'fp16'"]),
    ("run train.patience=0", CONFIGURATION, ["train.patience", "must be at least 1"]),
    ("run binarisation=dynamical", CONFIGURATION, ["binarisation", "'dynamic'", "'dynamical'"]),
    ("run evaluate.components=5", CONFIGURATION, ["evaluate.components", "list in brackets"]),
    ("run evaluate.components=[]", CONFIGURATION, ["evaluate.components", "at least one"]),
    ("run evaluate.covariances=[diag]", CONFIGURATION, ["evaluate.covariances", "'diagonal'", "'diag'"]),
    ("run limit=1000000", CONFIGURATION, ["limit", "1,000,000", "mnist_5k"]),
    # how to run
    ("run --workers 0", CONFIGURATION, ["--workers", "'0'"]),
    ("run --workers many", CONFIGURATION, ["--workers", "'many'"]),
    ("run --shard 3", CONFIGURATION, ["--shard", "'3'"]),
    ("run --shard 3/2", CONFIGURATION, ["--shard", "'3/2'"]),
    ("run --shard 0/2", CONFIGURATION, ["--shard", "'0/2'"]),
    ("run --device gpu", CONFIGURATION, ["device 'gpu'", "cuda"]),
    # data
    ("run dataset=mnist --data-root data/nothing", DATA, ["mnist", "data/nothing/MNIST/raw", "--data-root"]),
    ("run dataset=kmnist --data-root data/nothing", DATA, ["kmnist", "data/nothing", "--data-root"]),
    ("run dataset=mnist --data-root data/corrupt", DATA, ["data/corrupt/MNIST/raw", "corrupt"]),
    ("run dataset=folder --data-root data/absent", DATA, ["folder", "data/absent"]),
    ("run dataset=folder --data-root data/nothing", DATA, ["folder", "data/nothing"]),
    ("run dataset=folder --data-root data/images", DATA, ["broken.png"]),
    # environment
    ("run smoke --results good.yaml", ENVIRONMENT, ["good.yaml", "--results"]),
    ("run smoke --results good.yaml/deeper", ENVIRONMENT, ["good.yaml/deeper", "--results"]),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def offline(*_, **__):
        raise urllib.error.URLError("no network in this test")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LATENT_STUDY_DATA", raising=False)
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    return tmp_path


def contents(folder: Path):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def assert_one_sentence(stderr: str, names: list[str]):
    (line,) = stderr.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in line
    for name in names:
        assert name in line


@pytest.mark.parametrize(("words", "code", "names"), CASES, ids=[words for words, *_ in CASES])
def test_one_sentence_and_the_exit_code(folder, capsys, words, code, names):
    before = contents(folder)
    assert main(shlex.split(words)) == code
    out, err = capsys.readouterr()
    assert_one_sentence(err, names)
    assert out == ""
    assert contents(folder) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has a CUDA device")
def test_cuda_without_cuda(folder, capsys):
    before = contents(folder)
    assert main(["run", "--device", "cuda"]) == ENVIRONMENT
    assert_one_sentence(capsys.readouterr().err, ["--device cuda", "--device cpu"])
    assert contents(folder) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_results_folder_without_write_permission(folder, capsys):
    closed = folder / "closed"
    closed.mkdir(mode=0o500)
    assert main(["run", "smoke", "--results", str(closed)]) == ENVIRONMENT
    assert_one_sentence(capsys.readouterr().err, [str(closed), "Permission denied"])


def test_debug_adds_the_traceback(folder, capsys):
    assert main(["run", "prior=vmap", "--debug"]) == CONFIGURATION
    *trace, line = capsys.readouterr().err.splitlines()
    assert trace[0].startswith("Traceback")
    assert_one_sentence(line, ["vmap"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "names"),
    [
        ("run prior=vmap", CONFIGURATION, ["did you mean 'vamp'"]),
        ("run dataset=folder --data-root data/absent", DATA, ["data/absent"]),
        ("run smoke --results good.yaml", ENVIRONMENT, ["good.yaml"]),
    ],
)
def test_the_same_from_a_shell(folder, words, code, names):
    before = contents(folder)
    command = [sys.executable, "-m", "study", *words.split()]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == code
    assert_one_sentence(done.stderr, names)
    assert done.stdout == ""
    assert contents(folder) == before
