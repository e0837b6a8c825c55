"""Every family's cases, and that every algorithm of the emulator has one."""

import importlib
import pkgutil
import re

import ee
import pytest

import conformance
from conformance.cases import Case, Check, Raises, agrees, algorithms, answer
from emulator import engine, registry

assert engine  # registers the algorithms

FAMILIES = [
    module.name
    for module in pkgutil.iter_modules(conformance.__path__)
    if module.name.endswith("_family")
]
CASES = [
    pytest.param(subject, id=f"{family.removesuffix('_family')}: {subject.name}")
    for family in FAMILIES
    for subject in importlib.import_module(f"conformance.{family}").CASES
]


@pytest.mark.usefixtures("ee_emulator")
@pytest.mark.parametrize("subject", CASES)
def test_answers_as_published(subject: Case):
    if isinstance(subject.expected, Raises):
        with pytest.raises(ee.EEException) as refused:
            answer(subject)
        assert "not implemented" not in str(refused.value)
        assert re.search(subject.expected.pattern, str(refused.value)), str(refused.value)
        return
    got = answer(subject)
    wanted = subject.expected.text if isinstance(subject.expected, Check) else subject.expected
    assert agrees(got, subject.expected, subject.tolerance), f"{got!r} is not {wanted!r}"


@pytest.mark.usefixtures("ee_emulator")
def test_every_registered_algorithm_has_a_case():
    covered = set().union(*(algorithms(parameter.values[0]) for parameter in CASES))
    assert sorted(registry.registered() - covered) == []
