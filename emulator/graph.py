"""Decode and evaluate a REST Expression: lazily, each shared node once per scope."""

import contextvars
import ctypes
import functools
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from emulator.errors import (
    WRONG_ARGUMENT,
    EarthEngineError,
    memory_exceeded,
    wrong_argument,
)
from emulator.registry import INT64_MAX, INT64_MIN, lookup

P = ParamSpec("P")
R = TypeVar("R")

STACK_BYTES = 512 * 2**20  # reserved, not used: a chain of thousands of nodes recurses deeply
RECURSION_LIMIT = 60_000  # Python frames; about ten for each node of a chain

_deep = threading.local()


class ComputationTimedOut(BaseException):
    """Raised in a thread whose time is over; nothing but its first frame may catch it."""


def on_deep_stack(function: Callable[P, R], seconds: float | None = None) -> Callable[P, R]:
    """Run a function in a thread whose stack lets long chains of nodes recurse.

    It must end within `seconds` if they are given. Errors of what is computed lazily become
    the caller's here.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if getattr(_deep, "active", False):
            return function(*args, **kwargs)
        outcome: list[Any] = []
        thread = _deep_thread(lambda: outcome.append(_attempt(function, args, kwargs)))
        thread.join(seconds)
        if thread.is_alive():
            identifier = ctypes.c_ulong(thread.ident)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                identifier, ctypes.py_object(ComputationTimedOut)
            )
            thread.join()
        value, error = outcome[0] if outcome else (None, _timed_out())
        if error is not None:
            raise error
        return value

    return run


def _timed_out() -> EarthEngineError:
    return EarthEngineError("Computation timed out.")


def _attempt(
    function: Callable[..., R], args: Any, kwargs: Any
) -> tuple[R | None, BaseException | None]:
    _deep.active = True
    try:
        return function(*args, **kwargs), None
    except RecursionError:
        return None, EarthEngineError("Expression is too deeply nested.")
    except MemoryError:
        return None, memory_exceeded()
    except ComputationTimedOut:
        return None, _timed_out()
    except WRONG_ARGUMENT as error:
        return None, wrong_argument("Expression", error)
    except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
        return None, error


_stack_size_lock = threading.Lock()


def _deep_thread(work: Callable[[], None]) -> threading.Thread:
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), daemon=True)
    with _stack_size_lock:  # the size is the process's until the thread has started
        sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION_LIMIT))
        previous = threading.stack_size(STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(previous)
    return thread


class Function:
    """A function as a value: user-defined in the graph, or made by an algorithm."""

    def __init__(self, parameters: Sequence[str], body: Callable[[dict[str, Any]], Any]) -> None:
        self.parameters = tuple(parameters)
        self._body = body

    def __call__(self, *values: Any) -> Any:
        """Call the function with arguments by position."""
        if len(values) != len(self.parameters):
            wanted, given = len(self.parameters), len(values)
            raise EarthEngineError(f"Function takes {wanted} arguments, {given} were given.")
        return self._body(dict(zip(self.parameters, values, strict=True)))

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Call the function with named arguments."""
        for name in self.parameters:
            if name not in arguments:
                raise EarthEngineError(f"Parameter '{name}' is required and may not be null.")
        return self._body({name: arguments[name] for name in self.parameters})


