"""Images of the synthetic region by what they show, whatever weather its version draws."""

import rasterio

from emulator.scenes.synthetic import Truth


def share(region, image_id, value):
    """Return the share of an image's pixels that are of a class."""
    with rasterio.open(region.folder.parent / "truth" / f"{image_id}.tif") as truth:
        return float((truth.read(1) == value).mean())


def _swath(region, low, high):
    outside = {name: share(region, name, Truth.NODATA) for name in region.properties}
    return [name for name, value in outside.items() if low <= value <= high]


def partly(region):
    """Return the whole image that is nearest to half cloudy."""
    return min(_swath(region, 0, 0), key=lambda i: abs(share(region, i, Truth.CLOUD) - 0.5))


def overcast(region):
    """Return the cloudiest of the whole images."""
    return max(_swath(region, 0, 0), key=lambda i: share(region, i, Truth.CLOUD))


def cut(region):
    """Return an image of which the swath's edge leaves a part, a third of that cloudy."""
    return min(_swath(region, 0.1, 0.6), key=lambda i: abs(share(region, i, Truth.CLOUD) - 0.2))


def clearest(region, number):
    """Return the clearest of the whole images."""
    whole = _swath(region, 0, 0)
    return sorted(whole, key=lambda i: -share(region, i, Truth.CLEAR))[:number]
