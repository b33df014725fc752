"""The digest of an analysis's sources, which changes with their behavior and not with their formatting.

Comments, formatting, docstrings and the labels in ``ANALYSIS = …`` and ``Field(description=…)`` do not change the
digest; see `engine.discovery.labels`. The syntax tree is serialized by our own versioned code, because `ast.dump` differs between Python versions: for
each node, the name of its type and the non-empty fields of a fixed table. The result is one flat list, so that nesting
is not limited.

It only imports the standard library, `rfc8785` and the error types, so that any Python can verify a digest.
"""

import ast
from collections.abc import Mapping
from typing import Any

from domain.errors import AnalysisFileError
from domain.json_values import canonical_json, sha256_hex
from engine.discovery.imports import imported_names
from engine.discovery.labels import EarlierLabels, Labels
from engine.discovery.names import Reads, reads_of
from engine.discovery.syntax import file_of, parse

__all__ = [
    "FIELDS",
    "code_version",
    "earlier_digest",
    "form_additions",
    "imported_names",
    "merged_texts",
    "source_digest",
]

Fields = Mapping[str, tuple[str, ...]]

SOURCE_FORMAT = "analysis-source/1"
_DIGITS = 12
_MAX_DECIMAL_BITS = 4096

FIELDS: dict[str, tuple[str, ...]] = {
    node: tuple(fields.split())
    for fields, nodes in {
        "body": "Module",
        "name type_params args returns decorator_list body": "FunctionDef AsyncFunctionDef",
        "name type_params bases keywords decorator_list body": "ClassDef",
        "value": "Return Expr Await Yield YieldFrom Constant Starred MatchValue MatchSingleton",
        "targets": "Delete",
        "targets value": "Assign",
        "name type_params value": "TypeAlias",
        "target op value": "AugAssign",
        "target annotation value simple": "AnnAssign",
        "target iter body orelse": "For AsyncFor",
        "test body orelse": "While If IfExp",
        "items body": "With AsyncWith",
        "subject cases": "Match",
        "exc cause": "Raise",
        "body handlers orelse finalbody": "Try TryStar",
        "test msg": "Assert",
        "names": "Import Global Nonlocal",
        "module names level": "ImportFrom",
        "op values": "BoolOp",
        "target value": "NamedExpr",
        "left op right": "BinOp",
        "op operand": "UnaryOp",
        "args body": "Lambda",
        "keys values": "Dict",
        "elts": "Set List Tuple",
        "elt generators": "ListComp SetComp GeneratorExp",
        "key value generators": "DictComp",
        "left ops comparators": "Compare",
        "func args keywords": "Call",
        "value conversion format_spec": "FormattedValue",
        "value str conversion format_spec": "Interpolation",
        "values": "JoinedStr TemplateStr",
        "value attr": "Attribute",
        "value slice": "Subscript",
        "id": "Name",
        "lower upper step": "Slice",
        "target iter ifs is_async": "comprehension",
        "type name body": "ExceptHandler",
        "posonlyargs args vararg kwonlyargs kw_defaults kwarg defaults": "arguments",
        "arg annotation": "arg",
        "arg value": "keyword",
        "name asname": "alias",
        "context_expr optional_vars": "withitem",
        "pattern guard body": "match_case",
        "patterns": "MatchSequence MatchOr",
        "keys patterns rest": "MatchMapping",
        "cls patterns kwd_attrs kwd_patterns": "MatchClass",
        "name": "MatchStar",
        "pattern name": "MatchAs",
        "name bound default_value": "TypeVar",
        "name default_value": "ParamSpec TypeVarTuple",
        "": "Pass Break Continue And Or Not Invert UAdd USub Add Sub Mult MatMult Div Mod Pow LShift RShift BitOr BitXor "
        "BitAnd FloorDiv Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn",
    }.items()
    for node in nodes.split()
}
"""Fields of node types, in this order: those of Python 3.11, and additions of later versions."""
_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_LITERALS = frozenset({"Constant", "MatchSingleton"})
_STRINGS_WITH_VALUES = frozenset({"JoinedStr", "TemplateStr"})


def source_digest(sources: Mapping[str, str], *, fields: Fields = FIELDS) -> str:
    """Return the digest of the behavior of modules.

    Parameters
    ----------
    sources : mapping
        Source text by module name; the order does not matter, the names do.
    fields : mapping
        Fields by node type. All stored digests use the default.

    Returns
    -------
    str
        64 lower-case hexadecimal characters; the same on every supported Python version.

    Raises
    ------
    AnalysisFileError
        If a source is not valid Python (with file and line), or has syntax that this version of the digest does
        not know.
    """
    trees = {name: parse(text, name) for name, text in sources.items()}
    reads = reads_of(trees.values())
    content: dict[str, Any] = {
        "format": SOURCE_FORMAT,
        "modules": {name: _tokens(tree, name, fields, Labels(tree, reads)) for name, tree in trees.items()},
    }
    if reads.texts:
        content["texts"] = {name: sha256_hex(text.encode("utf-8", "surrogatepass")) for name, text in sources.items()}
    return sha256_hex(canonical_json(content))


