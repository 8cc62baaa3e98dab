import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from support.pricing.capacity_accuracy import TINY

from codesign.search.joint_space import JointSpace, Pair, distribution
from codesign.supernet.spaces.mobile import BlockChoice, MobileSubnet
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import PARAMETERS, Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError

PAIR = Pair(
    MobileSubnet(8, ((BlockChoice(5, 2),), (BlockChoice(3, 2), BlockChoice(5, 4)))),
    Accelerator(
        pe_rows=16,
        pe_cols=8,
        pe_pixels=2,
        pack=2,
        ifmap_kib=32,
        weight_kib=16,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
    ),
)


def random_rows(joint, count, seed=0):
    rng = np.random.default_rng(seed)
    accelerators = joint.accelerators.encode(joint.accelerators.sample(rng, count))
    return np.concatenate([joint.space.sample_genes(rng, count), accelerators], axis=1)


def test_parameters_of_a_pair_are_what_the_pair_says(joint):
    params = joint.params(joint.encode(PAIR)[None])[0]
    # The one resolution of the space is no parameter.
    expected = {"stage1.depth": 1, "stage2.depth": 2}
    for stage, blocks in enumerate(PAIR.subnet.stages, start=1):
        for number, block in enumerate(blocks, start=1):
            expected[f"stage{stage}.block{number}.kernel"] = block.kernel
            expected[f"stage{stage}.block{number}.expand"] = block.expand
    assert params == {**expected, **PAIR.accelerator.as_dict()}


def test_rows_params_and_pairs_are_the_same_thing(joint):
    for row, params in zip(random_rows(joint, 50), joint.params(random_rows(joint, 50)), strict=True):
        assert np.array_equal(joint.encode_params(params), row)
        pair = joint.decode(row)
        assert np.array_equal(joint.encode(pair), row)
        assert {name: params[name] for name in PARAMETERS} == pair.accelerator.as_dict()
        # One kernel and one expand a block, a depth a stage.
        assert len(params) == len(PARAMETERS) + 2 + 2 * sum(pair.subnet.depths)


def test_params_are_plain_integers_within_their_distributions(joint):
    for params in joint.params(random_rows(joint, 20)):
        for name, value in params.items():
            assert type(value) is int
            chosen = joint.distributions[name]
            assert chosen._contains(chosen.to_internal_repr(value))


def test_evenly_spaced_choices_become_ranges():
    assert distribution((3, 5, 7)) == IntDistribution(3, 7, step=2)
    assert distribution((1, 2)) == IntDistribution(1, 2)
    assert distribution((2, 4, 8)) == CategoricalDistribution((2, 4, 8))
    assert distribution((64,)) == CategoricalDistribution((64,))


def test_every_choice_and_nothing_else_can_be_suggested(joint):
    for name, choices in joint.parameters:
        chosen = joint.distributions[name]
        possible = (
            chosen.choices
            if isinstance(chosen, CategoricalDistribution)
            else range(chosen.low, chosen.high + 1, chosen.step)
        )
        assert tuple(possible) == choices


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage1.block1.kernel": 4}, r"params.stage1.block1.kernel: must be one of .*, got 4"),
        ({"pe_rows": None}, "params.pe_rows: must be one of"),
        ({"lanes": 3}, "params.lanes: must be a parameter of this joint space, got 3"),
    ],
)
def test_wrong_params_are_named(joint, change, message):
    params = {**joint.params(joint.encode(PAIR)[None])[0], **change}
    with pytest.raises(InvalidValueError, match=message):
        joint.encode_params(params)


def test_a_missing_param_is_named(joint):
    params = joint.params(joint.encode(PAIR)[None])[0]
    del params["stage2.block2.expand"]
    with pytest.raises(InvalidValueError, match=r"params\.stage2\.block2\.expand: must be given"):
        joint.encode_params(params)


def test_digest_differs_between_boards_with_other_choices(joint):
    other = JointSpace(TINY, AcceleratorSpace(load_board("zcu104")))
    assert joint.digest == JointSpace(TINY, AcceleratorSpace(load_board("pynq-z2"))).digest
    assert joint.digest != other.digest


def test_optuna_takes_the_parameters(joint):
    params = joint.params(joint.encode(PAIR)[None])[0]
    trial = optuna.trial.create_trial(
        params=params, distributions={name: joint.distributions[name] for name in params}, value=1.0
    )
    assert trial.params == params
