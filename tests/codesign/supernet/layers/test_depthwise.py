import pytest
import torch
from torch.nn import functional

from codesign.supernet.layers.depthwise import depthwise_convolution


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 12, 13])
def test_gradients_equal_those_of_torch(kernel, stride, size):
    generator = torch.Generator().manual_seed(kernel)
    features = torch.randn(3, 16, size, size + 1, generator=generator).requires_grad_()
    weight = torch.randn(16, 1, kernel, kernel, generator=generator).requires_grad_()
    ours = depthwise_convolution(features, weight, stride)
    theirs = functional.conv2d(features, weight, None, stride, kernel // 2, groups=16)
    assert torch.equal(ours, theirs)
    pulled = torch.randn(ours.shape, generator=generator)
    for found, expected in zip(
        torch.autograd.grad(ours, (features, weight), pulled),
        torch.autograd.grad(theirs, (features, weight), pulled),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_batch_too_large_for_one_part_is_summed():
    features = torch.randn(11, 32, 64, 64, generator=torch.Generator().manual_seed(0))
    weight = torch.zeros(32, 1, 5, 5, requires_grad=True)
    depthwise_convolution(features, weight, 2).square().sum().backward()
    assert torch.equal(weight.grad, torch.zeros_like(weight))
    pulled = features[..., ::2, ::2]
    (depthwise_convolution(features, weight, 2) * pulled).sum().backward()
    # The weight of row 1 and column 3 meets the pixel above and right of where the result stands.
    met = functional.pad(features, (2, 2, 2, 2))[..., 1:65:2, 3:67:2]
    expected = (pulled * met).sum((0, 2, 3))
    torch.testing.assert_close(weight.grad[:, 0, 1, 3], expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("of_features", "of_weight"), [(True, False), (False, True), (False, False)])
def test_only_wanted_gradients_are_found(of_features, of_weight):
    features = torch.randn(2, 8, 6, 6, requires_grad=of_features)
    weight = torch.randn(8, 1, 5, 5, requires_grad=of_weight)
    result = depthwise_convolution(features, weight, 1)
    assert result.requires_grad == (of_features or of_weight)
    if result.requires_grad:
        result.sum().backward()
    assert (features.grad is not None) == of_features
    assert (weight.grad is not None) == of_weight
