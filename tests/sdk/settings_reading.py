"""What the tests of settings share: settings beside an empty ``shopscope.toml``, and the fault of wrong ones."""

import tempfile

import pytest

from shopscope import ConfigError
from shopscope._configuration._settings import read_settings


def read(**settings):
    """Settings as ``init`` reads them: names in capitals are environment variables, others are arguments."""
    arguments = {name: value for name, value in settings.items() if name.islower()}
    variables = {name: value for name, value in settings.items() if not name.islower()}
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        return read_settings("checkout", {"SHOPSCOPE_CONFIG": file.name, **variables}, **arguments)


def problem_of(**settings):
    """The one fault that there is in the settings."""
    with pytest.raises(ConfigError) as caught:
        read(**settings)
    (problem,) = caught.value.problems
    return problem
