"""After a completed rollout: which images are gone, which stayed, and what is said of them."""
import urllib.parse

import pytest
from engine import EngineError
from shop import Shop
from test_pull import Asked, numbers, open_shop, publish, unchanged  # noqa: F401


def has(engine, image_id):
    try:
        engine.image(image_id)
        return True
    except EngineError as error:
        # An image whose layers go while the engine looks it up.
        assert error.status == 404 or "layer does not exist" in str(error)
        return False


def tag(engine, image_id, repository, name):
    engine.call("POST", f"/images/{urllib.parse.quote(image_id)}/tag", query={"repo": repository, "tag": name})


def said(shop, event):
    """Of the newest rollout's record; recorded just after its end."""
    return [line["message"] for line in shop.state()["log"] if line["event"] == event]


def roll(shop, image):
    Asked(shop, image).begun()
    return shop.ends()


def test_the_newest_three_versions_stay_and_older_ones_go(open_shop, publish, registry, engine):
    shop = open_shop(keep=3)
    ids = []
    for number in range(1, 6):
        ids.append(publish("kept", f"v{number}", version=f"v{number}")[0])
        roll(shop, f"{registry.name}/kept:v{number}")
        shop.sluice.wait_until(lambda: [has(engine, each) for each in ids] ==
                               [number - index < 3 for index in range(1, number + 1)])
    shop.sluice.wait_until(lambda: said(shop, "image-removed") == [f"{registry.name}/kept:v2 ({ids[1][:19]})"])
    assert has(engine, "slt-demo:v1"), "what no registry has stays"
    # One that is gone comes back from the registry.
    assert roll(shop, f"{registry.name}/kept:v1")["image_id"] == ids[0]
    shop.sluice.wait_until(lambda: [has(engine, each) for each in ids] == [True, False, False, True, True])


def test_nothing_is_removed_where_all_are_kept(open_shop, publish, registry, engine):
    shop = open_shop(keep=0)
    ids = []
    for number in range(1, 4):
        ids.append(publish("all", f"v{number}", version=f"v{number}")[0])
        roll(shop, f"{registry.name}/all:v{number}")
    assert not [line for line in shop.sluice.log.all if "event=image-removed" in line]
    assert all(has(engine, each) for each in ids)


def test_a_rollout_that_fails_removes_nothing_and_what_it_brought_goes_after_the_next(open_shop, publish, registry,
                                                                                     engine):
    shop = open_shop(keep=1)
    good, _ = publish("failing", "good")
    bad, _ = publish("failing", "bad", health="fail")
    better, _ = publish("failing", "better")
    roll(shop, f"{registry.name}/failing:good")
    Asked(shop, f"{registry.name}/failing:bad").begun()
    shop.ends("rolled_back")
    assert has(engine, good) and has(engine, bad)
    roll(shop, f"{registry.name}/failing:better")
    shop.sluice.wait_until(lambda: not has(engine, good) and not has(engine, bad))
    assert has(engine, better)


@pytest.mark.parametrize("why", ["stopped-container", "foreign-tag"])
def test_what_somebody_else_has_a_use_for_stays(open_shop, publish, registry, engine, why):
    shop = open_shop(keep=1)
    first, _ = publish("used", "v1")
    second, _ = publish("used", "v2")
    third, _ = publish("used", "v3")
    roll(shop, f"{registry.name}/used:v1")
    if why == "stopped-container":
        engine.create(f"slt-user-{shop.name}", f"{registry.name}/used:v1")
    else:
        tag(engine, first, "somebody/else", "v1")
    roll(shop, f"{registry.name}/used:v2")
    roll(shop, f"{registry.name}/used:v3")
    shop.sluice.wait_until(lambda: not has(engine, second))
    assert engine.image(f"{registry.name}/used:v1")["Id"] == first
    assert has(engine, third)
    engine.clean_up()
    if why == "foreign-tag":
        engine.remove_image("somebody/else:v1")


def test_two_services_of_one_image_keep_it_for_each_other(engine, start_sluice, images, publish, registry):
    """The one that is a version behind still needs what the other has left."""
    ahead, behind = (Shop(engine, f"pull{next(numbers)}") for _ in range(2))
    config = ahead.config(images={"keep": 1})
    other = behind.config(images={"keep": 1})["services"][behind.name]
    config["services"][behind.name] = other | {"routes": [{"host": "behind.test"}]}
    ahead.sluice = behind.sluice = start_sluice(config)
    for shop in (ahead, behind):
        shop.sluice.wait_healthy(shop.name, 1)
    ids = []
    for number in range(1, 4):
        ids.append(publish("shared", f"v{number}", version=f"v{number}")[0])
    name = f"{registry.name}/shared"
    roll(ahead, f"{name}:v1")
    roll(behind, f"{name}:v1")
    roll(ahead, f"{name}:v2")
    roll(ahead, f"{name}:v3")
    ahead.sluice.wait_until(lambda: not has(engine, ids[1]))
    assert has(engine, ids[0]) and has(engine, ids[2])
    roll(behind, f"{name}:v3")
    ahead.sluice.wait_until(lambda: not has(engine, ids[0]))


def test_what_goes_wrong_with_it_is_recorded_and_fails_nothing(engine, images, start_sluice, publish, registry,
                                                               tmp_path):
    from relay import Relay
    relay = Relay(engine, tmp_path / "engine.sock")
    relay.rule = lambda method, path, body: (500, b'{"message": "device or resource busy"}') \
        if method == "DELETE" and "/images/" in path else None
    shop = Shop(engine, f"pull{next(numbers)}")
    shop.open(start_sluice, host=relay.host, images={"keep": 1})
    ids = [publish("busy", f"v{number}")[0] for number in range(1, 4)]
    try:
        roll(shop, f"{registry.name}/busy:v1")
        roll(shop, f"{registry.name}/busy:v2")
        shop.sluice.wait_until(lambda: said(shop, "image-kept") ==
                               [f"{registry.name}/busy:v1: device or resource busy"])
        assert shop.state()["outcome"] == "completed"
        relay.rule = lambda method, path, body: None
        roll(shop, f"{registry.name}/busy:v3")
        shop.sluice.wait_until(lambda: not has(engine, ids[0]) and not has(engine, ids[1]))
        shop.sluice.close()
    finally:
        relay.close()
