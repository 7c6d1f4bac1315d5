"""Which environment variables programs of a model's get: what they need to run, and no secrets.

Installing gets what pip is set up with on top: indexes, certificates, proxies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_POSIX: Final = ("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "USER")
_WINDOWS: Final = ("APPDATA", "LOCALAPPDATA", "PATHEXT", "SYSTEMROOT", "TEMP", "TMP", "USERPROFILE")
_COMPUTING: Final = ("CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "TZ")
_PROXIES: Final = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_TRUST: Final = ("CURL_CA_BUNDLE", "NETRC", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE")
_BUILDING: Final = ("CC", "CFLAGS", "CUDA_HOME", "CXX", "CXXFLAGS", "LDFLAGS")
# Where pip is told to install elsewhere than into the environment that runs it.
_ELSEWHERE: Final = frozenset(("PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET", "PIP_USER"))
_NEEDED: Final = frozenset(_POSIX + _WINDOWS + _COMPUTING)
_INSTALLING: Final = frozenset(_PROXIES + _TRUST + _BUILDING)


def running(outside: Mapping[str, str], passed: Sequence[str] = ()) -> dict[str, str]:
    """Return what programs of the model get of the environment *outside*.

    Args:
        outside: All variables that there are.
        passed: Names of more that somebody wants them to get.

    >>> running({"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "SEED": "3"}, ["SEED"])
    {'PATH': '/bin', 'SEED': '3'}
    """
    return {
        name: text
        for name, text in outside.items()
        if name.upper() in _NEEDED or name.startswith("LC_") or name in passed
    }


def installing(outside: Mapping[str, str]) -> dict[str, str]:
    """Return what installing gets of the environment *outside*.

    >>> installing({"PIP_INDEX_URL": "https://index", "https_proxy": "http://p", "PGPASSWORD": "x"})
    {'PIP_INDEX_URL': 'https://index', 'https_proxy': 'http://p'}
    """
    return {
        name: text
        for name, text in outside.items()
        if name.upper() in _NEEDED | _INSTALLING
        or (name.startswith(("LC_", "PIP_", "XDG_")) and name not in _ELSEWHERE)
    }
