"""The rules of background selection, written down once more in plain Python over metadata."""

from shapely.geometry import shape

from shared.earth.background import Selection

HOUR = 3_600_000
DAY = 24 * HOUR


def chosen(image, scenes, selection, rules):
    """Return the ids of a selection, best first.

    Scenes have `id`, `time` (ms), `tile`, `cloud` (per cent), `footprint` (GeoJSON, planar) and
    `valid`, the share of pixels; `tile` and `cloud` may be None.
    """
    pool = [other for other in scenes if possible(image, other, selection, rules)]
    before = sorted((s for s in pool if s["time"] < image["time"]), key=lambda s: -s["time"])
    after = sorted((s for s in pool if s["time"] > image["time"]), key=lambda s: s["time"])
    neighbours = [*before, *after]
    by_cloud = sorted(neighbours, key=cloudiness)
    archive = selection is Selection.CLEAREST_EVER
    some = (by_cloud if archive else neighbours)[: rules.number_preselect]
    if selection in (Selection.CLEAREST_EVER, Selection.CLEAREST_NEIGHBOURS):
        some = sorted(some, key=cloudiness)
    elif selection is Selection.CLOUDIEST_NEIGHBOURS:
        some = sorted(some, key=cloudiness, reverse=True)
    masked_last = sorted(some, key=lambda s: s["valid"] < rules.valid_share)  # stable
    return [s["id"] for s in masked_last][: rules.number_of_images]


def cloudiness(scene):
    return 100 if scene["cloud"] is None else scene["cloud"]


def possible(image, other, selection, rules):
    apart = abs(other["time"] - image["time"])
    footprint = shape(image["footprint"])
    common = footprint.intersection(shape(other["footprint"])).area / footprint.area
    clear = other["cloud"] is not None and other["cloud"] < rules.cloud_threshold
    return (
        apart > rules.same_pass_hours * HOUR
        and other["tile"] in (image["tile"], None)
        and common >= rules.common_share
        and (rules.allow_future or other["time"] < image["time"])
        and (selection is Selection.CLEAREST_EVER or apart <= rules.days * DAY)
        and (selection is not Selection.CLEAR_NEIGHBOURS or clear)
    )
