"""Text about a deployment."""

from collections.abc import Iterator

from codesign.run.records import DeployRecord


def deploy_lines(deployed: DeployRecord) -> Iterator[str]:
    """Yield what a board or its twin did, compared with the prediction."""
    d, twin = deployed, deployed.source.startswith("twin")
    assert d.latency_ms
    assert d.cycle_shares
    yield (
        f"deploy     {d.board} ({f'{d.source}, ' if twin else ''}{d.where}): engine {d.hardware_sha256:.12} "
        f"at {d.clock_mhz:.4g} MHz"
    )
    yield f"           accuracy: {d.accuracy:.2%} of {d.images} test images, bit for bit as the integer reference"
    latency, predicted_ms = d.latency_ms, d.predicted.latency_ms
    how = d.source.removeprefix("twin ") if twin else f"5 to 95 %: {latency.p05:.4g} to {latency.p95:.4g} ms"
    yield (
        f"           latency: {latency.p50:.4g} ms an image ({how}); predicted {predicted_ms:.4g} ms, "
        f"{latency.p50 / predicted_ms - 1:+.1%}"
    )
    shares = d.cycle_shares
    yield (
        f"           cycles: {shares['compute']:.0%} computing, {shares['load_wait']:.0%} waiting for loads, "
        f"{shares['store_wait']:.0%} for stores, the rest setting up"
    )
    if whole := d.inference_ms:
        yield f"           host: {whole.p50 - latency.p50:.4g} ms more an image, 95 % below {whole.p95:.4g} ms in all"
    if d.energy is None:
        yield f"           energy: not measured; predicted {d.predicted.energy_mj:.4g} mJ an image"
    else:
        yield (
            f"           energy: {d.energy.total_mj:.4g} mJ an image, {d.energy.above_idle_mj:.4g} of it above idle "
            f"({d.energy.source}: {d.energy.busy_w:.3g} W busy, {d.energy.idle_w:.3g} W idle); "
            f"predicted {d.predicted.energy_mj:.4g} mJ"
        )
