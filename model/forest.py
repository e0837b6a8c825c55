"""Random forests: learnt with scikit-learn, written as the text Earth Engine reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from shared.domain.classes import CLASS_NAMES

Array = np.ndarray[Any, Any]


#: Pixels that a tree learns from at most: more make its few hundred leaves no better, but slow.
PIXELS_A_TREE = 60_000


@dataclass(frozen=True)
class ForestSize:
    """How large a forest is: what it costs on Earth Engine grows with both."""

    trees: int = 48
    leaves: int = 400
    least: int = 20  # training pixels in a leaf


def fit(rows: Array, classes: Array, size: ForestSize, seed: int = 0) -> RandomForestClassifier:
    """Learn a forest; classes weigh the same whatever their numbers."""
    forest = RandomForestClassifier(
        n_estimators=size.trees,
        max_leaf_nodes=size.leaves,
        min_samples_leaf=size.least,
        max_features="sqrt",
        class_weight="balanced",
        max_samples=min(len(rows), PIXELS_A_TREE),
        n_jobs=2,
        random_state=seed,
    )
    return forest.fit(rows, classes)


def probabilities(forest: RandomForestClassifier, rows: Array) -> Array:
    """Return (n, 5): the share of every class, 0 for those that were not learnt."""
    shares = np.zeros((len(rows), len(CLASS_NAMES)))
    shares[:, forest.classes_.astype(int)] = forest.predict_proba(rows)
    return shares


def to_text(forest: RandomForestClassifier, names: Sequence[str]) -> list[str]:
    """Return each tree as R's rpart writes it: node), split, n, loss, class, (shares)."""
    return [
        "\n".join(_lines(tree.tree_, names, forest.classes_.astype(int)))
        for tree in forest.estimators_
    ]


def _lines(tree: Any, names: Sequence[str], classes: Array) -> Iterator[str]:
    shares = np.zeros((tree.node_count, len(CLASS_NAMES)))
    shares[:, classes] = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
    pending = [(0, 1, "root")]
    while pending:
        i, number, split = pending.pop()
        left, right = tree.children_left[i], tree.children_right[i]
        start = f"{number}) {split} {tree.n_node_samples[i]} 0 {shares[i].argmax()}"
        if left == right:
            # Nine digits keep the mean of any number of trees within 1e-9.
            yield f"{start} ({' '.join(f'{share:.9g}' for share in shares[i])}) *"
            continue
        yield start
        name, limit = names[tree.feature[i]], float(tree.threshold[i])
        pending.append((right, 2 * number + 1, f"{name}>{limit!r}"))
        pending.append((left, 2 * number, f"{name}<={limit!r}"))
