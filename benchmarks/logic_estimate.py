"""How the LUT and FF estimate compares with published engines of the same parallelism.

AMD's DPUCZDX8G is another engine (it clocks its DSP slices twice as fast as the rest, for one), so this says only
whether the estimate is of the right size. Figures: PG338 v1.2, architectures with low DSP usage.
"""

import numpy as np

from cost_models.coefficients import load_coefficients
from cost_models.resources import logic
from hw_templates.accelerator import Accelerator

# Pixel, input-channel and output-channel parallelism, LUTs, FFs. B800 and B1600 are left out: their 10 channels are no
# multiple of a bus word.
DPU = {
    "B512": (4, 8, 8, 20759, 33572),
    "B1024": (8, 8, 8, 29155, 49823),
    "B1152": (4, 12, 12, 30043, 49588),
    "B2304": (8, 12, 12, 37055, 72850),
    "B4096": (8, 16, 16, 44583, 99791),
}


def main() -> None:
    """Print the deviation of each, and the figures."""
    coefficients = load_coefficients().logic
    deviations = []
    for name, (pixels, inputs, outputs, *published) in DPU.items():
        accelerator = Accelerator(outputs, inputs, pixels, 2, 16 * pixels, 64, 32, 32, 300, 4)
        deviation = np.array(logic(accelerator, coefficients)) / published - 1
        print(f"{name}: LUT {deviation[0]:+.0%}, FF {deviation[1]:+.0%}")
        deviations.append(np.abs(deviation) * 100)
    for resource, values in zip(("lut", "ff"), np.array(deviations).T, strict=True):
        print(f"figure {resource}_mean_deviation_from_dpu {values.mean():.1f} %")
        print(f"figure {resource}_worst_deviation_from_dpu {values.max():.1f} %")


if __name__ == "__main__":
    main()
