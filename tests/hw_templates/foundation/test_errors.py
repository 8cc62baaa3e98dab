import hw_templates.foundation.errors as errors


def test_every_error_has_the_one_root_and_is_drawn_in_the_tree() -> None:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    classes = [value for value in found if not issubclass(value, Warning)]
    assert len(classes) > 5
    for error in classes:
        assert issubclass(error, errors.CodesignError)
        assert error.__name__ in (errors.__doc__ or "")


def test_an_invalid_value_names_field_value_and_what_would_be_right() -> None:
    error = errors.InvalidValueError("board.ddr.peak_gb_s", -1, "positive")
    assert str(error) == "board.ddr.peak_gb_s: must be positive, got -1"


def test_an_unknown_name_is_told_the_known_ones_and_the_nearest() -> None:
    known = ("pynq-z2", "zcu104")
    for name in ("pynq-z1", "PYNQ-Z2", "pynqz2"):
        error = errors.UnknownNameError("board", name, known)
        assert str(error) == f"board: must be one of pynq-z2, zcu104, got {name!r}; did you mean 'pynq-z2'?"
    assert str(errors.UnknownNameError("board", "abacus", known)) == (
        "board: must be one of pynq-z2, zcu104, got 'abacus'"
    )
    assert str(errors.UnknownNameError("names", "zcu10", known, "a listed file")) == (
        "names: must be a listed file, got 'zcu10'; did you mean 'zcu104'?"
    )
