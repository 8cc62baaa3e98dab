import json

import pytest
from support.networks.named_spaces import DIGITS
from typer.testing import CliRunner

from codesign.cli.main import app
from codesign.cli.text.supernet import description_lines
from codesign.commands.supernet import describe_space, list_spaces
from codesign.supernet.spaces.named import SPACES, load_space, space_names
from codesign.supernet.training.schedule import SCHEDULES
from hw_templates.foundation.errors import InvalidValueError


def run(*arguments):
    result = CliRunner().invoke(app, ["supernet", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def test_without_a_name_every_space_is_listed():
    assert [space.name for space in list_spaces()] == list(space_names())
    assert [line.split()[0] for line in run("info").splitlines()] == list(space_names())


def test_a_space_is_described_by_its_size_its_genes_and_its_ends():
    space = describe_space("ofa-mbv3-w1.2")
    text = "\n".join(description_lines(space))
    # More than 10^19 subnets (Cai et al. 2020, abstract).
    assert space.summary.subnets > 10**19
    assert float(text.partition("(")[2].partition(")")[0]) > 1e19
    assert "kernel       3, 5, 7 in 20 places" in text
    assert "smallest at 128 pixels" in text
    assert "largest  at 224 pixels" in text


def test_an_unknown_space_is_refused():
    with pytest.raises(InvalidValueError, match="space: must be one of"):
        describe_space("imaginary")


def test_the_keys_of_the_json_documents_are_stable():
    described = json.loads(run("info", "digits", "--json"))
    assert list(described) == ["summary", "elastic", "shared_weights", "smallest", "largest"]
    assert described["summary"] == {"name": "digits", "subnets": DIGITS.size(), "resolutions": [8, 12, 16]}
    assert list(described["elastic"][0]) == ["kind", "choices", "places"]
    assert list(described["largest"]) == ["resolution", "parameters", "macs"]
    first = json.loads(run("specialised", "--json"))[0]
    assert list(first) == [
        *("name", "supernet", "resolution", "top1", "top5", "parameters_m", "macs_m", "parameters", "macs", "agrees")
    ]


def test_a_space_and_a_schedule_are_shown_as_the_files_that_define_them(tmp_path):
    assert run("show", "digits") == SPACES.text("digits")
    assert run("show", "digits", "--preset") == SCHEDULES.text("digits")
    (tmp_path / "mine.toml").write_text(run("show", "digits"))
    assert run("info", tmp_path / "mine.toml").replace("mine:", "digits:") == run("info", "digits")
    assert load_space(str(tmp_path / "mine.toml")).name == "mine"
