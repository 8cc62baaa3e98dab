from codesign.progress import Silent


def test_silent_progress_takes_everything_and_shows_nothing(capsys) -> None:
    progress = Silent()
    with progress.stage("work") as update:
        update(0.5, "half")
    progress.say("x")
    assert capsys.readouterr().out == ""
