"""The published predictors against the reference implementation's own encoders and networks."""

import dataclasses
import itertools
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.mutations import drive, mutated_bytes, mutated_fields
from support.networks.named_spaces import DIGITS, OFA_MBV3_W10, OFA_MBV3_W12, OFA_PROXYLESS_W13, OFA_RESNET50D
from support.networks.reference_ofa import reference_accuracies
from support.shared_data import shared_data

from codesign.supernet.accuracy.official_predictor import (
    OfficialPredictor,
    known_space,
    load_official_predictor,
)
from hw_templates.foundation.errors import FetchError, InvalidValueError, StorageError

FILES = {"ofa-mbv3-w1.2": "acc_predictor.pth", "ofa-resnet50d": "ofa_resnet50_acc_predictor.pth"}


@pytest.fixture(scope="module", params=[OFA_MBV3_W12, OFA_RESNET50D], ids=lambda space: space.name)
def space(request):
    return known_space(request.param)


@pytest.fixture(scope="module")
def oracle(space):
    return load_official_predictor(space, shared_data("ofa"))


def mobile_weights():
    sizes = (128, 400, 400, 400, 1)
    state = {}
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        state |= {f"{2 * index}.weight": torch.zeros(outputs, inputs), f"{2 * index}.bias": torch.zeros(outputs)}
    return state


def written(tmp_path, state):
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    return path


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_answers_are_those_of_the_reference(space, oracle):
    genes = space.sample_genes(np.random.default_rng(0), 300)
    genes = np.concatenate([genes, np.stack([space.encode(space.smallest()), space.encode(space.largest())])])
    expected = reference_accuracies(shared_data("ofa") / FILES[space.name], [space.decode(row) for row in genes])
    assert oracle.accuracy(genes) == pytest.approx(expected, abs=2e-6)
    assert np.ptp(expected) > 0.03


def test_a_subnet_has_as_many_inputs_as_choices(space, oracle):
    genes = space.sample_genes(np.random.default_rng(1), 50)
    inputs = oracle.inputs(genes)
    assert inputs.shape == (50, 128 if space.name == "ofa-mbv3-w1.2" else 82)
    assert set(np.unique(inputs)) == {0, 1}
    for row, codes in zip(genes, inputs, strict=True):
        blocks = sum(space.decode(row).depths)
        assert codes.sum() == (1 + 2 * (blocks - 1) if space.name == "ofa-mbv3-w1.2" else 1 + 7 + blocks)


def test_the_known_resolutions_are_those_that_were_trained(space, oracle):
    """More pixels, more accuracy: not so for the other resolutions that MobileNetV3's predictor has inputs for."""
    genes = space.sample_genes(np.random.default_rng(2), 200)
    column = space.columns["resolution"]
    means = []
    for index in range(len(space.resolutions)):
        genes[:, column] = index
        means.append(oracle.accuracy(genes).mean())
    assert means == sorted(means)
    if space.name == "ofa-mbv3-w1.2":
        inputs = oracle.inputs(genes)
        inputs[:, 120:] = np.eye(8)[1]
        for weight, bias in oracle.layers:
            inputs = inputs @ weight + bias
            inputs = np.maximum(inputs, 0) if weight.shape[1] > 1 else inputs
        assert inputs.mean() > means[1] > means[0]


def test_an_answer_is_of_its_row_alone_and_ignores_absent_blocks(space, oracle):
    genes = space.sample_genes(np.random.default_rng(3), 3000)
    accuracy = oracle.accuracy(genes)
    assert accuracy.dtype == np.float64
    assert oracle.accuracy(genes[[2500, 3]]) == pytest.approx(accuracy[[2500, 3]], abs=1e-6)
    assert oracle.accuracy(genes[:0]).shape == (0,)
    noisy = np.random.default_rng(4).integers([len(choices) for _, choices in space.genes], size=genes.shape)
    noisy = np.where(space.relevant(genes), genes, noisy)
    assert (noisy != genes).any()
    assert oracle.accuracy(noisy) == pytest.approx(accuracy, abs=1e-6)


