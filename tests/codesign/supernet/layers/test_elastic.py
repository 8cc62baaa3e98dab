import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from codesign.supernet.layers.elastic import (
    BatchNormStatistics,
    ElasticBatchNorm,
    ElasticConvolution,
    ElasticDepthwise,
    ElasticSqueezeExcite,
    StatisticsRecorder,
    activate,
    normalise_by_batch,
)
from cost_models.workload import Activation
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


@pytest.mark.parametrize(("kernel", "stride", "bias"), [(1, 1, True), (3, 1, False), (3, 2, True), (5, 2, False)])
def test_a_convolution_lends_its_first_channels(kernel, stride, bias):
    elastic = random_weights(ElasticConvolution(6, 8, kernel, stride, bias=bias))
    part = nn.Conv2d(4, 5, kernel, stride, kernel // 2, bias=bias)
    with torch.no_grad():
        part.weight.copy_(elastic.weight[:5, :4])
        if bias:
            part.bias.copy_(elastic.bias[:5])
        features = random_features(2, 4, 8, 8)
        result = elastic(features, 5)
        assert result.shape == (2, 5, 8 // stride, 8 // stride)
        torch.testing.assert_close(result, part(features))


def test_only_the_part_in_use_learns():
    elastic = random_weights(ElasticConvolution(6, 8, 3, bias=True))
    elastic(random_features(2, 4, 5, 5), 5).sum().backward()
    assert (elastic.weight.grad[:5, :4] != 0).all()
    assert not elastic.weight.grad[5:].any()
    assert not elastic.weight.grad[:, 4:].any()
    assert (elastic.bias.grad != 0).tolist() == [True] * 5 + [False] * 3


def test_kernel_transformation_is_identity_at_first():
    depthwise = ElasticDepthwise(4, (3, 5, 7), 1)
    nn.init.normal_(depthwise.weight, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(depthwise.part(4, 3), depthwise.weight[:, :, 2:-2, 2:-2])
    torch.testing.assert_close(depthwise.part(2, 5), depthwise.weight[:2, :, 1:-1, 1:-1])


def test_kernel_transformation_chains_the_matrices(shrink_kernel):
    depthwise = ElasticDepthwise(3, (3, 5, 7), 1)
    generator = torch.Generator().manual_seed(0)
    for parameter in depthwise.parameters():
        nn.init.normal_(parameter, generator=generator)
    for kernel in (3, 5, 7):
        torch.testing.assert_close(depthwise.part(3, kernel), shrink_kernel(depthwise, kernel))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_depthwise_convolution_runs_each_channel_alone(shrink_kernel, kernel, stride):
    depthwise = random_weights(ElasticDepthwise(6, (3, 5, 7), stride))
    features = random_features(2, 4, 8, 8)
    with torch.no_grad():
        weight = shrink_kernel(depthwise, kernel)
        alone = [functional.conv2d(features[:, [c]], weight[[c]], stride=stride, padding=kernel // 2) for c in range(4)]
        result = depthwise(features, kernel)
        assert result.shape == (2, 4, 8 // stride, 8 // stride)
        torch.testing.assert_close(result, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-4)


def test_squeeze_and_excite_written_out():
    elastic = random_weights(ElasticSqueezeExcite(8, 4))
    features = random_features(3, 6, 5, 4)
    with torch.no_grad():
        result = elastic(features, 2)
        for image in range(3):
            means = features[image].mean((1, 2))
            hidden = (elastic.squeeze.weight[:2, :6, 0, 0] @ means + elastic.squeeze.bias[:2]).clamp(min=0)
            gates = elastic.excite.weight[:6, :2, 0, 0] @ hidden + elastic.excite.bias[:6]
            gates = (gates + 3).clamp(0, 6) / 6
            torch.testing.assert_close(result[image], features[image] * gates[:, None, None])


EPSILON = 1e-3


def normalised(features, mean, variance, norm):
    """Scale and offset of the first channels, after the given statistics."""
    parts = (mean, variance, norm.weight[: len(mean)], norm.bias[: len(mean)])
    mean, variance, weight, bias = (part[:, None, None] for part in parts)
    return (features - mean) / torch.sqrt(variance + EPSILON) * weight + bias


def test_batch_norms_normalise_by_what_they_are_told():
    norm = random_weights(ElasticBatchNorm(8, EPSILON))
    features = 2 * random_features(4, 5, 3, 3) + 1
    given = BatchNormStatistics({"x": torch.arange(5.0)}, {"x": torch.arange(1.0, 6.0)})
    with torch.no_grad():
        by_batch = normalised(features, features.mean((0, 2, 3)), features.var((0, 2, 3), unbiased=False), norm)
        torch.testing.assert_close(norm("x", features, normalise_by_batch), by_batch, rtol=1e-4, atol=1e-5)
        recorder = StatisticsRecorder()
        torch.testing.assert_close(norm("x", features, recorder), by_batch, rtol=1e-4, atol=1e-5)
        by_given = normalised(features, given.mean["x"], given.variance["x"], norm)
        torch.testing.assert_close(norm("x", features, given), by_given, rtol=1e-4, atol=1e-5)


def test_recorded_statistics_are_the_biased_ones_of_the_batch():
    recorder = StatisticsRecorder()
    batches = {"a": 3 * random_features(2, 4, 1, 2) - 5, "b": random_features(6, 3, 4, 4, seed=2)}
    for name, features in batches.items():
        recorder(name, features, torch.ones(features.shape[1]), torch.zeros(features.shape[1]), EPSILON)
    statistics = recorder.statistics()
    assert statistics.mean.keys() == statistics.variance.keys() == batches.keys()
    for name, features in batches.items():
        torch.testing.assert_close(statistics.mean[name], features.mean((0, 2, 3)))
        torch.testing.assert_close(statistics.variance[name], features.var((0, 2, 3), unbiased=False))


def test_statistics_taken_once_do_not_change():
    recorder = StatisticsRecorder()
    ones, zeros = torch.ones(3), torch.zeros(3)
    recorder("a", random_features(2, 3, 4, 4), ones, zeros, EPSILON)
    before = recorder.statistics()
    mean = before.mean["a"].clone()
    recorder("a", random_features(2, 3, 4, 4, seed=5), ones, zeros, EPSILON)
    torch.testing.assert_close(before.mean["a"], mean, rtol=0, atol=0)
    assert not torch.equal(recorder.statistics().mean["a"], mean)


def test_statistics_of_another_layer_or_width_are_refused():
    statistics = BatchNormStatistics({"a": torch.zeros(3)}, {"a": torch.ones(3)})
    for name, channels in (("b", 3), ("a", 4)):
        with pytest.raises(InvalidValueError, match=rf"statistics\.{name}: must be of {channels} channels"):
            statistics(name, torch.zeros(1, channels, 2, 2), torch.ones(channels), torch.zeros(channels), EPSILON)
