"""Thumbnails, maps and tables: made with one request, fetched with others.

https://developers.google.com/earth-engine/reference/rest/v1/projects.thumbnails/create,
.../projects.maps/create and .../projects.tables/create.
"""

import math
import uuid
from collections import OrderedDict

from emulator import engine, fields, grids, raster
from emulator.catalogue import Catalogue
from emulator.errors import EarthEngineError, NotImplementedByEmulator
from emulator.fields import Json
from emulator.rest import pixels, table_files
from emulator.rest.server import Call, Content, Method, custom

#: Requests that are remembered; Earth Engine forgets them after some hours.
MAX_REMEMBERED = 1000
#: Pixels on a side of a map tile, and the finest zoom level.
TILE_SIDE = 256
MAX_ZOOM = 24
#: Metres from the centre of the map to its edge: EPSG:3857 is a square.
MAP_REACH = math.pi * grids.EARTH_RADIUS


class Renderings:
    """What clients have asked to be able to fetch."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._requests: OrderedDict[str, Json] = OrderedDict()

    def methods(self) -> list[Method]:
        """Return the API methods."""
        project = "/v1/projects/{project}"
        thumbnail, table = f"{project}/thumbnails/{{id}}", f"{project}/tables/{{id}}"
        tile = f"{project}/maps/{{id}}/tiles/{{zoom}}/{{x}}/{{y}}"
        moving = [
            Method(f"{kind}.create", "POST", f"{project}/{kind}", _refuse)
            for kind in ("videoThumbnails", "filmstripThumbnails", "featureView")
        ]
        return [
            Method("thumbnails.create", "POST", f"{project}/thumbnails", self._create_thumbnail),
            custom(thumbnail, "thumbnails.getPixels", self._get_thumbnail, "GET", heavy=True),
            Method("maps.create", "POST", f"{project}/maps", self._create_map),
            Method("maps.tiles.get", "GET", tile, self._get_tile, heavy=True),
            Method("tables.create", "POST", f"{project}/tables", self._create_table),
            custom(table, "tables.getFeatures", self._get_features, "GET", heavy=True),
            *moving,
        ]

    def image(self, request: Json) -> raster.Image:
        """Return the image that a request's expression and options describe."""
        image = engine.evaluate(fields.expression(request), self._catalogue)
        if not isinstance(image, raster.Image):
            raise EarthEngineError("The expression is not an image.")
        return pixels.prepared(image, request)

    def _create_thumbnail(self, call: Call) -> Json:
        pixels.file_format(call.body, zipped=True)
        return self._remember("thumbnails", call)

    def _get_thumbnail(self, call: Call) -> Content:
        request = self._recall("thumbnails", call)
        image = self.image(request)
        name = fields.text(request, "filenamePrefix") or _file_name(image)
        box = raster.export_grid(image)
        return pixels.render(image, box, pixels.file_format(request, zipped=True), name)

    def _create_map(self, call: Call) -> Json:
        pixels.file_format(call.body)
        return self._remember("maps", call)

    def _get_tile(self, call: Call) -> Content:
        request = self._recall("maps", call)
        box = _tile(*(_index(call, name) for name in ("zoom", "x", "y")))
        return pixels.render(self.image(request), box, pixels.file_format(request))

    def _create_table(self, call: Call) -> Json:
        return self._remember("tables", call)

    def _get_features(self, call: Call) -> Content:
        request = self._recall("tables", call)
        table = engine.evaluate(fields.expression(request), self._catalogue)
        file_format = fields.text(request, "fileFormat", "CSV")
        selectors = fields.texts(request, "selectors")
        return table_files.encode(table_files.features(table), file_format, selectors)

    def _remember(self, kind: str, call: Call) -> Json:
        fields.expression(call.body)
        name = f"projects/{call.path['project']}/{kind}/{uuid.uuid4().hex}"
        self._requests[name] = call.body
        if len(self._requests) > MAX_REMEMBERED:
            self._requests.popitem(last=False)
        return {"name": name}

    def _recall(self, kind: str, call: Call) -> Json:
        name = f"projects/{call.path['project']}/{kind}/{call.path['id']}"
        if name not in self._requests:
            raise EarthEngineError(f"'{name}' was not found.", 404)
        return self._requests[name]


def _refuse(call: Call) -> Json:
    raise NotImplementedByEmulator("A video, filmstrip or feature view")


def _file_name(image: raster.Image) -> str:
    return image.id.rpartition("/")[2] if image.id else pixels.DOWNLOAD


def _index(call: Call, name: str) -> int:
    text = call.path[name]
    if not (text.isascii() and text.isdecimal()) or len(text) > MAX_ZOOM:
        raise EarthEngineError(f"Invalid tile: {name} is '{text}'.")
    return int(text)


def _tile(zoom: int, x: int, y: int) -> grids.PixelBox:
    """Return the pixels of a tile (https://developers.google.com/maps/documentation/javascript/coordinates)."""
    if zoom > MAX_ZOOM or max(x, y) >= 2**zoom:
        raise EarthEngineError(f"Invalid tile: there is none at {zoom}/{x}/{y}.")
    side = 2 * MAP_REACH / (TILE_SIDE * 2**zoom)
    transform = (side, 0.0, -MAP_REACH, 0.0, -side, MAP_REACH)
    grid = grids.Grid("EPSG:3857", transform)
    return grids.PixelBox(grid, TILE_SIDE, TILE_SIDE, x * TILE_SIDE, y * TILE_SIDE)
