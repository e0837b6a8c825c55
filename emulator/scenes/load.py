"""What `--scenes` may name: a scene folder, Level-1C products, band files, or folders of these."""

from pathlib import Path

from emulator.scenes.folder import MANIFEST, InvalidSceneFolder, SceneFolder, load_folder
from emulator.scenes.level1c import is_product, load_band_files, load_products


def load_scenes(path: Path) -> list[SceneFolder]:
    """Read what a folder holds, one collection after another; pixels stay in their files."""
    if (path / MANIFEST).is_file() or not path.is_dir():
        return [load_folder(path)]
    if is_product(path):
        return load_products([path])
    below = sorted(entry for entry in path.iterdir() if entry.is_dir())
    if products := [folder for folder in below if is_product(folder)]:
        return load_products(products)
    if files := sorted(path.glob("*.jp2")):
        return load_band_files(files)
    if folders := [folder for folder in below if (folder / MANIFEST).is_file()]:
        return [load_folder(folder) for folder in folders]
    raise InvalidSceneFolder(
        f"{path / MANIFEST} does not exist; a scene folder needs one, unless it holds Level-1C "
        "products (*.SAFE), their bands (*_B02.jp2) or scene folders."
    )
