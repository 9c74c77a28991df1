"""Back to an earlier version of the history, on a real engine: no registry is asked, an image that is
gone is named, and it goes well under load."""
import os

import pytest

from shop import Shop, images, start_load, text_of  # noqa: F401 (fixtures)
from sluice import ApiError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an engine of its own")


@pytest.fixture
def shop(engine, images, start_sluice, start_load):  # noqa: F811
    """Two containers of v1 behind Sluice, under load."""
    patient = {"healthcheck": {"http": {"path": "/healthz"}, "interval": "1s", "timeout": "1s", "retries": 4}}
    return Shop(engine, "undone", replicas=2).open(start_sluice, start_load, service=patient)


def versions(shop):
    return {shop.sluice.get()[2][:2] for _ in range(6)}


def roll_out(shop, image):
    shop.begin(image)
    return shop.ends("completed", timeout=120)


def test_back_to_the_version_before_and_to_any_other(shop, engine, images):  # noqa: F811
    """v1, v2, then one of a registry that nobody can reach: its tag is moved, its image stays."""
    engine.call("POST", "/images/slt-demo:v2/tag", query={"repo": "127.0.0.1:1/shop", "tag": "v2"})
    second = roll_out(shop, "127.0.0.1:1/shop:v2")
    roll_out(shop, "slt-demo:v1")
    # The tag means another image now: the history says which one was meant.
    engine.call("POST", "/images/slt-demo:v3/tag", query={"repo": "127.0.0.1:1/shop", "tag": "v2"})
    try:
        done = shop.sluice.cli("rollback", shop.name, second["id"], "--reason", "as it was", timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        assert versions(shop) == {b"v2"}
        newest = shop.sluice.api("GET", f"/rollouts?service={shop.name}")["rollouts"][0]
        assert newest["image_id"] == images["v2"] and newest["reason"] == "as it was"
        assert [step.get("set_weight") for step in newest["steps"]] == [100]
        done = shop.sluice.cli("rollback", shop.name, timeout=120)  # the version before
        assert done.returncode == 0, done.stdout + done.stderr
        assert versions(shop) == {b"v1"}
        done = shop.sluice.cli("rollback", shop.name, "127.0.0.1:1/shop:v2", "--dry-run")
        assert done.returncode == 0, done.stdout + done.stderr
        assert versions(shop) == {b"v1"}
    finally:
        engine.call("DELETE", "/images/127.0.0.1:1/shop:v2")
    shop.closes_well("slt-demo:v1")


def test_changes_made_since_are_taken_back(shop):
    shop.begin("slt-demo:v2")
    first = shop.ends("completed", timeout=120)
    changed = shop.sluice.api("POST", f"/services/{shop.name}/rollouts",
                              {"image": "slt-demo:v1", "changes": {"env": {"EXTRA": "yes"}}})
    shop.rollout = changed["id"]
    shop.ends("completed", timeout=120)
    assert "EXTRA=yes" in shop.engine.inspect(shop.names[0])["Config"]["Env"]
    shop.rollout = shop.sluice.api("POST", f"/services/{shop.name}/rollback", {"id": first["id"]})["id"]
    shop.ends("completed", timeout=120)
    assert not any(each.startswith("EXTRA=") for each in shop.engine.inspect(shop.names[0])["Config"]["Env"])
    shop.closes_well("slt-demo:v2")


def test_an_image_that_is_gone_is_named(shop, engine, images):  # noqa: F811
    gone = engine.build("slt-demo:gone", "FROM slt-demo:v1\nENV VERSION=v9\n", {})
    rollout = roll_out(shop, "slt-demo:gone")
    roll_out(shop, "slt-demo:v2")
    engine.remove_image(gone)
    with pytest.raises(ApiError) as refused:
        shop.sluice.api("POST", f"/services/{shop.name}/rollback", {"id": rollout["id"]})
    assert refused.value.status == 422 and refused.value.code == "no-such-image"
    message = refused.value.body["error"]["message"]
    assert "slt-demo:gone" in message and gone[:19] in message and "nothing was changed" in message, message
    assert versions(shop) == {b"v2"}
    shop.closes_well("slt-demo:v2")


def test_what_never_served_is_no_version(shop):
    with pytest.raises(ApiError) as refused:
        shop.sluice.api("POST", f"/services/{shop.name}/rollback")
    assert refused.value.code == "no-version"
    shop.begin("slt-demo:v3")
    failed = shop.ends("rolled_back", timeout=120)
    with pytest.raises(ApiError) as refused:
        shop.sluice.api("POST", f"/services/{shop.name}/rollback", {"id": failed["id"]})
    assert refused.value.code == "not-a-version" and "rolled_back" in str(refused.value)
    done = shop.sluice.cli("rollback", shop.name)
    assert done.returncode == 3, done.stdout + done.stderr
    shop.closes_well("slt-demo:v1")
