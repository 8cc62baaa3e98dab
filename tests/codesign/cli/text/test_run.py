from dataclasses import replace

from codesign.cli.text.run import predictor_lines, train_lines
from codesign.commands.training import PredictorResult, Spread, TrainResult

TRAINED = TrainResult(space="digits", subnets=1_200_000, steps=67, largest_accuracy=0.75, smallest_accuracy=0.5)


def test_a_training_is_told_by_the_ends_of_its_space():
    assert list(train_lines(TRAINED)) == [
        "train      digits: 1.2e+06 subnets, 67 steps",
        "           validation accuracy: largest subnet 75.0%, smallest 50.0%",
    ]
    assert list(train_lines(replace(TRAINED, subnets=1)))[1] == "           validation accuracy: 75.0%"


def test_a_predictor_is_told_with_intervals():
    fitted = PredictorResult(
        samples=40,
        lowest_accuracy=0.25,
        highest_accuracy=0.875,
        splits=20,
        kendall_tau=Spread(0.5, 0.25, 0.75),
        spearman=Spread.of((0.0, 1.0)),
        rmse=Spread(0.03, 0.01, 0.05),
    )
    assert list(predictor_lines(fitted)) == [
        "predictor  40 subnets measured: 25.0% to 87.5%",
        "           left-out subnets, mean (95 % interval) of 20 splits:",
        "           Kendall tau 0.50 (0.25 to 0.75), Spearman 0.50 (0.03 to 0.97), RMSE 3.00 (1.00 to 5.00) points",
    ]
