"""Once-for-all supernets and FPGA accelerators, searched together and emitted as HLS projects."""

__version__ = "0.2.0"
