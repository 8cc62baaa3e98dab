import tomllib

from hw_templates.foundation.toml_text import toml_text


def test_what_is_written_is_read_back() -> None:
    record = {
        "title": 'a "board" of\tµW \\ \n two lines',
        "lut": 53200,
        "clocks_mhz": [75, 100],
        "idle_power_w": 1.5,
        "names": ["HP0", "HP1"],
        "known": True,
        "ps": {"source": "x", "plls_mhz": {"IO PLL": 1e3, "RPLL": 1500.0}},
        "ddr": {},
    }
    assert tomllib.loads(toml_text(record)) == record
