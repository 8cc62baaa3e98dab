"""The template `engine`: one programmable convolution engine that runs any subnet."""
