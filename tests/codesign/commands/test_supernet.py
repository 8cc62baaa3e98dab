import pytest
from support.recorded_progress import RecordedProgress

from codesign.commands.supernet import info
from codesign.supernet.spaces.named import space_names
from hw_templates.foundation.errors import InvalidValueError


def test_without_a_name_every_space_is_listed():
    progress = RecordedProgress()
    info(None, progress)
    assert [line.split()[0] for line in progress.lines] == list(space_names())


def test_a_space_is_described_by_its_size_its_genes_and_its_ends():
    progress = RecordedProgress()
    info("ofa-mbv3-w1.2", progress)
    text = "\n".join(progress.lines)
    # More than 10^19 subnets (Cai et al. 2020, abstract).
    assert float(text.partition("(")[2].partition(")")[0]) > 1e19
    assert "kernel       3, 5, 7 in 20 places" in text
    assert "smallest at 128 pixels" in text
    assert "largest  at 224 pixels" in text


def test_an_unknown_space_is_refused():
    with pytest.raises(InvalidValueError, match="space: must be one of"):
        info("imaginary", RecordedProgress())
