"""The magics: ``%datarun COMMAND`` and ``%%datarun submit DATASET``."""

from __future__ import annotations

import argparse
import getpass
import threading
from pathlib import Path
from typing import Any

from IPython.core.error import StdinNotImplementedError, UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class

from datarun_ext.client import ClientError, NotFound
from datarun_ext.magics.arguments import help_text, parse
from datarun_ext.magics.completion import matcher
from datarun_ext.notebook.current import connect
from datarun_ext.notebook.current import current as current_session
from datarun_ext.notebook.objects.submission import Submission
from datarun_ext.notebook.session import Session
from datarun_ext.notebook.sources import CannotSubmit, from_source

CELL_COMMANDS = ("submit",)
SPLIT = 0.2
SOON_S = 0.1


@magics_class
class DatarunMagics(Magics):
    """``%datarun`` and ``%%datarun``."""

    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._last: Submission | None = None
        self._names: list[str] = []
        self._asking: threading.Thread | None = None

    @line_cell_magic
    def datarun(self, line: str, cell: str | None = None) -> Any:
        """Submit models to datarun and look at what comes of them.

        ``%datarun help`` shows all commands; ``%%datarun submit DATASET`` submits the cell.
        """
        args = parse(line)
        if cell is not None and args.command not in CELL_COMMANDS:
            msg = f"{args.command} takes no cell: write %datarun {args.command} with one %"
            raise UsageError(msg)
        if args.command == "submit":
            return self._submit(args, cell)
        try:
            return getattr(self, f"_{args.command}")(args)
        except (LookupError, ValueError, TypeError, OSError, ClientError) as error:
            if args.command == "debug" and not isinstance(error, ClientError | LookupError):
                raise
            raise _usage(error) from error

    def names(self) -> list[str]:
        """Return the names of datasets that were seen last, for completion.

        The first time they are asked for in a thread: completion waits for no server.
        """
        if self._asking is None:
            self._asking = threading.Thread(target=self._ask, daemon=True)
            self._asking.start()
            self._asking.join(SOON_S)
        return self._names

    def _ask(self) -> None:
        try:
            self._seen(self.session)
        except ClientError:
            # No server: whoever runs a command is told so, whoever types is not.
            self._names = []

    @property
    def session(self) -> Session:
        """The session in use."""
        return current_session()

    def _connect(self, args: argparse.Namespace) -> Any:
        password = getpass.getpass(f"Password of {args.user}: ") if args.user else ""
        session = connect(args.url, token=args.token, username=args.user, password=password)
        self._seen(session)
        return session

    def _seen(self, session: Session) -> Any:
        found = session.datasets()
        self._names = [one.name for one in found]
        return found

    def _data(self, args: argparse.Namespace) -> Any:
        if args.dataset is None:
            return self._seen(self.session)
        return self.session.dataset(_ref(args.dataset)).preview(args.rows)

    def _upload(self, args: argparse.Namespace) -> Any:
        source = self.shell.user_ns.get(args.source)
        name = args.name or (args.source if source is not None else None)
        dataset = self.session.upload(
            Path(args.source) if source is None else source,
            name=name,
            target=args.target,
            workflow=args.workflow,
        )
        if args.split is not None:
            dataset.split(args.split)
        self._names.append(dataset.name)
        return dataset

    def _split(self, args: argparse.Namespace) -> Any:
        dataset = self.session.dataset(_ref(args.dataset))
        if dataset.data.kind == "custom":
            return dataset.split()
        return dataset.split(SPLIT if args.test is None else args.test, random_state=args.seed)

    def _submit(self, args: argparse.Namespace, cell: str | None) -> Any:
        try:
            dataset = self.session.dataset(_ref(args.dataset))
            submission = dataset.submit(
                self._code(args, cell, dataset.workflow),
                name=args.name,
                cv=args.cv,
                priority=args.priority,
                limits=_limits(args),
                preflight=args.preflight,
            )
        except SyntaxError as error:
            raise _syntax(error) from error
        except (LookupError, ValueError, TypeError, OSError, ClientError) as error:
            raise _usage(error) from error
        self._last = submission
        if args.out:
            self.shell.user_ns[args.out] = submission
        if args.wait:
            try:
                submission.wait()
            except KeyboardInterrupt:
                print(f"still running; %datarun cancel {submission.id} stops it")
        return submission

    def _code(self, args: argparse.Namespace, cell: str | None, elements: Any) -> Any:
        given = [cell, args.path, args.object]
        if sum(one is not None for one in given) != 1:
            msg = (
                "nothing to submit, or too much: %%datarun submit with a cell, or %datarun submit "
                "with --path FILE_OR_FOLDER or --object NAME"
            )
            raise UsageError(msg)
        if args.path is not None:
            return Path(args.path)
        if args.object is not None:
            if args.object not in self.shell.user_ns:
                msg = f"there is no {args.object} in this notebook"
                raise UsageError(msg)
            return self.shell.user_ns[args.object]
        assert cell is not None
        return from_source(cell, elements, args.file)

    def _submissions(self, args: argparse.Namespace) -> Any:
        return self.session.submissions(None if args.dataset is None else _ref(args.dataset))

    def _leaderboard(self, args: argparse.Namespace) -> Any:
        return self.session.dataset(_ref(args.dataset)).leaderboard(args.by)

    def _folds(self, args: argparse.Namespace) -> Any:
        return self._submission(args).folds.frame()

    def _scores(self, args: argparse.Namespace) -> Any:
        return self._submission(args).scores()

    def _show(self, args: argparse.Namespace) -> Any:
        return self._submission(args)

    def _wait(self, args: argparse.Namespace) -> Any:
        submission = self._submission(args)
        try:
            return submission.wait()
        except KeyboardInterrupt:
            print(f"still running; %datarun cancel {submission.id} stops it")
            return submission

    def _log(self, args: argparse.Namespace) -> None:
        print(self.session.fold(args.fold).log())

    def _predict(self, args: argparse.Namespace) -> Any:
        return self.session.fold(args.fold).predictions()

    def _cancel(self, args: argparse.Namespace) -> Any:
        if args.fold is not None:
            return self.session.fold(args.fold).cancel()
        submission = self._submission(args)
        print(f"{submission.cancel()} folds stopped")
        return submission.refresh()

    def _rerun(self, args: argparse.Namespace) -> Any:
        if args.fold is not None:
            return self.session.fold(args.fold).rerun()
        submission = self._submission(args)
        submission.rerun("all" if args.all else "failed")
        return submission.refresh()

    def _debug(self, args: argparse.Namespace) -> Any:
        from datarun_ext.notebook.debug import Rebuilt

        if args.bundle:
            return self.session.fold(args.fold).bundle(args.bundle)
        rebuilt = Rebuilt.of(self.session.client, args.fold)
        print(f"fold {args.fold}, rebuilt in {rebuilt.folder}")
        try:
            rebuilt.run()
        except Exception as error:
            trace = rebuilt.own_frames(error)
            if args.no_pdb:
                raise error.with_traceback(trace) from None
            self.shell.showtraceback((type(error), error, trace), tb_offset=0)
            try:
                self.shell.debugger(force=True)
            except StdinNotImplementedError:
                print("Nobody can type here; in a notebook, %debug stands at the error.")
            return None
        print("Here it was trained and tested without an error.")
        return None

    def _runners(self, args: argparse.Namespace) -> Any:
        return self.session.runners()

    def _doctor(self, args: argparse.Namespace) -> None:
        session = self.session
        health = session.health()
        print(f"Server    {session.url}, datarun {health.version}: {health.status}")
        print(f"Runners   {health.runners}, {health.busy} of {health.slots} slots busy")
        print(f"Queue     {health.queued} folds wait")
        for problem in health.problems:
            print(f"PROBLEM   {problem.part}: {problem.message}\n          -> {problem.remedy}")
        print("`datarun doctor` in a terminal looks at this installation too.")

    def _help(self, args: argparse.Namespace) -> None:
        print(help_text(args.about))

    def _submission(self, args: argparse.Namespace) -> Submission:
        if args.submission is not None:
            self._last = self.session.submission(_ref(args.submission))
        elif self._last is None:
            known = self.session.client.submissions.list()
            if not known:
                msg = "nothing was submitted yet: %%datarun submit DATASET"
                raise UsageError(msg)
            self._last = self.session.submission(known[-1].id)
        return self._last


