"""Run by the Python of the packages: loads every compiled module they brought and every plugin, computes a little, checks configurations.

All of it in one process, as in a gateway: what does not fit this machine, this Python or this C library ends it. `make deb-arm64-import`.
"""

import platform
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import gateway
from gateway import registry
from gateway.cli import main as lineside
from gateway.demo.folder import RunFolder

SITE = Path(gateway.__file__).parents[1]


def compiled() -> list[str]:
    """Names of the modules that are shared libraries, without the libraries that these bring along for themselves."""
    found = [path.relative_to(SITE) for path in SITE.rglob("*.so") if ".libs" not in str(path)]
    return sorted(".".join((*path.parent.parts, path.name.partition(".")[0])) for path in found)


def compute() -> None:
    """What the libraries do with their compiled parts, not only that these are found."""
    import msgspec
    import numpy as np
    import pydantic
    import scipy.fft
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from river.anomaly import HalfSpaceTrees

    assert np.allclose(np.linalg.solve([[2.0, 1.0], [1.0, 3.0]], [3.0, 5.0]), [0.8, 1.4])
    assert np.argmax(np.abs(scipy.fft.rfft(np.sin(np.arange(64) * np.pi / 4)))) == 8
    assert msgspec.json.decode(b'{"a": [1, 2.5]}') == {"a": [1, 2.5]}
    assert pydantic.TypeAdapter(list[int]).validate_python(["1", 2]) == [1, 2]
    assert HalfSpaceTrees(n_trees=2, height=2).score_one({"x": 0.5}) >= 0
    key = Ed25519PrivateKey.generate()
    key.public_key().verify(key.sign(b"x"), b"x")


def check(path: Path) -> str:
    """It ends the program, as every command of it does."""
    code: object = "it did not end"
    try:
        lineside(["check", "--json", str(path)], standalone_mode=False)
    except SystemExit as exc:
        code = exc.code
    assert code == 0, f"lineside check {path}: exit code {code}"
    return path.name


def demo() -> Path:
    """The demo's configuration with addresses in it, as `lineside demo` writes it."""
    known = defaultdict(lambda: "1024", inbox="https://localhost:1024/events", nats="nats://127.0.0.1:1024")
    return RunFolder(Path("/tmp/demo")).configure(
        {name: known[name] for name in ("modbus", "opcua", "mqtt", "clear_after", "inbox", "nats", "page")}
    )


def main() -> None:
    names = compiled()
    import_module("scipy.linalg._matfuncs_sqrtm")  # before the compiled part that imports it and is imported by it
    for name in ["asyncua", "nats", "nkeys", "paho.mqtt.client", "pymodbus", "sqlite_utils", "amqtt", "trustme", "uvloop", *names]:
        import_module(name)
    kinds = ("sources", "detectors", "uplinks")
    plugins = [registry.load(kind, name).name for kind in kinds for name in registry.names(kind)]
    compute()
    print(f"  {platform.machine()}, Python {platform.python_version()}, lineside {gateway.__version__}")
    print(f"  {len(names)} compiled modules loaded, and the plugins", *plugins)
    print("  checked:", check(Path("/etc/lineside/starter.yaml")), check(demo()))


if __name__ == "__main__":
    main()
