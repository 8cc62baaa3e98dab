"""``python -m codesign``, which is how ``torchrun`` starts it."""

from codesign.cli.main import main

if __name__ == "__main__":
    main()