def earlier_digest(sources: Mapping[str, str]) -> str:
    """Return the digest that release 0.1 gave to modules: to say why a code version is another one."""
    trees = {name: parse(text, name) for name, text in sources.items()}
    modules = {name: _tokens(tree, name, FIELDS, EarlierLabels(tree, Reads())) for name, tree in trees.items()}
    return sha256_hex(canonical_json({"format": SOURCE_FORMAT, "modules": modules}))


def form_additions(name: str, sources: Mapping[str, str]) -> list[str]:
    """Return the parts of a module's ``ANALYSIS = …`` that count, as texts; none for a plain form.

    Parameters
    ----------
    name : str
        Name of the module.
    sources : mapping
        All sources of the analysis by module name, as for `source_digest`.
    """
    trees = {module: parse(text, module) for module, text in sources.items()}
    return Labels(trees[name], reads_of(trees.values())).additions()


def code_version(declared: str, digest: str) -> str:
    """Join a declared version and a source digest: ``1.2.0+3f786850e387``.

    Parameters
    ----------
    declared : str
        The version in the analysis file.
    digest : str
        From `source_digest`; its first 12 characters are used.

    Returns
    -------
    str
        The code version, which is part of result ids.
    """
    return f"{declared}+{digest[:_DIGITS]}"


def _tokens(tree: ast.Module, module: str, fields: Fields, labels: Labels) -> list[str]:
    """Return a syntax tree as a flat list of tokens; the first character of a token is its kind."""
    tokens: list[str] = []
    todo: list[Any] = [tree]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            tokens.append(item)
        elif isinstance(item, list):
            todo += reversed(["[", *(_item(entry) for entry in item), "]"])
        else:
            _refuse_unknown(item, module, fields)
            todo += reversed([f"({type(item).__name__}", *_field_items(item, fields, labels), ")"])
    return tokens


def _refuse_unknown(node: ast.AST, module: str, fields: Fields) -> None:
    """Raise for syntax that is newer than the table: ignoring it would give different code the same digest."""
    name = type(node).__name__
    known = {*fields.get(name, ()), *_IGNORED}
    news = [f"{name}.{field}" for field in node._fields if field not in known and getattr(node, field, None)]
    if name not in fields or news:
        what = news[0] if name in fields else name
        msg = (
            f"{file_of(module)}, line {getattr(node, 'lineno', 1)}: the syntax `{what}` is newer than the source digest "
            f'{SOURCE_FORMAT}. Write it in another way, or use code_identity="version".'
        )
        raise AnalysisFileError(msg)


def _field_items(node: ast.AST, fields: Fields, labels: Labels) -> list[Any]:
    """Return the non-empty fields of a node with their names."""
    items: list[Any] = []
    name = type(node).__name__
    for field in fields[name]:
        value = _content(node, field, labels)
        if name in _LITERALS or not (value is None or value == []):
            items += [f".{field}", _item(value)]
    return items


def _content(node: ast.AST, field: str, labels: Labels) -> Any:
    """Return the content of a field without labels."""
    value: Any = getattr(node, field, None)
    if field == "body" and isinstance(value, list):
        return labels.body(node)
    if field == "keywords" and isinstance(node, ast.Call):
        return labels.keywords(node)
    if field == "values" and type(node).__name__ in _STRINGS_WITH_VALUES:
        return merged_texts(value)
    return value


def merged_texts(parts: list[ast.expr]) -> list[ast.expr]:
    """Join adjacent texts of an f-string, which Python versions split differently, and remove empty ones."""
    merged: list[ast.expr] = []
    for part in parts:
        if not isinstance(part, ast.Constant):
            merged.append(part)
        elif merged and isinstance(merged[-1], ast.Constant):
            merged[-1] = ast.Constant(value=str(merged[-1].value) + str(part.value))
        elif part.value:
            merged.append(part)
    return merged


def _item(value: Any) -> Any:
    """Return a node or list unchanged, to be walked, and anything else as a token."""
    return value if isinstance(value, ast.AST | list) else _literal(value)


def _literal(value: Any) -> str:
    """Return a constant with its type, so that ``1``, ``1.0``, ``True`` and ``"1"`` differ."""
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        return f"=str-utf16:{value.encode('utf-16-be', 'surrogatepass').hex()}"
    if isinstance(value, bytes):
        return f"=bytes:{value.hex()}"
    if isinstance(value, int) and value.bit_length() > _MAX_DECIMAL_BITS:
        return f"=int-hex:{value:x}"
    if isinstance(value, float | complex):
        return f"={type(value).__name__}:{value!r}"
    return f"={type(value).__name__}:{'' if value is None or value is ... else str(value)}"
