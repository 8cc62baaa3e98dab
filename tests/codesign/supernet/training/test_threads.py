import pytest
import torch

from codesign.supernet.training.threads import one_thread


@pytest.fixture(autouse=True)
def three_threads():
    """A number that no default has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_one_thread_meanwhile_and_as_many_as_before_after():
    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_an_error_leaves_the_number_as_it_was():
    with pytest.raises(ValueError, match="mine"), one_thread():
        raise ValueError("mine")
    assert torch.get_num_threads() == 3


def test_a_decorated_function_computes_with_one_each_time():
    @one_thread()
    def threads(extra):
        return torch.get_num_threads() + extra

    assert [threads(0), threads(10)] == [1, 11]
    assert torch.get_num_threads() == 3
