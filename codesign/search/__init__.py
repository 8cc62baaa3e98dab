"""The joint search over subnets and accelerators."""
