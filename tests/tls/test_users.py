"""The cookie that tells users apart, over TLS."""

from conftest import secure
from harness import web


def test_cookie_is_for_tls_only_where_it_was_given_out_over_tls(world, connect, pairs):
    backend = world.backend()
    config = web(backend, sticky={"cookie": "user"}, listeners={
        "web": {"address": "127.0.0.1:0"}, "secure": secure(pairs["shop"])})
    bench = world.bench(config)
    told = connect(bench, listener="secure").get().field("set-cookie")
    assert told.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    plain = world.client(bench, "web")
    assert plain.get(fields=[("Cookie", told.split(";")[0])]).field("set-cookie") is None
    assert plain.get().field("set-cookie").endswith("; SameSite=Lax")
