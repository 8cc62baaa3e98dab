"""The examples of docs/api.md, a cell for each of its sections."""

# %% Boards
import numpy as np
import optuna

import codesign

print(*codesign.board_names())
board: codesign.Board = codesign.load_board("pynq-z2")  # or the path of a TOML file
assert board.dsp == 220

# %% Supernet spaces and training
space: codesign.Space = codesign.load_space("digits")  # or the path of a TOML file
subnet: codesign.Subnet = space.largest()
print(*codesign.space_names(), *codesign.schedule_names("digits"))
schedule: codesign.Schedule = codesign.load_schedule("digits-small")
codesign.train("runs/example", space="digits", schedule="digits-small")

# %% Accuracies
oracle: codesign.AccuracyOracle = codesign.measured_accuracy("runs/example")
assert 0.5 < oracle.accuracy(space.encode(subnet)[None])[0] <= 1
codesign.fit_predictor("runs/example", samples=40)
predicted = codesign.predicted_accuracy("runs/example")
try:
    codesign.official_accuracy(space)
except codesign.InvalidValueError as error:  # published for ofa-mbv3-w1.2 and ofa-resnet50d
    print(error)

# %% Workloads, accelerators and prices
accelerator = codesign.Accelerator(
    pe_rows=8, pe_cols=8, pe_pixels=4, pack=2, ifmap_kib=16, weight_kib=16, ofmap_kib=16,
    axi_bits=64, clock_mhz=150,
)  # fmt: skip
accelerators = codesign.AcceleratorSpace(board).narrow(clock_mhz=(100, 150))
codesign.check_fits(accelerator, board)  # raises ResourceError where it does not
needs: codesign.Resources = codesign.estimate_resources(accelerator, board)
assert needs.dsp <= board.dsp

layer = codesign.Layer(operation=codesign.Operation.CONV, in_channels=16, out_channels=32, in_height=8, in_width=8)
node = codesign.Node(name="only", layer=layer, ifmap="image", activation=codesign.Activation.RELU)
prior: codesign.Coefficients = codesign.load_coefficients()
estimate: codesign.Estimate = codesign.price(codesign.Workload((node,)), accelerator, board, prior)
whole = codesign.price(codesign.lower(space, subnet), accelerator, board)
assert estimate.latency_ms < whole.latency_ms

# %% The joint search
options = codesign.SearchOptions(seed=1)
outcome: codesign.SearchOutcome = codesign.search("runs/example", board="pynq-z2", pairs=2000, options=options)
fastest: codesign.FoundPair = outcome.front[0]
print(fastest.latency_ms, fastest.accuracy, fastest.accelerator.clock_mhz, len(outcome.study.trials))

problem = codesign.joint_problem(space, board)
joint: codesign.JointSpace[codesign.AcceleratorSpace] = problem.joint
study = optuna.create_study(
    directions=["maximize", "minimize", "minimize"], sampler=codesign.JointSampler(problem, seed=0)
)
study.optimize(codesign.joint_objective(problem, oracle), n_trials=3)
pair: codesign.Pair = joint.decode(joint.encode_params(study.best_trials[0].params))
assert pair.subnet.resolution in space.resolutions

rng = np.random.default_rng(0)
pricer = codesign.PairPricer(joint, prior)
genes, engines = space.sample_genes(rng, 8), joint.accelerators.encode(joint.accelerators.sample(rng, 4))
exact = codesign.exact_front(pricer, oracle, genes, engines)  # of these 32 pairs
print(exact.latency_ms, exact.accuracy)
engine = exact.rows[0, joint.gene_count :]  # that of the fastest pair
specialised = codesign.best_subnet_within(pricer, predicted, engine, max_latency_ms=10, candidates=100)
assert specialised.latency_ms <= 10

# %% From the winner to a verified project
chosen = codesign.winner("runs/example", rule="knee")
emitted = codesign.emit("runs/example", rule="knee")
simulated = codesign.csim("runs/example", images=2)
checked = codesign.check("runs/example")
drawn = codesign.report("runs/example")
print(chosen.accelerator, emitted.folder, simulated.record.images, drawn.page)
print(*(f"{each.name}: {each.outcome}" for each in checked.checks), sep=", ")

# %% On a board
deployed = codesign.deploy("runs/example", "pynq-z2", via="twin", repetitions=1)
print(deployed.accuracy, deployed.latency_ms)

# %% Calibration
plan = codesign.calibration.plan("pynq-z2", 3, "plan.json")
assert len(plan.runs) == 3

# %% Errors
try:
    codesign.load_board("pynq-z3")
except codesign.CodesignError as error:  # the root of them all; its message is one line
    print(error)
