"""Subnets as workloads."""
