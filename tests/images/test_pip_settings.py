"""pip's settings of this machine, as builds see them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from harness.images.pip_settings import pip_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_folders_and_certificates_are_mounted_under_other_names(tmp_path: Path) -> None:
    wheels, certificates = tmp_path / "wheels", tmp_path / "ca.pem"
    wheels.mkdir()
    certificates.write_text("")
    found = pip_settings({"PIP_FIND_LINKS": str(wheels), "PIP_CERT": str(certificates)})
    assert set(found.mounts) >= {wheels, certificates}
    assert str(tmp_path) not in found.text
    assert f"find-links = {found.mounts[wheels]}" in found.text
    assert f"cert = {found.mounts[certificates]}" in found.text


def test_addresses_stay_and_the_environment_wins(tmp_path: Path) -> None:
    own = tmp_path / "pip.conf"
    own.write_text("[global]\nindex-url = https://one.example/simple\ntimeout = 7\nuser = true\n")
    environment = {"PIP_CONFIG_FILE": str(own), "PIP_INDEX_URL": "https://two.example/simple"}
    text = pip_settings(environment).text
    assert "index-url = https://two.example/simple" in text
    assert "timeout = 7" in text
    assert "one.example" not in text
    assert "user" not in text


def test_an_index_on_disk_is_mounted_with_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "pypi" / "simple").mkdir(parents=True)
    found = pip_settings({"PIP_EXTRA_INDEX_URL": f"file://{tmp_path}/pypi/simple"})
    inside = found.mounts[tmp_path / "pypi"]
    assert f"extra-index-url = file://{inside}/simple" in found.text


def test_a_bundle_of_the_system_serves_where_pip_has_none(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")
    found = pip_settings({"SSL_CERT_FILE": str(bundle), "PIP_CONFIG_FILE": os.devnull})
    assert f"cert = {found.mounts[bundle]}" in found.text


def test_no_files_are_read_where_pip_is_told_so(tmp_path: Path) -> None:
    assert pip_settings({"PIP_CONFIG_FILE": os.devnull}).text == "[global]\n"


def test_keys_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text("[global]\nno_index = true\n")
    told = pip_settings({"PIP_CONFIG_FILE": str(path), "PIP_DEFAULT_TIMEOUT": "9"})
    assert "no-index = true\n" in told.text
    assert "default-timeout = 9\n" in told.text
