import pytest

from .conftest import REAL_SCENES, Scenes, connected
from .numpy_trees import check_trees


@pytest.mark.skipif(not REAL_SCENES.exists(), reason=f"no real scenes at {REAL_SCENES}")
def test_trees_are_what_numpy_makes_of_them(tmp_path):
    for scenes in connected(Scenes(REAL_SCENES), tmp_path):
        for image_id in scenes.properties:
            check_trees(scenes, image_id)
