import numpy as np
import pytest
import torch
from support.pricing.shapes import layer_of
from torch import nn
from torch.nn import functional

from codesign.supernet.layers.elastic import (
    BatchNormStatistics,
    ElasticConvolution,
    ElasticDepthwise,
    StatisticsRecorder,
    activate,
    normalise_by_batch,
)
from cost_models.workload import Activation, Operation
from hw_templates.foundation.errors import InvalidValueError


def random_weights(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def random_features(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("activation", "formula"),
    [
        (Activation.IDENTITY, lambda x: x),
        (Activation.RELU, lambda x: np.maximum(x, 0)),
        (Activation.RELU6, lambda x: np.clip(x, 0, 6)),
        (Activation.HSWISH, lambda x: x * np.clip(x + 3, 0, 6) / 6),
        (Activation.HSIGMOID, lambda x: np.clip(x + 3, 0, 6) / 6),
    ],
)
def test_activations_by_their_formulas(activation, formula):
    values = np.linspace(-8, 8, 101, dtype=np.float32)
    assert np.allclose(activate(torch.from_numpy(values.copy()), activation).numpy(), formula(values), atol=1e-6)


def dense(in_channels, out_channels, kernel=3):
    return layer_of(Operation.CONV, in_channels, out_channels, 8, 8, kernel, kernel, 1, kernel // 2)


def depthwise_layer(channels, kernel):
    return layer_of(Operation.DEPTHWISE, channels, channels, 8, 8, kernel, kernel, 1, kernel // 2)


@pytest.mark.parametrize(("kernel", "bias"), [(1, True), (3, False), (5, True)])
def test_a_convolution_lends_its_first_channels(kernel, bias):
    elastic = random_weights(ElasticConvolution(dense(6, 8, kernel), bias=bias))
    assert elastic.weight.shape == (8, 6, kernel, kernel)
    weight, part_bias = elastic.part(dense(4, 5, kernel))
    assert torch.equal(weight, elastic.weight[:5, :4])
    assert torch.equal(part_bias, elastic.bias[:5]) if bias else part_bias is elastic.bias is None


def test_only_the_part_in_use_learns():
    elastic = random_weights(ElasticConvolution(dense(6, 8), bias=True))
    weight, bias = elastic.part(dense(4, 5))
    functional.conv2d(random_features(2, 4, 5, 5), weight, bias, padding=1).sum().backward()
    assert (elastic.weight.grad[:5, :4] != 0).all()
    assert not elastic.weight.grad[5:].any()
    assert not elastic.weight.grad[:, 4:].any()
    assert (elastic.bias.grad != 0).tolist() == [True] * 5 + [False] * 3


def test_kernel_transformation_is_identity_at_first():
    depthwise = ElasticDepthwise(depthwise_layer(4, 7), (3, 5, 7))
    nn.init.normal_(depthwise.weight, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(depthwise.part(depthwise_layer(4, 3))[0], depthwise.weight[:, :, 2:-2, 2:-2])
    torch.testing.assert_close(depthwise.part(depthwise_layer(2, 5))[0], depthwise.weight[:2, :, 1:-1, 1:-1])


def test_kernel_transformation_chains_the_matrices(shrink_kernel):
    depthwise = ElasticDepthwise(depthwise_layer(3, 7), (3, 5, 7))
    generator = torch.Generator().manual_seed(0)
    for parameter in depthwise.parameters():
        nn.init.normal_(parameter, generator=generator)
    for kernel in (3, 5, 7):
        for channels in (3, 2):
            weight, bias = depthwise.part(depthwise_layer(channels, kernel))
            torch.testing.assert_close(weight, shrink_kernel(depthwise, kernel)[:channels])
            assert bias is None


EPSILON = 1e-3


def normalised(features, mean, variance, norm):
    """Scale and offset of the first channels, after the given statistics."""
    parts = (mean, variance, *norm)
    mean, variance, weight, bias = (part[:, None, None] for part in parts)
    return (features - mean) / torch.sqrt(variance + EPSILON) * weight + bias


def test_batch_norms_normalise_by_what_they_are_told():
    norm = random_features(5, seed=2), random_features(5, seed=3)
    features = 2 * random_features(4, 5, 3, 3) + 1
    given = BatchNormStatistics({"x": torch.arange(5.0)}, {"x": torch.arange(1.0, 6.0)})
    with torch.no_grad():
        by_batch = normalised(features, features.mean((0, 2, 3)), features.var((0, 2, 3), unbiased=False), norm)
        torch.testing.assert_close(normalise_by_batch("x", features, *norm, EPSILON), by_batch, rtol=1e-4, atol=1e-5)
        recorder = StatisticsRecorder()
        torch.testing.assert_close(recorder("x", features, *norm, EPSILON), by_batch, rtol=1e-4, atol=1e-5)
        by_given = normalised(features, given.mean["x"], given.variance["x"], norm)
        torch.testing.assert_close(given("x", features, *norm, EPSILON), by_given, rtol=1e-4, atol=1e-5)


def test_recorded_statistics_are_the_biased_ones_of_the_batch():
    recorder = StatisticsRecorder()
    batches = {"a": 3 * random_features(2, 4, 1, 2) - 5, "b": random_features(6, 3, 4, 4, seed=2)}
    for name, features in batches.items():
        recorder(name, features, torch.ones(features.shape[1]), torch.zeros(features.shape[1]), EPSILON)
    assert recorder.mean.keys() == recorder.variance.keys() == batches.keys()
    for name, features in batches.items():
        torch.testing.assert_close(recorder.mean[name], features.mean((0, 2, 3)))
        torch.testing.assert_close(recorder.variance[name], features.var((0, 2, 3), unbiased=False))


def test_statistics_of_another_layer_or_width_are_refused():
    statistics = BatchNormStatistics({"a": torch.zeros(3)}, {"a": torch.ones(3)})
    for name, channels in (("b", 3), ("a", 4)):
        with pytest.raises(InvalidValueError, match=rf"statistics\.{name}: must be of {channels} channels"):
            statistics(name, torch.zeros(1, channels, 2, 2), torch.ones(channels), torch.zeros(channels), EPSILON)
