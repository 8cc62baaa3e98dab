"""From a subnet and an accelerator to a quantised program in an HLS project."""
