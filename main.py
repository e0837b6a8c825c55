"""The functions, in the order of the flow: the file that Cloud Functions loads."""

from functions.find_images import find_images
from functions.mask_image import mask_image
from functions.record_export import record_export
from functions.watch_exports import watch_exports

__all__ = ["find_images", "mask_image", "watch_exports", "record_export"]  # noqa: RUF022
