import subprocess
import sys


def test_own_sampler_prints_a_front_for_each_sampler():
    done = subprocess.run(
        [sys.executable, "examples/own_sampler.py", "--trials", "4"], capture_output=True, text=True, check=True
    )
    assert "codesign: 4 trials" in done.stdout
    assert "NSGA-II: 4 trials" in done.stdout
    assert "TPE: 4 trials" in done.stdout
    fronts = [line for line in done.stdout.splitlines() if " ms " in line and "PEs" in line]
    assert fronts
    assert "Error" not in done.stderr
