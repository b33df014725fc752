"""Parses sources, and names the file in errors. It imports only what `engine.discovery.code_identity` may import."""

import ast
import warnings

from domain.errors import AnalysisFileError


def parse(source: str, module: str) -> ast.Module:
    """Parse one source, without Python's warnings.

    Raises
    ------
    AnalysisFileError
        If it is not valid Python; with file, line and column.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.removeprefix("\ufeff"))
    except SyntaxError as error:
        msg = f"{file_of(module)}, line {error.lineno or 1}, column {error.offset or 1}: not valid Python: {error.msg}."
    except (ValueError, RecursionError, MemoryError) as error:
        msg = f"{file_of(module)}, line 1: not valid Python: {str(error) or 'nested too deep'}."
    raise AnalysisFileError(msg) from None


def file_of(module: str) -> str:
    """Return the file of a module, as errors name it."""
    return f"File {module.replace('.', '/')}.py"
