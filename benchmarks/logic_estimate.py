"""The LUT and FF estimate fitted on AMD's table of DPU architectures, and what is off when an architecture is left out.

AMD's DPUCZDX8G is another engine (it clocks its DSP slices twice as fast as the rest, for one), but like this one it is
an int8 array of pixels x input channels x output channels behind AXI ports, and its sizes are published: PG338 v1.2,
architectures with low DSP usage. Two numbers are fitted for each resource: a base, and one factor on all counts of
adders, registers and ports; multiplexers are counted as they are. The set ``prior`` holds the result, so the factor
printed here is 1 once more. Left out in turn, each architecture is predicted from the others. CHaiDNN's table
(Xilinx/CHaiDNN at ad3be785, on a ZU9) says how far its LUTs and FFs are off a line in its compute DSP slices.
"""

from dataclasses import fields, replace

import numpy as np

from cost_models.coefficients import LogicCoefficients, load_coefficients
from cost_models.resources import logic
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.arrays import FloatArray

# Pixel, input-channel and output-channel parallelism, LUTs, FFs. B800, B1600 and B3136 are left out: their 10 and 14
# channels are no multiple of a bus word.
DPU = {
    "B512": (4, 8, 8, 20759, 33572),
    "B1024": (8, 8, 8, 29155, 49823),
    "B1152": (4, 12, 12, 30043, 49588),
    "B2304": (8, 12, 12, 37055, 72850),
    "B4096": (8, 16, 16, 44583, 99791),
}
# Compute DSP slices, LUTs, FFs at 300 MHz.
CHAIDNN = ((128, 105811, 111789), (256, 114317, 121363), (512, 127949, 136481))


def counted(coefficients: LogicCoefficients) -> FloatArray:
    """[architectures, 2] LUTs and FFs of engines of the same parallelism."""
    return np.array(
        [
            logic(
                Accelerator(
                    pe_rows=outputs,
                    pe_cols=inputs,
                    pe_pixels=pixels,
                    pack=2,
                    ifmap_kib=16 * pixels,
                    weight_kib=64,
                    ofmap_kib=32,
                    axi_bits=32,
                    clock_mhz=300,
                ),
                coefficients,
            )
            for pixels, inputs, outputs, *_ in DPU.values()
        ],
        dtype=np.float64,
    )


def fit(counts: FloatArray, published: FloatArray, fixed: FloatArray) -> tuple[float, float]:
    """(base, factor) of base + factor * counts + fixed, of least squared relative error."""
    design = np.stack([np.ones_like(counts), counts], axis=1) / published[:, None]
    (base, factor), *_ = np.linalg.lstsq(design, 1 - fixed / published, rcond=None)
    return float(base), float(factor)


def left_out(counts: FloatArray, published: FloatArray, fixed: FloatArray) -> FloatArray:
    """Relative deviation of each row, predicted from the others."""
    deviations = []
    for index in range(len(counts)):
        others = np.arange(len(counts)) != index
        base, factor = fit(counts[others], published[others], fixed[others])
        deviations.append((base + factor * counts[index] + fixed[index]) / published[index] - 1)
    return np.array(deviations)


def main() -> None:
    """Print the fit, the deviation of each architecture when it is left out, and the figures."""
    coefficients = load_coefficients().logic
    nothing = LogicCoefficients(**{field.name: 0 for field in fields(LogicCoefficients)})
    fixed = counted(nothing)
    counts = counted(replace(coefficients, lut_base=0, ff_base=0)) - fixed
    published = np.array([row[3:] for row in DPU.values()], dtype=np.float64)
    chaidnn = np.array(CHAIDNN, dtype=np.float64)
    for column, resource in enumerate(("lut", "ff")):
        base, factor = fit(counts[:, column], published[:, column], fixed[:, column])
        print(f"{resource}: base {base:.0f}, factor {factor:.3f} on what the coefficients state")
        deviations = left_out(counts[:, column], published[:, column], fixed[:, column])
        print(", ".join(f"{name} {value:+.1%}" for name, value in zip(DPU, deviations, strict=True)))
        stated = counts[:, column] + fixed[:, column] + getattr(coefficients, f"{resource}_base")
        print(
            f"figure {resource}_deviation_from_dpu_mean {np.abs(stated / published[:, column] - 1).mean() * 100:.1f} %"
        )
        print(f"figure {resource}_deviation_from_dpu_left_out_mean {np.abs(deviations).mean() * 100:.1f} %")
        print(f"figure {resource}_deviation_from_dpu_left_out_worst {np.abs(deviations).max() * 100:.1f} %")
        line = np.abs(left_out(chaidnn[:, 0], chaidnn[:, 1 + column], np.zeros(len(chaidnn))))
        print(f"figure {resource}_deviation_of_chaidnn_from_a_line_left_out_mean {line.mean() * 100:.1f} %")


if __name__ == "__main__":
    main()
