"""The functions, in the order of the flow: the file that Cloud Functions loads."""

from functions.archive_assets import archive_assets
from functions.find_images import find_images
from functions.map_productivity import map_productivity
from functions.mask_image import mask_image
from functions.record_export import record_export
from functions.restore_asset import restore_asset
from functions.watch_assets import watch_assets
from functions.watch_exports import watch_exports

__all__ = [  # noqa: RUF022
    "find_images",
    "mask_image",
    "watch_exports",
    "record_export",
    "map_productivity",
    "watch_assets",
    "archive_assets",
    "restore_asset",
]
