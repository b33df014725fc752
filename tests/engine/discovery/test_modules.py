"""Every module of the repository that an analysis imports is covered by its code version, or rejected by name."""

import sys
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from domain.errors import AnalysisFileError
from engine.discovery.modules import ModuleSearch
from engine.discovery.places import PLATFORM, roots_of
from engine.discovery.source import sources_of, version_of

ROOT = Path(__file__).parents[3]


def modules(analysis, path):
    return set(sources_of(analysis, path)) - {"double"}


def changed(analysis, checkout, name, text):
    """Return whether a change in a file changes the version."""
    path = checkout({})
    before = version_of(analysis, path)
    checkout({name: text})
    return version_of(analysis, path) != before


def test_a_helper_with_an_underscore_counts(analysis, checkout):
    path = checkout({"lab/double.py": "from lab.methods._fit import k\n", "lab/methods/_fit.py": "k = 2\n"})
    assert modules(analysis, path) == {"lab.methods._fit"}
    assert changed(analysis, checkout, "lab/methods/_fit.py", "k = 20\n")


@pytest.mark.parametrize(
    "imports",
    [
        "import of_modules_test.fit",
        "from of_modules_test import fit",
        "def run():\n    from of_modules_test.fit import k",
        "import importlib\nfit = importlib.import_module('of_modules_test.fit')",
        "from importlib import import_module\nfit = import_module('of_modules_test.fit')",
        "fit = __import__('of_modules_test.fit')",
    ],
)
def test_a_package_of_the_repository_counts_without_being_declared(analysis, checkout, imports):
    files = {"fit": "from . import deeper\nk = 1\n", "deeper": "", "__init__": "", "unused": ""}
    path = checkout({f"of_modules_test/{name}.py": text for name, text in files.items()} | {"lab/double.py": imports})
    assert modules(analysis, path) == {"of_modules_test", "of_modules_test.fit", "of_modules_test.deeper"}
    assert changed(analysis, checkout, "of_modules_test/deeper.py", "k = 2\n")
    assert changed(analysis, checkout, "of_modules_test/__init__.py", "k = 2\n")
    assert not changed(analysis, checkout, "of_modules_test/unused.py", "k = 2\n")
    assert not any(name.startswith("of_modules_test") for name in sys.modules)


def test_relative_names_in_import_module_are_found(analysis, checkout):
    text = "from importlib import import_module\nimport_module('.helper', 'lab')\n"
    path = checkout({"lab/double.py": text, "lab/helper.py": ""})
    assert modules(analysis, path) == {"lab.helper"}


def test_a_module_and_a_namespace_package_of_the_repository_count(analysis, checkout):
    path = checkout(
        {
            "lab/double.py": "import of_modules_test_one\nfrom of_modules_test_space.inner import code\n",
            "of_modules_test_one.py": "",
            "of_modules_test_space/inner/code.py": "",
        }
    )
    assert modules(analysis, path) == {"of_modules_test_one", "of_modules_test_space.inner.code"}


def test_what_a_declared_package_imports_counts(analysis, checkout):
    path = checkout(
        {
            "lab/double.py": "import of_modules_test\n",
            "of_modules_test/__init__.py": "from of_modules_test_other import k\n",
            "of_modules_test_other.py": "k = 1\n",
        }
    )
    declared = analysis.model_copy(update={"packages": ("of_modules_test",)})
    assert modules(declared, path) == {"of_modules_test:__init__", "of_modules_test_other"}
    assert changed(declared, checkout, "of_modules_test_other.py", "k = 2\n")


def test_the_package_of_the_analyses_counts_if_it_has_code(analysis, checkout):
    path = checkout(
        {"lab/double.py": "from lab import helper\n", "lab/helper.py": "", "lab/__init__.py": '"""Docs."""\n'}
    )
    assert modules(analysis, path) == {"lab.helper"}
    checkout({"lab/__init__.py": "k = 1\n"})
    assert modules(analysis, path) == {"lab.helper", "lab"}
    assert changed(analysis, checkout, "lab/__init__.py", "k = 2\n")


def test_installed_packages_do_not_count(analysis, checkout, tmp_path):
    path = checkout({"lab/double.py": "import of_modules_test, numpy, json, sys\n", "of_modules_test.py": ""})
    assert modules(analysis, path) == {"of_modules_test"}
    (tmp_path / "of_modules_test-1.dist-info").mkdir()
    assert modules(analysis, path) == set()
    assert roots_of("no_such_module") == roots_of("__main__") == []


def test_a_computed_import_is_rejected_by_name(analysis, checkout):
    text = "from importlib import import_module\nfor name in ('a', 'b'):\n    import_module(f'lab.{name}')\n"
    path = checkout({"lab/double.py": "from lab import plugins\n", "lab/plugins.py": text})
    with pytest.raises(
        AnalysisFileError, match=r"`lab\.plugins` \(.*plugins\.py, line 3\) imports a module whose name"
    ):
        version_of(analysis, path)
    own = analysis.model_copy(update={"code_identity": "version"})
    assert version_of(own, path) == "1"


def test_a_declared_package_may_compute_its_imports(analysis, checkout):
    text = "from importlib import import_module\nimport_module(__name__ + '.deeper')\n"
    files = {"__init__.py": text, "deeper.py": "k = 1\n"}
    path = checkout(
        {"lab/double.py": "import of_modules_test\n"} | {f"of_modules_test/{n}": t for n, t in files.items()}
    )
    declared = analysis.model_copy(update={"packages": ("of_modules_test",)})
    version_of(declared, path)
    assert changed(declared, checkout, "of_modules_test/deeper.py", "k = 2\n")


@pytest.mark.parametrize("ending", [EXTENSION_SUFFIXES[0], ".pyc"])
def test_a_compiled_module_is_rejected_by_name_unless_its_file_is_declared(analysis, checkout, ending):
    path = checkout(
        {
            "lab/double.py": "from of_modules_test import fast\n",
            "of_modules_test/__init__.py": "",
            f"of_modules_test/fast{ending}": "1",
        }
    )
    with pytest.raises(
        AnalysisFileError, match=r"`of_modules_test\.fast` \(.*\) is compiled, so its source cannot be read"
    ):
        version_of(analysis, path)
    packaged = analysis.model_copy(update={"packages": ("of_modules_test",)})
    with pytest.raises(AnalysisFileError, match=r"`of_modules_test:fast\..*` \(.*\) is compiled"):
        version_of(packaged, path)
    for one in (analysis, packaged):
        declared = one.model_copy(update={"data_files": (f"of_modules_test:fast{ending}",)})
        checkout({f"of_modules_test/fast{ending}": "1"})
        assert changed(declared, checkout, f"of_modules_test/fast{ending}", "2")


def test_the_packages_of_the_platform_are_those_of_the_import_contract():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    assert {*settings["importlinter"]["root_packages"], "definitions"} - {"analysis_assets"} == PLATFORM


def test_the_earlier_search_is_that_of_release_0_2(checkout):
    path = checkout(
        {
            "lab/double.py": "import of_modules_test_one\nfrom lab import _hidden, helper\n",
            "lab/_hidden.py": "from lab import deeper\n",
            "lab/helper.py": "",
            "lab/deeper.py": "",
            "of_modules_test_one.py": "",
        }
    )
    assert set(ModuleSearch(path, (), earlier=True).imported()) == {"lab.helper"}
    found = {"lab.helper", "lab._hidden", "lab.deeper", "of_modules_test_one"}
    assert set(ModuleSearch(path, ()).imported()) == found
