"""The accelerator, the boards, and the HLS C++ and Tcl that make one out of the other."""
