"""What is left out of a source digest: labels for people and for the scheduling of jobs.

These are docstrings, the values of ``description=`` in ``Field(…)`` and ``Analysis(…)``, and the labels in
``ANALYSIS = …``. A plain form adds nothing to a digest. What is plain is determined by the rest of the module alone, so
that two forms with different behavior never have one digest: ``run=run`` is plain where the module has a ``run``;
otherwise its ``run_analysis`` is, its first function with an argument ``parameters``, or its first function.

It imports only what `engine.discovery.code_identity` may import.
"""

import ast
from collections.abc import Iterator
from functools import cached_property

from engine.discovery.names import Reads, dotted, origins_of

FORM_LABELS = frozenset(
    {
        "name",
        "version",
        "owners",
        "retry",
        "breaker",
        "time_limit_s",
        "workers",
        "batch_size",
        "figure",
        "tables",
        "packages",
        "data_files",
        "code_identity",
        "tags",
        "checks",
        "example",
    }
)
"""Arguments of ``Analysis(…)`` that do not change what is computed, or are part of the identity in another way."""
FORM_BEHAVIOR = frozenset({"parameters", "outputs", "run", "working_folder", "input_metadata"})
"""Arguments of ``Analysis(…)`` that change what is computed."""

_ANALYSES = frozenset({"Analysis", "domain.analysis.Analysis", "domain.analysis.form.Analysis"})
_WRAPPERS = frozenset({"from_wrapper", "domain.wrapper.from_wrapper"})
_COMMANDS = frozenset({"Command", "domain.command.Command"})
_FIELDS = frozenset(
    {"pydantic.Field", "pydantic.fields.Field", "dataclasses.field", "attrs.field", "attr.field", "Field", "field"}
)
_WRAPPER_NAMES = {"input_model": "parameters", "output_model": "outputs", "run_function": "run"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_TEXTS = (ast.Constant, ast.JoinedStr)
_NO_DESCRIPTION = ast.keyword(arg="description", value=ast.Constant(value=None))


class Labels:
    """The labels of one module.

    Parameters
    ----------
    tree : ast.Module
        Syntax tree of the module.
    reads : Reads
        What the sources of the analysis read: labels that code reads are not left out.
    """

    def __init__(self, tree: ast.Module, reads: Reads) -> None:
        self._tree, self._reads = tree, reads

    def body(self, node: ast.AST) -> list[ast.stmt]:
        """Return the statements of a module, class or function that count."""
        statements: list[ast.stmt] = node.body  # type: ignore[attr-defined]
        if not isinstance(node, _DOCUMENTED):
            return statements
        if not self._reads.docstrings:
            statements = without_docstring(statements)
        return self._reduced(statements) if node is self._tree else statements

    def keywords(self, call: ast.Call) -> list[ast.keyword]:
        """Return the keyword arguments of a call, a label without its value."""
        return [_NO_DESCRIPTION if self._is_description(call, keyword) else keyword for keyword in call.keywords]

    def additions(self) -> list[str]:
        """Return the parts of the form that count, as texts: ``run=exact``."""
        if not isinstance(self._form, ast.Call):
            return ["ANALYSIS"] if self._forms else []
        return [ast.unparse(keyword) for keyword in self._counted(self._form)]

    @cached_property
    def _origins(self) -> dict[str, set[str]]:
        return origins_of(self._tree)

    @cached_property
    def _forms(self) -> list[ast.stmt]:
        return [statement for statement in self._tree.body if is_form(statement)]

    @cached_property
    def _form(self) -> ast.expr | None:
        """The call in ``ANALYSIS = …``; None if it has to count completely."""
        value = getattr(self._forms[0], "value", None) if len(self._forms) == 1 and not self._reads.form else None
        if not isinstance(value, ast.Call) or any(isinstance(argument, ast.Starred) for argument in value.args):
            return None
        origins = {origin for found in self._origins.values() for origin in found}
        allowed = _WRAPPERS if any(origin.startswith("domain.wrapper") for origin in origins) else _ANALYSES
        return value if dotted(value.func, self._origins) in allowed and _is_readable(value) else None

    def _reduced(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Replace the form by its parts that count; remove it if there are none."""
        if not isinstance(self._form, ast.Call):
            return statements
        counted = sorted(self._counted(self._form), key=lambda keyword: str(keyword.arg))
        call = ast.Call(func=ast.Name(id="Analysis", ctx=ast.Load()), args=[], keywords=counted)
        reduced = ast.Assign(targets=[ast.Name(id="ANALYSIS", ctx=ast.Store())], value=call)
        kept: dict[bool, list[ast.stmt]] = {True: [reduced] if counted else []}
        return [one for statement in statements for one in kept.get(is_form(statement), [statement])]

    def _counted(self, call: ast.Call) -> Iterator[ast.keyword]:
        """Yield the arguments of a form that change what is computed."""
        named = {_WRAPPER_NAMES.get(str(keyword.arg), str(keyword.arg)): keyword.value for keyword in call.keywords}
        given = dict(zip(("parameters", "outputs", "run"), call.args, strict=False)) | named
        if dotted(call.func, self._origins) in _WRAPPERS:
            given.setdefault("open_inputs", ast.Constant(value=True))
        for name, value in given.items():
            if name not in FORM_LABELS and not self._is_plain(name, value):
                yield ast.keyword(arg=name, value=value)

    def _is_plain(self, name: str, value: ast.expr) -> bool:
        """Return whether an argument is the one that the rest of the module determines."""
        if name == "run" and isinstance(value, ast.Call) and dotted(value.func, self._origins) in _COMMANDS:
            return True  # the command's own digest is part of the code version
        match value:
            case ast.Name(id=found):
                first, second = self._plain_models()
                return {"run": self._plain_run(), "parameters": first, "outputs": second}.get(name) == found
            case ast.Constant(value=found):
                return {"working_folder": "scratch", "open_inputs": self._reads.inputs}.get(name, ...) == found
        return False

    def _plain_run(self) -> str:
        """Return the name of the function that ``run=`` names in a plain form."""
        functions = [statement for statement in self._tree.body if isinstance(statement, _FUNCTIONS)]
        fitting = [f for f in functions if "parameters" in {argument.arg for argument in f.args.args}]
        conventional = [name for name in ("run", "run_analysis") if name in self._origins]
        return next(iter([*conventional, *(f.name for f in fitting or functions), "run"]))

    def _plain_models(self) -> tuple[str, str]:
        """Return the names of the two models in a plain form: the conventional ones, or the first classes."""
        classes = [statement.name for statement in self._tree.body if isinstance(statement, ast.ClassDef)]
        first = self._plain_model("Parameters", classes or self._ending("Parameters", "Specification"))
        return first, self._plain_model("Outputs", [n for n in classes or self._ending("Outputs") if n != first])

    def _plain_model(self, conventional: str, others: list[str]) -> str:
        return conventional if conventional in self._origins else next(iter(others), "")

    def _ending(self, *endings: str) -> list[str]:
        """Return the name with one of these endings, if the module has only one: that of an imported model."""
        found = [name for name in self._origins if name.endswith(endings)]
        return found if len(found) == 1 else []

    def _is_description(self, call: ast.Call, keyword: ast.keyword) -> bool:
        """Return whether a keyword argument is a label: elsewhere than in these calls it is a value."""
        if keyword.arg != _NO_DESCRIPTION.arg:
            return False
        name = dotted(call.func, self._origins)
        # the origin of a name from a star import is unknown: only a text is a label there
        return name in _FIELDS | _ANALYSES and (name not in {"Field", "field"} or isinstance(keyword.value, _TEXTS))


class EarlierLabels(Labels):
    """What was left out by release 0.1: every ``ANALYSIS = …``, ``description=`` and docstring."""

    def _reduced(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        return [statement for statement in statements if not is_form(statement)]

    def _is_description(self, call: ast.Call, keyword: ast.keyword) -> bool:  # noqa: ARG002
        return keyword.arg == _NO_DESCRIPTION.arg


def is_form(statement: ast.stmt) -> bool:
    """Return whether a statement is a module's ``ANALYSIS = …``."""
    match statement:
        case ast.Assign(targets=[ast.Name(id="ANALYSIS")]) | ast.AnnAssign(target=ast.Name(id="ANALYSIS")):
            return True
    return False


def _is_readable(call: ast.Call) -> bool:
    """Return whether each argument of a form has a name: those of ``**form`` are not known."""
    return all(keyword.arg is not None for keyword in call.keywords)


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements after a docstring."""
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body
