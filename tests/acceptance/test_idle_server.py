"""What a server takes that has nothing to do."""

from pathlib import Path

from servers.habeas import HabeasServer


def test_an_idle_server_is_small(tmp_path: Path) -> None:
    with HabeasServer(tmp_path / "data") as server:
        lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    [kibibytes] = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
    assert kibibytes * 1024 <= 120_000_000
