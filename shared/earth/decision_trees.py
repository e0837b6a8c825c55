"""Cloud decision trees of Hollstein et al. 2016 (doi 10.3390/rs8080666), on TOA reflectance.

A pixel is cloud or cirrus where any line of its tree holds. Thresholds are reflectances
from 0 to 1, and ratios of them.
"""

import ee

TREE1 = """
(b('B3') < 0.325 && b('B8A') < 0.166 && b('B10') > 0.011) ||
(b('B3') > 0.325 && b('B11') < 0.267 && b('B4') < 0.674) ||
(b('B3') > 0.325 && b('B11') > 0.267 && b('B7') < 1.544)
"""

TREE2 = """
(b('B8A') > 0.156 && b('B3') < 0.333 && b('B10') / b('B2') > 0.065) ||
(b('B8A') > 0.156 && b('B3') > 0.333 && b('B6') / b('B11') < 4.292)
"""

TREE3 = """
(b('B8A') > 0.051 && b('B8A') < 0.181 && b('B12') < 0.097 && b('B10') > 0.011) ||
(b('B8A') > 0.181 && b('B1') < 0.331 && b('B10') < 0.012 && b('B2') > 0.271) ||
(b('B8A') > 0.181 && b('B1') < 0.331 && b('B10') > 0.012) ||
(b('B8A') > 0.181 && b('B1') > 0.331 && b('B11') < 0.239 && b('B2') < 0.711) ||
(b('B8A') > 0.181 && b('B1') > 0.331 && b('B11') > 0.239 && b('B5') < 1.393)
"""


def decision_tree(reflectance: ee.Image, tree: str) -> ee.Image:
    """Return 1 where the tree says cloud, else 0, valid where all its bands are."""
    return reflectance.expression(tree.replace("\n", " ").strip())