def _ref(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _limits(args: argparse.Namespace) -> dict[str, float] | None:
    limits = {"memory_mb": args.memory, "hard_s": args.time}
    return {name: value for name, value in limits.items() if value is not None} or None


def _usage(error: Exception) -> UsageError:
    if isinstance(error, UsageError):
        return error
    if isinstance(error, NotFound):
        return UsageError(f"There is no such thing on the server: {error}")
    text = error.args[0] if isinstance(error, LookupError | CannotSubmit) and error.args else error
    return UsageError(str(text))


def _syntax(error: SyntaxError) -> UsageError:
    text = (error.text or "").rstrip()
    hint = ""
    if text.lstrip().startswith(("%", "!")):
        hint = " A submission is plain Python: magics and shell commands do not work in it."
    return UsageError(f"line {error.lineno} of the cell: {error.msg}\n    {text}\n{hint}".rstrip())


def load(shell: Any) -> None:
    """Add the magics and their completion to a shell."""
    magics = DatarunMagics(shell)
    shell.register_magics(magics)
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        found = matcher(magics.names)
        completer.custom_matchers.append(found)
        shell._datarun_matcher = found


def unload(shell: Any) -> None:
    """Take both away again."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("datarun", None)
    found = shell.__dict__.pop("_datarun_matcher", None)
    completer = getattr(shell, "Completer", None)
    if completer is not None and found in completer.custom_matchers:
        completer.custom_matchers.remove(found)