def test_it_travels_to_other_processes_without_torch(space, oracle, tmp_path):
    genes = space.sample_genes(np.random.default_rng(5), 4)
    (tmp_path / "oracle").write_bytes(pickle.dumps((oracle, genes)))
    code = (
        "import sys, pickle, pathlib\n"
        "oracle, genes = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "assert 'torch' not in sys.modules\n"
        "print(oracle.digest, *oracle.accuracy(genes))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "oracle")]
    digest, *answers = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert digest == oracle.digest
    assert np.array(answers, dtype=float) == pytest.approx(oracle.accuracy(genes), abs=1e-6)


def test_its_digest_names_the_published_file():
    digests = {name: load_official_predictor(known_space(space), shared_data("ofa")).digest for name, space in
               (("mobile", OFA_MBV3_W12), ("resnet", OFA_RESNET50D))}  # fmt: skip
    assert digests == {"mobile": "48685122a3540636", "resnet": "68912b4b4be38feb"}


def test_the_fetched_file_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("CODESIGN_CACHE", str(tmp_path))
    space = known_space(OFA_MBV3_W12)
    with pytest.raises(FetchError, match=r"is not there yet; `codesign fetch acc_predictor\.pth` brings it"):
        load_official_predictor(space)
    torch.save(mobile_weights(), tmp_path / "acc_predictor.pth")
    with pytest.raises(FetchError, match=r"was published with sha256:48685122a354"):
        load_official_predictor(space)
    shutil.copyfile(shared_data("ofa") / "acc_predictor.pth", tmp_path / "acc_predictor.pth")
    assert load_official_predictor(space).digest == "48685122a3540636"


@pytest.mark.parametrize("space", [DIGITS, OFA_MBV3_W10, OFA_PROXYLESS_W13], ids=lambda space: space.name)
def test_spaces_without_a_predictor_are_refused(space, tmp_path):
    expected = rf"^space: must be ofa-mbv3-w1\.2 or ofa-resnet50d, .* got '{space.name}'"
    with pytest.raises(InvalidValueError, match=expected):
        load_official_predictor(space, tmp_path)
    with pytest.raises(InvalidValueError, match=expected):
        known_space(space)
    with pytest.raises(InvalidValueError, match=expected):
        OfficialPredictor(space, "", ())


def test_resolutions_that_it_does_not_know_are_refused(tmp_path):
    path = written(tmp_path, mobile_weights())
    for wrong in ((128, 160), (224, 256), (160, 200)):
        space = dataclasses.replace(OFA_MBV3_W12, resolutions=wrong)
        with pytest.raises(InvalidValueError, match=r"space\.resolutions: must be in 160\.\.224"):
            load_official_predictor(space, path)
    with pytest.raises(InvalidValueError, match=r"space\.resolutions: must be such that some are in \(160,"):
        known_space(dataclasses.replace(OFA_MBV3_W12, resolutions=(128, 132)))


def test_genotypes_of_another_space_are_refused(tmp_path):
    space = known_space(OFA_MBV3_W12)
    oracle = load_official_predictor(space, written(tmp_path, mobile_weights()))
    with pytest.raises(InvalidValueError, match="genes: must be of shape"):
        oracle.accuracy(OFA_RESNET50D.encode(OFA_RESNET50D.largest())[None])
    with pytest.raises(InvalidValueError, match=r"genes\.resolution"):
        oracle.accuracy(OFA_MBV3_W12.encode(OFA_MBV3_W12.largest())[None])


def test_a_predictor_of_another_space_is_named(tmp_path):
    path = written(tmp_path, mobile_weights())
    with pytest.raises(StorageError, match=r"accuracy predictor of ofa-mbv3-w1\.2, wanted ofa-resnet50d"):
        load_official_predictor(OFA_RESNET50D, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"6.bias": None}, r"6\.bias is of shape none, wanted \(1,\)"),
        ({"8.bias": torch.zeros(1)}, r"8\.bias is of shape \(1,\), wanted none"),
        ({"0.weight": torch.zeros(400, 82)}, r"0\.weight is of shape \(400, 82\), wanted \(400, 128\)"),
    ],
)
def test_missing_extra_and_misshapen_weights_are_named(tmp_path, change, message):
    state = {name: tensor for name, tensor in {**mobile_weights(), **change}.items() if tensor is not None}
    with pytest.raises(StorageError, match=message):
        load_official_predictor(known_space(OFA_MBV3_W12), written(tmp_path, state))


HOSTILE = (
    None, 3, "x", [], {}, torch.zeros(0), torch.zeros(400), torch.full((400,), float("nan")), torch.zeros(400, 400, 1),
    torch.zeros(400, dtype=torch.int64), torch.zeros(400, dtype=torch.complex64), torch.zeros(400).to_sparse(),
    torch.zeros(1).expand(400), torch.zeros(400, dtype=torch.float64),
)  # fmt: skip


def test_any_official_predictor_is_read_or_refused_in_one_line(tmp_path):
    space, path, state = known_space(OFA_MBV3_W12), tmp_path / "weights.pth", mobile_weights()
    genes = space.sample_genes(np.random.default_rng(0), 2)
    torch.save(state, path)
    whole = path.read_bytes()

    def read(content):
        # To truncate an old file waits for the disk.
        path.unlink()
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        answers = load_official_predictor(space, path).accuracy(genes)
        assert ((answers >= 0) & (answers <= 1)).all()

    with np.errstate(over="ignore", invalid="ignore"):
        accepted, refused = drive(read, mutated_bytes(whole, 400))
    assert accepted > 50
    assert refused > 50
    accepted, refused = drive(read, mutated_fields(state, HOSTILE, 1_600))
    assert accepted > 10
    assert refused > 1_000
