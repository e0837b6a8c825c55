"""What a run leaves for people and programs: COGs, pictures, STAC and a summary."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio
from PIL import Image, ImageDraw
from rasterio.io import MemoryFile
from rasterio.shutil import copy as copy_raster

from cli.progress import bars
from shared.domain.classes import CLOUDY, NODATA
from shared.domain.exports import Export, State
from shared.domain.outputs import STAC_VERSION, bounding_box
from shared.domain.runs import RunConfiguration

#: Digital number shown as white: reflectance 0.3, which leaves vegetation well lit.
WHITE = 3000

#: RGB of cloud in quicklooks, and how much of the picture it hides.
CLOUD_COLOUR, CLOUD_OPACITY = (255, 70, 160), 0.45

#: Brightness left to pixels outside the mask.
DARK = 0.4

COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"

#: Pixels of a quicklook's longer side, and of one in the overview.
QUICKLOOK_SIZE, THUMBNAIL_SIZE = 512, 160


#: STAC collection of masks.
MASKS = "masks"


def write(configuration: RunConfiguration, records: Sequence[Export], out: Path) -> None:
    """Write the mask, the quicklook and the STAC item of every export that succeeded."""
    done = _succeeded(records)
    for name in ("masks", "quicklooks", "stac"):
        (out / name).mkdir(parents=True, exist_ok=True)
    with bars() as progress:
        for record in progress.track(done, description="Outputs written"):
            _write_image(configuration, record, out)
            name = record.image_id
            write_item(record, name, MASKS, out / "stac", _local_files(name))
    _write_overview(done, out)
    _write_mask_collection(configuration, done, out / "stac")


def write_items(configuration: RunConfiguration, records: Sequence[Export], out: Path) -> None:
    """Write the STAC items of a run whose masks stay in Earth Engine."""
    (out / "stac").mkdir(parents=True, exist_ok=True)
    for record in _succeeded(records):
        write_item(record, record.image_id, MASKS, out / "stac", {})
    _write_mask_collection(configuration, _succeeded(records), out / "stac")


def _succeeded(records: Sequence[Export]) -> list[Export]:
    return [record for record in records if record.state is State.SUCCEEDED]


def _write_image(configuration: RunConfiguration, record: Export, out: Path) -> None:
    name = record.image_id
    quicklook = out / "quicklooks" / f"{name}.png"
    cog = out / "masks" / f"{name}.tif"
    if quicklook.exists():  # written last: an interrupted command goes on where it was
        with rasterio.open(cog) as written:
            if written.tags().get("run_key") == record.export_id:
                return
        quicklook.unlink()  # of a mask that was made again
    classes, colours, grid = _pixels(configuration, name)
    _write_cog(classes, grid, record, cog)
    draft = quicklook.with_suffix(".draft.png")
    _draw(classes, colours, f"{record.sensed_at:%Y-%m-%d %H:%M} UTC  {name}").save(draft)
    draft.replace(quicklook)


def _pixels(
    configuration: RunConfiguration, image_id: str
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return class (H, W), true colour (H, W, 3) as uint8, and the mask's grid."""
    asset_id = f"{configuration.destination}/{image_id}"
    grid = ee.data.getAsset(asset_id)["bands"][0]["grid"]
    scene = ee.Image(f"{configuration.collection}/{image_id}").select(["B4", "B3", "B2"])
    colours = scene.divide(WHITE).clamp(0, 1).pow(0.8).multiply(255).unmask(0, False).toByte()
    image = ee.Image(asset_id).select("class").unmask(NODATA, False).toByte().addBands(colours)
    pixels = ee.data.computePixels(
        {"expression": image, "fileFormat": "NUMPY_NDARRAY", "grid": grid}
    )
    return pixels["class"], np.dstack([pixels[band] for band in ("B4", "B3", "B2")]), grid


def affine_of(grid: dict[str, Any]) -> rasterio.Affine:
    """Return the transform of a grid as Earth Engine describes it; zeros are left out."""
    affine = grid["affineTransform"]
    return rasterio.Affine(
        *(affine.get(key, 0) for key in ("scaleX", "shearX", "translateX")),
        *(affine.get(key, 0) for key in ("shearY", "scaleY", "translateY")),
    )