class Scope:
    """The arguments of one call, and what has been computed from them."""

    __slots__ = ("bindings", "memo", "parent")

    def __init__(self, bindings: Mapping[str, Any], parent: "Scope | None" = None) -> None:
        self.bindings = bindings
        self.parent = parent
        self.memo: dict[int, Any] = {}

    def lookup(self, name: str) -> Any:
        """Return the value of an argument of this call or of an enclosing one."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bindings:
                return scope.bindings[name]
            scope = scope.parent
        raise EarthEngineError(f"Argument '{name}' is not defined here.")

    def home(self, free: frozenset[str]) -> "Scope":
        """Return the innermost scope that a node with these free arguments depends on."""
        scope = self
        while scope.parent is not None and free.isdisjoint(scope.bindings):
            scope = scope.parent
        return scope


Node = Mapping[str, Any]


class Graph:
    """One REST Expression, `{result, values}`, ready to be evaluated."""

    def __init__(self, expression: Mapping[str, Any]) -> None:
        values = expression.get("values") if isinstance(expression, Mapping) else None
        if not isinstance(values, Mapping) or not isinstance(expression.get("result"), str):
            raise EarthEngineError("Expression needs 'values' and a 'result' of them.")
        self._values: Mapping[str, Node] = values
        self._result = self._node(expression["result"])
        self._free: dict[int, frozenset[str]] = {}
        self._evaluators = {
            "constantValue": lambda content, scope: content,
            "integerValue": lambda content, scope: _int64(content),
            "bytesValue": lambda content, scope: content,
            "arrayValue": self._array,
            "dictionaryValue": self._dictionary,
            "valueReference": lambda content, scope: self._value(self._node(content), scope),
            "argumentReference": lambda content, scope: scope.lookup(content),
            "functionDefinitionValue": self._function,
            "functionInvocationValue": self._invocation,
        }

    def evaluate(self) -> Any:
        """Evaluate the expression's result."""
        self._free_arguments(self._result, set())
        return self._value(self._result, Scope({}))

    def _node(self, reference: str) -> Node:
        try:
            return self._values[reference]
        except KeyError:
            message = f"Expression refers to value '{reference}', which does not exist."
            raise EarthEngineError(message) from None

    def _value(self, node: Node, scope: Scope) -> Any:
        kind, content = _split(node)
        evaluate = self._evaluators[kind]
        if kind not in REMEMBERED:
            return evaluate(content, scope)
        memo = scope.home(self._free[id(node)]).memo
        key = id(node)
        if key not in memo:
            memo[key] = evaluate(content, scope)
        return memo[key]

    def _array(self, content: Mapping[str, Any], scope: Scope) -> list[Any]:
        return [self._value(item, scope) for item in content.get("values", ())]

    def _dictionary(self, content: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        return self._named(content.get("values", {}), scope)

    def _named(self, nodes: Mapping[str, Node], scope: Scope) -> dict[str, Any]:
        return {name: self._value(node, scope) for name, node in nodes.items()}

    def _later(self, nodes: Mapping[str, Node], scope: Scope) -> dict[str, Callable[[], Any]]:
        return {name: functools.partial(self._value, node, scope) for name, node in nodes.items()}

    def _function(self, content: Mapping[str, Any], scope: Scope) -> Function:
        body = self._node(content["body"])
        names = content.get("argumentNames", ())
        return Function(names, lambda bindings: self._value(body, Scope(bindings, scope)))

    def _invocation(self, content: Mapping[str, Any], scope: Scope) -> Any:
        arguments = content.get("arguments", {})
        if "functionName" in content:
            algorithm = lookup(content["functionName"])
            if algorithm.lazy:
                return algorithm.call(self._later(arguments, scope))
            return algorithm.call(self._named(arguments, scope))
        function = self._value(self._node(content["functionReference"]), scope)
        if not isinstance(function, Function):
            raise EarthEngineError("Only a function can be invoked.")
        return function.call(self._named(arguments, scope))

    def _free_arguments(self, node: Node, pending: set[int]) -> frozenset[str]:
        """Return the arguments a node depends on, refusing cycles on the way."""
        key = id(node)
        if key in self._free:
            return self._free[key]
        if key in pending:
            raise EarthEngineError("Expression contains a cycle.")
        pending.add(key)
        kind, content = _split(node)
        free: frozenset[str] = frozenset()
        for child in self._children(kind, content):
            free |= self._free_arguments(child, pending)
        if kind == "argumentReference":
            free = frozenset((content,))
        elif kind == "functionDefinitionValue":
            free -= frozenset(content.get("argumentNames", ()))
        pending.discard(key)
        self._free[key] = free
        return free

    def _children(self, kind: str, content: Any) -> Iterator[Node]:
        _check(kind, content)
        if kind == "valueReference":
            yield self._node(content)
        elif kind == "arrayValue":
            yield from content.get("values", ())
        elif kind == "dictionaryValue":
            yield from content.get("values", {}).values()
        elif kind == "functionDefinitionValue":
            yield self._node(content["body"])
        elif kind == "functionInvocationValue":
            yield from content.get("arguments", {}).values()
            if "functionReference" in content:
                yield self._node(content["functionReference"])


#: Kinds whose values are computed from several others, and so once for each scope.
REMEMBERED = frozenset(("arrayValue", "dictionaryValue", "functionInvocationValue"))


def _split(node: Node) -> tuple[str, Any]:
    try:
        [(kind, content)] = node.items()
    except (AttributeError, ValueError):
        raise EarthEngineError("A value must have exactly one kind.") from None
    return kind, content


def _int64(text: Any) -> int:
    try:
        number = int(text)
    except (TypeError, ValueError, OverflowError):
        raise EarthEngineError(f"Invalid integerValue {text!r:.50}.") from None
    if not INT64_MIN <= number <= INT64_MAX:
        raise EarthEngineError(f"integerValue {text!r:.50} does not fit into 64 bits.")
    return number


#: The JSON type of every kind's content, then of its members; the names are the REST API's
#: (https://developers.google.com/earth-engine/reference/rest/v1/Expression#valuenode).
KINDS: dict[str, tuple[type, dict[str, type]]] = {
    "constantValue": (object, {}),
    "integerValue": (object, {}),
    "bytesValue": (str, {}),
    "arrayValue": (dict, {"values": list}),
    "dictionaryValue": (dict, {"values": dict}),
    "valueReference": (str, {}),
    "argumentReference": (str, {}),
    "functionDefinitionValue": (dict, {"argumentNames": list, "body": str}),
    "functionInvocationValue": (
        dict,
        {"functionName": str, "functionReference": str, "arguments": dict},
    ),
}


def _check(kind: str, content: Any) -> None:
    """Refuse a value whose content is not what its kind has."""
    if kind not in KINDS:
        raise EarthEngineError(f"Unknown kind of value '{kind}'.")
    type_, members = KINDS[kind]
    valid = isinstance(content, type_) and all(
        isinstance(content[name], wanted) for name, wanted in members.items() if name in content
    )
    if not valid:
        raise EarthEngineError(f"Invalid content of {kind}: {content!r:.200}.")
    if kind == "functionDefinitionValue":
        names = content.get("argumentNames", ())
        if "body" not in content or not all(isinstance(name, str) for name in names):
            raise EarthEngineError("A function needs a body, and names for its arguments.")
    if kind == "functionInvocationValue" and (
        ("functionName" in content) == ("functionReference" in content)
    ):
        raise EarthEngineError("An invocation needs a functionName or a functionReference.")
