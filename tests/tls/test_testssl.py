"""testssl.sh (Debian's package) looks at a listener with nothing set but its certificates."""

import json
import shutil
import subprocess

import pytest
from conftest import secure
from harness import sanitized, web

# What it says of the certificates that this test makes, or of what is no part of a listener.
NOT_OURS = {
    "DNS_CAArecord": "a record in the DNS",
    "cert_chain_of_trust": "the authority is the test's own",
    "cert_trust": "likewise, for a name that no DNS has",
    "cert_validityPeriod": "the certificate is made for ten days",
    "cert_expirationStatus": "likewise",
    "engine_problem": "of the openssl(1) that it runs with",
    "sessionresumption_ticket": "its openssl(1) does not connect a second time; test_certificates.py does",
    "security_headers": "a backend's to set",
    "OCSP_stapling": "there is nobody to sign an answer; test_certificates.py has one",
}
SEVERE = {"MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"}


# Of what it looks at by default all but the imitation of some hundred browsers and the rating: a script of
# shell, it takes its time on a busy machine.
LOOKS = ["--protocols", "--server-defaults", "--server-preference", "--std", "--fs", "--headers", "--vulnerable"]


@pytest.mark.skipif(shutil.which("testssl") is None, reason="needs the Debian package testssl.sh")
@pytest.mark.skipif(sanitized(), reason="it would see the same bytes as without the sanitizer, after minutes")
def test_testssl_finds_nothing_above_low(world, authority, tmp_path):
    extra = ["authorityInfoAccess=OCSP;URI:http://127.0.0.1:9/"]
    both = [authority.issue("localhost", key=kind, extra=extra, days=200) for kind in ("ec", "rsa")]
    bench = world.bench(web(world.backend(), listeners={"web": secure(*both, hsts="365d")}))
    report = tmp_path / "report.json"
    done = subprocess.run(["testssl", "--quiet", "--color", "0", "--nodns", "none", "--ip", "127.0.0.1", "--add-ca", authority.cert,
                           "--warnings", "off", "--openssl-timeout", "5", *LOOKS, "--jsonfile", report,
                           f"localhost:{bench.port}"],
                          capture_output=True, text=True, timeout=900)
    assert report.exists(), done.stdout + done.stderr
    findings = json.loads(report.read_text())
    assert len(findings) > 80, done.stdout[-3000:]
    severe = [f"{f['id']}: {f['severity']}: {f['finding']}" for f in findings
              if f["severity"] in SEVERE and f["id"].split(" ")[0] not in NOT_OURS]
    assert not severe
    named = {f["id"]: f["finding"] for f in findings}
    assert "offered" in named["TLS1_3"] and "not offered" in named["TLS1"] and "not offered" in named["TLS1_1"]
