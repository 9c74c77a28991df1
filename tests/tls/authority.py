"""Certificates made for the tests, by openssl(1), with authorities of their own."""

import functools
import subprocess
from pathlib import Path


def openssl(*arguments, **options):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=60, **options)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Pair:
    def __init__(self, cert, key):
        self.cert, self.key = cert, key

    def config(self, **more):
        return {"cert": str(self.cert), "key": str(self.key), **{k: str(v) for k, v in more.items()}}


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name="Test Authority"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        self.count = 0
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert,
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, *names, key="ec", days=10, starts=None, ends=None, client=False, subject=None, extra=()):
        """A pair for these names. `starts` and `ends`: as YYYYMMDDHHMMSSZ, for one out of date."""
        self.count += 1
        base = self.folder / f"{self.count}-{names[0].replace('*', 'star') if names else 'none'}"
        pair = Pair(base.with_suffix(".pem"), base.with_suffix(".key"))
        request, rules = base.with_suffix(".csr"), base.with_suffix(".ext")
        kinds = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"],
                 "weak": ["-newkey", "rsa:1024"], "ed25519": ["-newkey", "ed25519"]}
        openssl("req", "-new", "-nodes", *kinds[key], "-subj", subject or f"/CN={names[0]}", "-keyout", pair.key,
                "-out", request)
        lines = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                 f"extendedKeyUsage={'clientAuth' if client else 'serverAuth'}", *extra]
        if names:
            kinds = ["IP:" + n if n.replace(".", "").isdigit() or ":" in n else "DNS:" + n for n in names]
            lines.append("subjectAltName=" + ",".join(kinds))
        rules.write_text("\n".join(lines) + "\n")
        if starts or ends:
            self._sign_dated(request, rules, pair, starts, ends)
        else:
            openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-days", days, "-extfile", rules,
                    "-set_serial", 1000 + self.count, "-out", pair.cert)
        return pair

    def _index(self):
        index = self.folder / "index.txt"
        index.touch()
        (self.folder / "ca.conf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={index}\nnew_certs_dir={self.folder}\nrand_serial=yes\n"
            f"default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=optional\n")
        return index

    def _sign_dated(self, request, rules, pair, starts, ends):
        self._index()
        openssl("ca", "-batch", "-config", self.folder / "ca.conf", "-cert", self.cert, "-keyfile", self.key, "-in", request,
                "-startdate", starts or "20240101000000Z", "-enddate", ends or "20400101000000Z", "-extfile", rules,
                "-out", pair.cert, "-notext")

    def staple(self, pair, days=5):
        """An OCSP answer in DER: good."""
        index = self._index()
        serial = openssl("x509", "-in", pair.cert, "-noout", "-serial").decode().strip().split("=")[1]
        index.write_text(f"V\t400101000000Z\t\t{serial}\tunknown\t/CN=x\n")
        out = pair.cert.with_suffix(".der")
        openssl("ocsp", "-issuer", self.cert, "-cert", pair.cert, "-index", index, "-CA", self.cert, "-rsigner", self.cert,
                "-rkey", self.key, "-ndays", days, "-respout", out, "-noverify")
        return out


@functools.cache
def subject_of(path):
    return openssl("x509", "-in", path, "-noout", "-subject").decode()
