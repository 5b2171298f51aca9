# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates in a temporary folder, by certtool."""
import os
import shutil
import subprocess
import sys
import tempfile



class Pki:
    """An authority, and who has a certificate of it: a folder for each, with libvirt's names."""

    def __init__(self):
        for program in "virsh", "certtool", "virt-pki-query-dn":
            if not shutil.which(program):
                print(f"1..0 # SKIP no {program}")
                sys.exit(0)
        self.dir = tempfile.mkdtemp(prefix="pki-")
        self.authority("ca")

    def done(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def certtool(self, *args):
        subprocess.run(["certtool", *args], check=True, capture_output=True, timeout=60)

    def key(self, path):
        self.certtool("--generate-privkey", "--key-type", "rsa", "--bits", "2048", "--no-text", "--outfile", path)

    def template(self, lines):
        path = self.path("template")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        return path

    def authority(self, name):
        self.key(self.path(name + ".key"))
        self.certtool("--generate-self-signed", "--load-privkey", self.path(name + ".key"), "--no-text", "--template",
                      self.template([f"cn = {name} of a test", "ca", "cert_signing_key", "crl_signing_key",
                                     "expiration_days = 3"]), "--outfile", self.path(name + ".pem"))

    def issue(self, folder, kind, cn, names=(), ca="ca", expired=False, purpose=None, trust="ca"):
        """A folder with cacert.pem, KINDcert.pem and KINDkey.pem; its path.  cn None: a certificate without a name."""
        os.makedirs(self.path(folder), exist_ok=True)
        lines = [*([f"cn = {cn}", "organization = libvmm"] if cn else []), "signing_key", "encryption_key", purpose or f"tls_www_{kind}"]
        lines += [("ip_address = " if n[0].isdigit() or ":" in n else "dns_name = ") + n for n in names]
        if expired:
            lines += ['activation_date = "2020-01-01 00:00:00"', 'expiration_date = "2020-01-02 00:00:00"']
        else:
            lines += ["expiration_days = 2"]
        self.key(self.path(folder, kind + "key.pem"))
        self.certtool("--generate-certificate", "--load-privkey", self.path(folder, kind + "key.pem"), "--no-text",
                      "--load-ca-certificate", self.path(ca + ".pem"), "--load-ca-privkey", self.path(ca + ".key"),
                      "--template", self.template(lines), "--outfile", self.path(folder, kind + "cert.pem"))
        shutil.copy(self.path(trust + ".pem"), self.path(folder, "cacert.pem"))
        return self.path(folder)

    def revoke(self, folder, kind):
        """The list of revoked certificates with this one on it."""
        self.certtool("--generate-crl", "--load-ca-privkey", self.path("ca.key"), "--load-ca-certificate",
                      self.path("ca.pem"), "--load-certificate", self.path(folder, kind + "cert.pem"), "--template",
                      self.template(["crl_next_update = 2", "crl_number = 1"]), "--outfile", self.path("crl.pem"))
        return self.path("crl.pem")
