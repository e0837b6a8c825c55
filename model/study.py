"""What a forest's size and its features are worth, on scenes that it has not seen."""

from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from model.build import FOLDS
from model.forest import ForestSize, fit
from model.samples import Array, Samples
from shared.domain.classes import CLOUDY
from shared.earth.features import names

#: Numbers of trees and of features that are compared.
TREES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96)
FEATURES = (1, 2, 4, 8, 12, 16, 24)

#: Pixels learnt from, and judged: more change the third digit, and take minutes.
LEARNT, JUDGED = 20_000, 10_000


def study(samples: Samples, bands: tuple[str, ...], size: ForestSize) -> dict[str, Any]:
    """Return importances of the features, and accuracies by number of trees and of features.

    One fifth of the scenes is kept back for judging. An importance is `gini` (its share of what
    the splits gained) and `permutation` (accuracy lost if its values are shuffled). Accuracy is
    `cloud` (cloud or thin cloud, or not) and `classes` (all five).
    """
    rows, classes = samples.features(bands), samples.classes
    folds = GroupKFold(min(FOLDS, len(np.unique(samples.scenes))))
    train, test = next(folds.split(rows, groups=samples.scenes))
    rng = np.random.default_rng(0)
    train, test = (rng.permutation(part)[:most] for part, most in ((train, LEARNT), (test, JUDGED)))
    largest = ForestSize(max(TREES), size.leaves, size.least)
    forest = fit(rows[train], classes[train], largest)
    # Trees are independent: the first k of them are a forest of k trees.
    votes = np.cumsum([tree.predict_proba(rows[test]) for tree in forest.estimators_], axis=0)
    gini = forest.feature_importances_
    order = np.argsort(-gini)
    whole = _accuracy(forest.classes_[votes[-1].argmax(1)], classes[test])

    def shuffled(column: int) -> float:
        changed = rows[test].copy()
        changed[:, column] = rng.permutation(changed[:, column])
        return whole["classes"] - _accuracy(forest.predict(changed), classes[test])["classes"]

    def by_features(number: int) -> dict[str, float]:
        best = order[:number]
        fewer = fit(rows[train][:, best], classes[train], size)
        return _accuracy(fewer.predict(rows[test][:, best]), classes[test])

    counts = [*(n for n in FEATURES if n < rows.shape[1]), rows.shape[1]]
    known = names(bands)
    return {
        "learnt": len(train),
        "judged": len(test),
        "importances": [
            {
                "feature": known[i],
                "gini": round(float(gini[i]), 4),
                "permutation": round(shuffled(i), 4),
            }
            for i in order
        ],
        "by_trees": [
            {"trees": n, **_accuracy(forest.classes_[votes[n - 1].argmax(1)], classes[test])}
            for n in TREES
        ],
        "by_features": [{"features": n, **by_features(n)} for n in counts],
    }


def _accuracy(found: Array, truth: Array) -> dict[str, float]:
    cloud = (np.isin(found, CLOUDY) == np.isin(truth, CLOUDY)).mean()
    return {"cloud": round(float(cloud), 4), "classes": round(float((found == truth).mean()), 4)}
