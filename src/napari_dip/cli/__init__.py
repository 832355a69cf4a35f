"""The command line ``napari-dip``; see `main`.

Every setting of a method is a flag read off its `Settings`; none is written here by hand. torch is
imported by the verbs that work, never for help, a wrong call, ``score`` or ``info``; napari and Qt
never are.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from napari_dip.cli.output import DONE, FAILED, MISUSED, WORDS, Output, discard, warnings_as_notes
from napari_dip.engine.threads import let_idle_threads_sleep
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import MissingArgumentError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``napari-dip``; by default those of this process.

    Returns
    -------
    int
        0 done, 1 some input failed or the run was interrupted, 2 wrong usage (nothing was done).
    """
    from cyclopts import CycloptsError

    from napari_dip.cli.commands import build
    from napari_dip.cli.insert_config import with_config
    from napari_dip.errors import DenoiseError

    let_idle_threads_sleep()
    tokens = list(sys.argv[1:] if argv is None else argv)
    output = Output(as_json="--json" in tokens)
    try:
        if not tokens:  # a call without a verb does nothing; it is answered with what there is
            build(tokens).help_print([])
            return MISUSED
        if "" in tokens:  # as a path it would mean the whole current folder
            raise UsageError(
                'A word of the call is empty (""), such as a variable that is not set: leave it '
                "out."
            )
        tokens = with_config(tokens)
        with warnings_as_notes(output):
            code = build(tokens)(
                tokens, exit_on_error=False, print_error=False, result_action="return_value"
            )
        return code if isinstance(code, int) else DONE
    except CycloptsError as error:
        return output.fail(_sentence(error, tokens), MISUSED)
    except UsageError as error:
        return output.fail(error.explain(WORDS), MISUSED)
    except BrokenPipeError:  # of what cyclopts prints itself, such as help
        discard(sys.stdout)
        return DONE
    except SystemExit as error:  # rich, from 14 on, makes one of a broken pipe
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return DONE
    except (DenoiseError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.strerror and error.filename:  # Python's own words
            return output.fail(f"{error.filename}: {error.strerror}; choose another.", FAILED)
        return output.fail(str(error), FAILED)
    except MemoryError:  # before the work, as when an image is read
        from napari_dip.planes.walk import OUT_OF_MEMORY

        return output.fail(OUT_OF_MEMORY["computer"], FAILED)
    except KeyboardInterrupt:
        return output.fail("Interrupted.", FAILED)


def _sentence(error: Exception, tokens: Sequence[str]) -> str:
    """Return what is wrong with a command line in one sentence."""
    from cyclopts import MissingArgumentError
    from pydantic import ValidationError

    from napari_dip.cli.commands import chosen_method
    from napari_dip.cli.other_methods import explain_other_method
    from napari_dip.methods.registry import METHODS
    from napari_dip.settings import explain

    if tokens[0] == "denoise":
        elsewhere = explain_other_method(tokens, chosen_method(tokens, METHODS))
        if elsewhere:
            return elsewhere
    if isinstance(error.__cause__, ValidationError):
        return explain(error.__cause__) + f" See `napari-dip {tokens[0]} --help`."
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return _missing(error, tokens[0])
    return str(error).strip()


def _missing(error: MissingArgumentError, verb: str) -> str:
    """Say which word of a call is missing, what it is for, and where to read more."""
    assert error.argument is not None
    name, text = error.argument.name, (error.argument.parameter.help or "").strip()
    if not text[1:2].isupper():  # no acronym
        text = text[:1].lower() + text[1:]
    if error.keyword:
        problem = f"Nothing stands after {error.keyword}; give it a value"
    elif name.startswith("-"):
        problem = f"`napari-dip {verb}` needs {name} {name.strip('-').upper()}"
    else:
        problem = f"`napari-dip {verb}` needs {name}"
    return f"{problem}: {text} See `napari-dip {verb} --help`."
