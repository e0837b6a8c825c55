"""Decision trees: one representation for forests that are learnt, loaded or written as text.

The text format is that of R's rpart: `node), split, n, loss, yval, (yprob)`, `*` at leaves, and
the children of node k are 2k and 2k + 1, each node's right after it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from emulator.errors import EarthEngineError
from emulator.raster import Array

LEAF = -1  # in place of a child
ROWS = 2**16  # evaluated at once by a thread, so that what a tree reads stays in cache
UNKNOWN = 9999  # what public scripts write for numbers of a node that they do not know


@dataclass(frozen=True, eq=False)
class Tree:
    """Nodes as arrays, the root first; a row goes left where its value is ≤ the threshold.

    `values` is (nodes, k): probabilities of k classes, or one value of a regression.
    """

    left: Array
    right: Array
    feature: Array
    threshold: Array
    values: Array


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees over named inputs; `classes` are integers in order, none for a regression."""

    names: tuple[str, ...]
    classes: tuple[int, ...]
    trees: tuple[Tree, ...]

    def output(self, mode: str, rows: Array) -> Array:
        """Return what an output mode is for rows (n, inputs): (n,) or, for arrays, (n, k)."""
        if not self.classes:
            return self._each(rows) if mode.startswith("RAW") else self._mean(rows, self._values)
        match mode:
            case "CLASSIFICATION":
                votes = [np.eye(len(self.classes))[chosen] for chosen in self._chosen]
                return np.array(self.classes)[self._mean(rows, votes).argmax(axis=1)]
            case "PROBABILITY":
                return self._mean(rows, [tree.values[:, 1] for tree in self.trees])
            case "MULTIPROBABILITY":
                return self._mean(rows, [tree.values for tree in self.trees])
            case "REGRESSION":
                return self._mean(rows, self._values)
        return self._each(rows)

    @cached_property
    def _chosen(self) -> list[Array]:
        return [tree.values.argmax(axis=1) for tree in self.trees]

    @cached_property
    def _values(self) -> list[Array]:
        """For each tree its nodes' values: a class or a regression's."""
        if not self.classes:
            return [tree.values[:, 0] for tree in self.trees]
        classes = np.array(self.classes, dtype=np.float64)
        return [classes[chosen] for chosen in self._chosen]

    def _mean(self, rows: Array, tables: Sequence[Array]) -> Array:
        """Return the trees' mean of what the tables of their nodes hold."""

        def mean(block: Array) -> Array:
            total = np.zeros((len(block), *tables[0].shape[1:]))
            for walker, table in zip(self._walkers, tables, strict=True):
                total += table[walker.apply(block)]
            return total / len(tables)

        return self._by_blocks(mean, rows)

    def _each(self, rows: Array) -> Array:
        def each(block: Array) -> Array:
            found = zip(self._walkers, self._values, strict=True)
            return np.stack([table[walker.apply(block)] for walker, table in found], axis=1)

        return self._by_blocks(each, rows)

    def _by_blocks(self, evaluate: Any, rows: Array) -> Array:
        blocks = np.array_split(rows, max(1, -(-len(rows) // ROWS)))
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return np.concatenate(
                list(threads.map(lambda block: evaluate(self._ranks(block)), blocks))
            )

    def _ranks(self, rows: Array) -> Array:
        """Return for every value how many of its input's thresholds are less than it.

        Ranks compare like the values, and 32 bits hold them exactly, which is all that
        scikit-learn's evaluation has for an input.
        """
        ranks = np.empty(rows.shape, np.float32)
        for i, steps in enumerate(self._steps):
            ranks[:, i] = np.searchsorted(steps, rows[:, i])
        return ranks

    @cached_property
    def _steps(self) -> list[Array]:
        """For each input the thresholds of all trees, in order."""
        features = np.concatenate([tree.feature for tree in self.trees])
        thresholds = np.concatenate([tree.threshold for tree in self.trees])
        inner = np.concatenate([tree.left for tree in self.trees]) != LEAF
        return [
            np.unique(thresholds[inner & (features == feature)])
            for feature in range(len(self.names))
        ]

    @cached_property
    def _walkers(self) -> list[Any]:
        return [_walker(tree, self._steps) for tree in self.trees]

    def to_text(self) -> Iterator[str]:
        """Yield the trees in rpart's format, with what it takes to get the same ones back."""
        for tree in self.trees:
            yield "\n".join(_written(tree, self.names, self.classes))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "names": list(self.names),
            "classes": list(self.classes),
            "trees": [
                {name: getattr(tree, name).tolist() for name in Tree.__dataclass_fields__}
                for tree in self.trees
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the forest that `to_json` wrote."""
        trees = (Tree(**{k: np.array(v) for k, v in tree.items()}) for tree in document["trees"])
        return cls(tuple(document["names"]), tuple(document["classes"]), tuple(trees))

    @classmethod
    def from_text(cls, texts: Sequence[str], algorithm: str) -> Self:
        """Return the forest of trees in rpart's format, one or more in each text.

        Trees whose leaves all have whole numbers are of classes; others are a regression's.
        """
        parsed = [nodes for text in texts for nodes in _parsed(text, algorithm)]
        if not parsed:
            raise EarthEngineError(f"{algorithm}: No decision trees were found.")
        leaves = [node for nodes in parsed for node in nodes if node.leaf]
        names = list(dict.fromkeys(node.name for nodes in parsed for node in nodes if node.name))
        if not names:
            raise EarthEngineError(f"{algorithm}: The decision trees have no splits.")
        classes = _classes(leaves, algorithm)
        trees = [_tree(nodes, names, classes, algorithm) for nodes in parsed]
        return cls(tuple(names), classes, tuple(trees))


def _walker(tree: Tree, steps: Sequence[Array]) -> Any:
    """Return scikit-learn's compiled tree of the same nodes, its thresholds as ranks."""
    from sklearn.tree._tree import NODE_DTYPE
    from sklearn.tree._tree import Tree as Walker

    count = len(tree.left)
    nodes = np.zeros(count, NODE_DTYPE)
    nodes["left_child"], nodes["right_child"] = tree.left, tree.right
    nodes["feature"] = tree.feature
    for feature, known in enumerate(steps):
        mine = tree.feature == feature
        nodes["threshold"][mine] = np.searchsorted(known, tree.threshold[mine])
    walker = Walker(len(steps), np.array([1], dtype=np.intp), 1)
    state = {"max_depth": 0, "node_count": count, "nodes": nodes, "values": np.zeros((count, 1, 1))}
    walker.__setstate__(state)
    return walker


# --- text

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
NODE = re.compile(
    rf"(\d+)\)\s+(?:root|(\S+?)\s*(<=|>=|<|>)\s*({NUMBER}))"
    rf"\s+{NUMBER}\s+{NUMBER}\s+({NUMBER})(?:\s+\(([^)]*)\))?\s*(\*)?"
)
HEADINGS = re.compile(r"|n=.*|node\), split, .*|\* denotes terminal node")


@dataclass(frozen=True)
class _Node:
    """One line; `name`, `operator` and `limit` say which rows come from its parent."""

    number: int
    name: str | None
    operator: str
    limit: float
    value: float
    probabilities: tuple[float, ...]
    leaf: bool
    line: int


def _parsed(text: str, algorithm: str) -> Iterator[list[_Node]]:
    """Yield the nodes of each tree of a text, in their order: a node's children follow it."""
    nodes: list[_Node] = []
    expected: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if HEADINGS.fullmatch(line.strip()):
            continue
        node = _node(line.strip(), number, algorithm)
        wanted = expected.pop() if expected else 1
        if node.number != wanted or (wanted == 1) != (node.name is None):
            raise EarthEngineError(
                f"{algorithm}: Error parsing line {number}: expected {wanted}, got {node.number}."
            )
        nodes.append(node)
        if not node.leaf:
            expected += [2 * wanted + 1, 2 * wanted]
        if not expected:
            yield nodes
            nodes = []
    if expected:
        raise EarthEngineError(
            f"{algorithm}: Error parsing the tree: node {expected[-1]} is missing."
        )


def _node(line: str, number: int, algorithm: str) -> _Node:
    match = NODE.fullmatch(line)
    try:
        if match is None:
            raise ValueError
        node, name, operator, limit, value, probabilities, leaf = match.groups()
        return _Node(
            int(node),
            name,
            operator or "",
            float(limit or 0),
            float(value),
            tuple(float(p) for p in (probabilities or "").split()),
            leaf is not None,
            number,
        )
    except ValueError:
        message = f"{algorithm}: Error parsing line {number}: '{line}' is not a node."
        raise EarthEngineError(message) from None


def _classes(leaves: Sequence[_Node], algorithm: str) -> tuple[int, ...]:
    values = sorted({node.value for node in leaves})
    if not all(value.is_integer() for value in values):
        return ()
    classes = tuple(int(value) for value in values)
    [*lengths] = {len(node.probabilities) for node in leaves}
    if lengths == [0] or lengths == [len(classes)]:
        return classes
    if len(lengths) == 1 and classes[0] >= 0 and classes[-1] < lengths[0]:
        return tuple(range(lengths[0]))  # some class has a share of leaves, but the most of none
    raise EarthEngineError(
        f"{algorithm}: The leaves have {len(classes)} classes, "
        f"but {' or '.join(str(n) for n in sorted(lengths))} probabilities."
    )


def _tree(
    nodes: Sequence[_Node], names: Sequence[str], classes: tuple[int, ...], algorithm: str
) -> Tree:
    position = {node.number: i for i, node in enumerate(nodes)}
    tree = Tree(
        np.full(len(nodes), LEAF),
        np.full(len(nodes), LEAF),
        np.full(len(nodes), LEAF),
        np.zeros(len(nodes)),
        np.array([_leaf_values(node, classes) for node in nodes]),
    )
    for i, node in enumerate(nodes):
        if node.leaf:
            continue
        first, second = (position[2 * node.number + side] for side in (0, 1))
        split, other = nodes[first], nodes[second]
        below = split.operator.startswith("<")
        if (split.name, split.limit) != (other.name, other.limit) or below == (
            other.operator.startswith("<")
        ):
            raise EarthEngineError(
                f"{algorithm}: Error parsing line {other.line}: "
                f"not the other side of line {split.line}."
            )
        tree.left[i], tree.right[i] = (first, second) if below else (second, first)
        tree.feature[i] = names.index(split.name or "")
        inclusive = split.operator in ("<=", ">")
        tree.threshold[i] = split.limit if inclusive else np.nextafter(split.limit, -np.inf)
    return tree


def _leaf_values(node: _Node, classes: tuple[int, ...]) -> Sequence[float]:
    if not classes:
        return [node.value]
    if not node.leaf:
        return [0.0] * len(classes)
    return node.probabilities or [float(node.value == c) for c in classes]


def _written(tree: Tree, names: Sequence[str], classes: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a tree."""
    pending = [(0, 1, "root")]
    while pending:
        i, number, split = pending.pop()
        values = tree.values[i].tolist()
        value = classes[int(np.argmax(values))] if classes else values[0]
        shares = f" ({' '.join(map(repr, values))})" if classes else ""
        leaf = tree.left[i] == LEAF
        indent = "  " * (number.bit_length() - 1)
        end = " *" if leaf else ""
        yield f"{indent}{number}) {split} {UNKNOWN} {UNKNOWN} {value!r}{shares}{end}"
        if not leaf:
            name, limit = names[tree.feature[i]], float(tree.threshold[i])
            pending.append((int(tree.right[i]), 2 * number + 1, f"{name}>{limit!r}"))
            pending.append((int(tree.left[i]), 2 * number, f"{name}<={limit!r}"))
