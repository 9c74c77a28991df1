"""A dry run of a rollout whose image would have to be pulled: the registry is asked, and nothing is pulled."""
import pytest
from sluice import ApiError
from test_pull import auth_of, open_shop, publish, secret_image, unchanged, write_config  # noqa: F401 (fixtures)


def plan_of(shop, image, **wanted):
    return shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"image": image, "dry_run": True, **wanted})


def check_of(plan, name):
    return next(check for check in plan["checks"] if check["name"] == name)


def test_what_would_be_pulled_is_known_by_its_digest_and_is_not_pulled(open_shop, publish, registry, unchanged):
    _, digest = publish("dry", "v2")
    shop = open_shop()
    unchanged.begin()
    plan = plan_of(shop, f"{registry.name}/dry:v2")
    said = shop.sluice.cli("rollout", shop.name, "--image", f"{registry.name}/dry:v2", "--dry-run")
    unchanged.holds(shop)
    assert plan["would"] == "begin" and plan["pull"] and plan["digest"] == digest and plan["image_id"] is None
    assert check_of(plan, "registry")["outcome"] == "ok" and digest[:19] in check_of(plan, "registry")["message"]
    assert said.returncode == 0 and "would be pulled" in said.stdout and digest in said.stdout


@pytest.mark.parametrize("tag,words", [("none", "manifest unknown"), ("v2@sha256:" + "0" * 64, "manifest unknown")])
def test_a_tag_that_is_not_there_would_be_refused(open_shop, publish, registry, unchanged, tag, words):
    publish("dry", "v2")
    shop = open_shop()
    unchanged.begin()
    plan = plan_of(shop, f"{registry.name}/dry:{tag}")
    unchanged.holds(shop)
    assert plan["would"] == "refuse"
    assert check_of(plan, "registry")["outcome"] == "refused" and words in check_of(plan, "registry")["message"]


def test_a_registry_that_is_not_there_would_be_refused(open_shop, unchanged):
    shop = open_shop()
    unchanged.begin()
    said = shop.sluice.cli("rollout", shop.name, "--image", "localhost:1/dry:v2", "--dry-run")
    unchanged.holds(shop)
    assert said.returncode == 3 and "connection refused" in said.stdout


def test_a_private_registry_is_asked_with_our_credentials(open_shop, secret_image, private, tmp_path):
    login = {"auths": {private.name: {"auth": auth_of("reader", "open sesame:1")}}}
    good = open_shop(write_config(tmp_path / "good", login))
    assert plan_of(good, secret_image)["would"] == "begin"
    login["auths"][private.name]["auth"] = auth_of("reader", "wrong")
    bad = open_shop(write_config(tmp_path / "bad", login))
    refused = check_of(plan_of(bad, secret_image), "registry")
    assert refused["outcome"] == "refused" and "unauthorized" in refused["message"].lower()


def test_what_may_not_be_pulled_would_be_refused(open_shop, registry):
    shop = open_shop()
    assert check_of(plan_of(shop, f"{registry.name}/dry:v9", pull="never"), "registry")["outcome"] == "refused"


def test_the_registrys_own_image_that_runs_already_is_told_by_its_digest(open_shop, publish, registry):
    publish("again", "v2")
    shop = open_shop()
    shop.rollout = shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"image": f"{registry.name}/again:v2"})["id"]
    shop.ends()
    plan = plan_of(shop, f"{registry.name}/again:v2", pull="always")
    assert plan["would"] == "refuse" and "already" in check_of(plan, "registry")["message"]
    with pytest.raises(ApiError):
        shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"image": f"{registry.name}/again:v2", "pull": "always"})
