from codesign.progress import Silent


def test_silent_progress_takes_updates_and_shows_nothing(capsys) -> None:
    progress = Silent()
    with progress.stage("work") as update:
        update(0.5, "half")
    assert capsys.readouterr().out == ""
