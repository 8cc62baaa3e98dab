"""Parameters and MACs of the 50 published specialised networks beside the table that their authors published.

python benchmarks/specialised_nets.py
"""

from codesign.supernet.published.specialised import specialised_nets


def main() -> None:
    """Print the figures, and every network that differs."""
    nets = specialised_nets()
    for net in nets:
        if not net.as_reported:
            print(
                f"{net.name}: {net.parameters / 1e6:.3f} M parameters, reported {net.parameters_m} M; "
                f"{net.macs / 1e6:.2f} M MACs, reported {net.macs_m:.0f} M"
            )
    half = sum(net.as_reported and abs(net.macs / 1e6 - net.macs_m) <= 0.5 for net in nets)
    print(f"figure specialised_nets_as_reported {sum(net.as_reported for net in nets)} of {len(nets)}")
    print(f"figure specialised_nets_within_half_a_mega_mac {half} of {len(nets)}")


if __name__ == "__main__":
    main()