def _write_cog(classes: np.ndarray, grid: dict[str, Any], record: Export, path: Path) -> None:
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": classes.shape[0],
        "width": classes.shape[1],
        "crs": grid["crsCode"],
        "nodata": NODATA,
        "transform": affine_of(grid),
    }
    temporary = path.with_suffix(".part")
    with MemoryFile() as memory:
        with memory.open(**profile) as raster:
            raster.write(classes, 1)
            raster.set_band_description(1, "class")
            raster.update_tags(image_id=record.image_id, run_key=record.export_id)
        with memory.open() as raster:
            copy_raster(
                raster, temporary, driver="COG", compress="deflate", overview_resampling="mode"
            )
    temporary.rename(path)


def _draw(classes: np.ndarray, colours: np.ndarray, caption: str) -> Image.Image:
    """Return the true-colour picture, cloud tinted and what has no mask dark, with a caption."""
    cloud, unmasked = np.isin(classes, CLOUDY)[..., None], (classes == NODATA)[..., None]
    tinted = colours * (1 - CLOUD_OPACITY) + np.array(CLOUD_COLOUR) * CLOUD_OPACITY
    shown = np.where(cloud, tinted, np.where(unmasked, colours * DARK, colours))
    picture = Image.fromarray(shown.astype(np.uint8))
    factor = QUICKLOOK_SIZE / max(picture.size)
    size = tuple(round(length * factor) for length in picture.size)
    picture = picture.resize(size, Image.Resampling.NEAREST)
    framed = Image.new("RGB", (picture.width, picture.height + 20), "white")
    framed.paste(picture)
    ImageDraw.Draw(framed).text((4, picture.height + 4), caption, fill="black")
    return framed


def _write_overview(records: Sequence[Export], out: Path) -> None:
    """Draw all quicklooks on one sheet, in the order of time, with their cloud cover."""
    columns = 8
    step = THUMBNAIL_SIZE + 24
    rows = -(-len(records) // columns)
    sheet = Image.new("RGB", (columns * step, max(rows, 1) * step), "white")
    for i, record in enumerate(records):
        with Image.open(out / "quicklooks" / f"{record.image_id}.png") as picture:
            thumbnail = picture.crop((0, 0, picture.width, picture.height - 20))
            thumbnail.thumbnail((THUMBNAIL_SIZE, THUMBNAIL_SIZE))
            corner = (i % columns * step + 12, i // columns * step + 20)
            sheet.paste(thumbnail, corner)
        cover = json.loads(record.item)["properties"]["eo:cloud_cover"]
        text = f"{record.sensed_at:%Y-%m-%d}  cloud {cover:.0f} %"
        ImageDraw.Draw(sheet).text((corner[0], corner[1] - 14), text, fill="black")
    sheet.save(out / "overview.png")


def _local_files(name: str) -> dict[str, Any]:
    """Return the STAC assets of the files beside an item."""
    return {
        "cog": {
            "href": f"../masks/{name}.tif",
            "type": COG_TYPE,
            "roles": ["data"],
        },
        "thumbnail": {
            "href": f"../quicklooks/{name}.png",
            "type": "image/png",
            "roles": ["thumbnail"],
        },
    }


def write_item(
    record: Export, name: str, collection: str, folder: Path, files: Mapping[str, Any]
) -> None:
    """Write the ledger's STAC item, with files and its place in the collection added."""
    item = json.loads(record.item)
    item["assets"].update(files)
    item["collection"] = collection
    item["links"] = [
        {"rel": rel, "href": "./collection.json", "type": "application/json"}
        for rel in ("collection", "parent", "root")
    ]
    (folder / f"{name}.json").write_text(json.dumps(item, indent=1))


def _write_mask_collection(
    configuration: RunConfiguration, records: Sequence[Export], folder: Path
) -> None:
    description = f"Cloud masks of {configuration.collection}, run {configuration.name}"
    write_collection(MASKS, description, [(x, x.image_id) for x in records], folder)


def write_collection(
    name: str, description: str, items: Sequence[tuple[Export, str]], folder: Path
) -> None:
    """Write the STAC collection of items: records and their files' names."""
    records = [record for record, _ in items]
    boxes = [bounding_box(json.loads(record.footprint)) for record in records]
    west, south, east, north = zip(*boxes, strict=True) if boxes else ([0],) * 4
    times = [record.sensed_at.isoformat().replace("+00:00", "Z") for record in records]
    collection: Mapping[str, Any] = {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": name,
        "description": description,
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[min(west), min(south), max(east), max(north)]]},
            "temporal": {"interval": [[min(times, default=None), max(times, default=None)]]},
        },
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            *(
                {"rel": "item", "href": f"./{file}.json", "type": "application/geo+json"}
                for _, file in items
            ),
        ],
    }
    (folder / "collection.json").write_text(json.dumps(collection, indent=1))
