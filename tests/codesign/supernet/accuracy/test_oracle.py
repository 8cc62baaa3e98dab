"""What every oracle owes a search, whatever its answers come from."""

import subprocess
import sys

import numpy as np
import pytest
from support.networks.named_spaces import DIGITS

from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.accuracy.predictor import fit_predictor
from codesign.supernet.data.data_set import load_digits
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.training.checkpoint import Checkpoint
from codesign.supernet.training.schedule import load_schedule
from hw_templates.foundation.errors import InvalidValueError


def measured():
    checkpoint = Checkpoint(
        space=DIGITS,
        schedule=load_schedule("digits"),
        seed=0,
        step=0,
        losses=(),
        weights=Supernet(DIGITS, 0).state_dict(),
        teacher={},
        optimiser={},
    )
    return MeasuredAccuracy(checkpoint, load_digits())


def predicted():
    rng = np.random.default_rng(0)
    genes = DIGITS.sample_genes(rng, 30)
    return fit_predictor(DIGITS, "abc", genes, rng.uniform(0.2, 0.9, 30))


@pytest.fixture(scope="module", params=[measured, predicted], ids=["measured", "predicted"])
def oracle(request):
    return request.param()


@pytest.fixture(scope="module")
def genes():
    return DIGITS.sample_genes(np.random.default_rng(1), 5)


def test_answers_are_one_accuracy_for_each_row(oracle, genes):
    accuracy = oracle.accuracy(genes)
    assert accuracy.shape == (5,)
    assert accuracy.dtype == np.float64
    assert ((accuracy >= 0) & (accuracy <= 1)).all()
    assert len(set(accuracy.tolist())) > 1


def test_an_answer_is_of_its_row_alone(oracle, genes):
    accuracy = oracle.accuracy(genes)
    order = np.array([4, 0, 0, 2])
    # A sum over a batch may round the last digit another way.
    assert oracle.accuracy(genes[order]) == pytest.approx(accuracy[order], rel=1e-12)


def test_genes_of_absent_blocks_say_nothing(oracle):
    row = DIGITS.encode(DIGITS.smallest())
    other = row.copy()
    other[[DIGITS.columns["stage2.block2.kernel"], DIGITS.columns["stage3.block3.expand"]]] = 1
    one, same = oracle.accuracy(np.stack([row, other]))
    assert one == same


@pytest.mark.parametrize(("column", "value"), [("resolution", 3), ("stage1.depth", -1), ("stage3.block1.kernel", 2)])
def test_what_is_no_genotype_is_refused(oracle, genes, column, value):
    wrong = genes.copy()
    wrong[2, DIGITS.columns[column]] = value
    with pytest.raises(InvalidValueError, match=rf"genes\.{column}"):
        oracle.accuracy(wrong)
    with pytest.raises(InvalidValueError, match="genes: must be of shape"):
        oracle.accuracy(genes[:, 1:])


def test_asking_for_an_oracle_needs_no_torch():
    code = "import sys, codesign.supernet.accuracy.oracle; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
