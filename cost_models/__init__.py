"""What a layer, a network and an accelerator cost together: cycles, energy and resources."""
