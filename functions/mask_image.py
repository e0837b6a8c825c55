"""mask_image, on `image-found`: claim the image and start exactly one Earth Engine export."""

from shared.domain.exports import Export
from shared.domain.runs import Run
from shared.handler import on_message
from shared.messages import ImageFound
from shared.services import Services
from shared.starting import start_export


@on_message(ImageFound)
def mask_image(message: ImageFound, message_id: str, services: Services) -> None:
    """Have one image's mask made."""

    def start(run: Run, record: Export) -> str:
        return services.earth_engine.start_mask(run, record)

    start_export(message, message_id, services, start)
